/** The widget of one flow's schedules: those that exist, and the dialog for a new one. */

import { useEffect } from "preact/hooks";
import type { Page, Schedule } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { useTrait } from "../../app/traits";
import { Button, LoadError, Panel } from "../../ui/controls";
import { cut } from "../../ui/words";
import { openNewSchedule } from "../schedules/create";
import { ScheduleItems } from "../schedules/items";

export function ScheduleForm() {
  const app = useApp();
  const flow = useTrait<string>("flow", "");
  const { value, error, refresh } = useResource<Page<Schedule>>(
    `schedules ${flow}`,
    (signal) => app.api.get("schedule", { flow_name: flow, limit: 50 }, signal),
    { concerns: (news) => news.has("schedule") },
  );
  const ids = value?.items.map(({ id }) => id);
  useEffect(() => {
    if (ids) app.traits?.set({ schedules: ids });
  }, [ids?.join()]);
  if (error && !value) return <LoadError what="The schedules" message={error.message} retry={refresh} />;
  const add = (
    <Button kind="small" icon="plus" onClick={() => void openNewSchedule(app, flow)}>
      New schedule…
    </Button>
  );
  return (
    <Panel title={`Schedules of ${cut(flow, 80)}`} actions={add}>
      {value &&
        (value.items.length > 0 ? (
          <ScheduleItems items={value.items} />
        ) : (
          <p class="cloudo-muted">No schedule runs this flow.</p>
        ))}
    </Panel>
  );
}
