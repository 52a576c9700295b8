/** How an execution was started. */

import type { Execution } from "../../api/types";
import { Link } from "../../ui/controls";
import { originOf } from "../../ui/words";

/** The word for it, with a link to the schedule or webhook. */
export function OriginLink({ of: { schedule_id, webhook_name, trigger } }: { of: Execution }) {
  if (schedule_id)
    return (
      <Link view="schedule" id={schedule_id}>
        {originOf(trigger)}
      </Link>
    );
  if (webhook_name)
    return (
      <Link view="webhook" id={webhook_name}>
        {originOf(trigger)}
      </Link>
    );
  return <>{originOf(trigger)}</>;
}
