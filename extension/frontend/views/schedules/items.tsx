/** A short list of schedules, as the page and the widget of one flow have it. */

import type { Schedule } from "../../api/types";
import { Link } from "../../ui/controls";
import { Time } from "../../ui/marks";
import { cut } from "../../ui/words";

export const ScheduleItems = ({ items }: { items: readonly Schedule[] }) => (
  <ul class="cloudo-told-list">
    {items.map(({ id, name, description, next_run, enabled }) => (
      <li key={id}>
        <Link view="schedule" id={id}>
          {cut(name)}
        </Link>
        <span>{description}</span>
        <span class="cloudo-muted">
          {!enabled ? "paused" : next_run ? ["next ", <Time key="t" at={next_run} />] : "finished"}
        </span>
      </li>
    ))}
  </ul>
);
