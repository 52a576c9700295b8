/** The settings of a schedule in words. */

import type { Schedule } from "../../api/types";
import { Breakable, Link } from "../../ui/controls";
import { Time } from "../../ui/marks";
import { Facts } from "../../ui/values";
import { count, duration } from "../../ui/words";
import { inZone } from "../../ui/zones";
import { describeFollowUps, type FollowUp } from "./followups";
import { NextRun } from "./marks";

const OVERLAPS: Record<string, string> = {
  skip: "skip the next one",
  queue: "queue the next one",
  cancel: "cancel it and start the next one",
  allow: "run both",
};
const CATCH_UPS: Record<string, string> = { last: "run the latest", none: "skip them", all: "run all, in order" };

/** The occasions of follow-ups, and their words. */
export const OCCASIONS = [
  ["on_success", "On success"],
  ["on_error", "On error"],
  ["on_recovery", "On recovery"],
] as const;

const seconds = (number: number): string => duration(number * 1000);

export function ScheduleFacts({ schedule }: { schedule: Schedule }) {
  const { flow_name, timezone, description, trigger, start, end_at, iterations, max_iterations } = schedule;
  const { overlap, catch_up, catch_up_window_seconds: window, jitter_seconds: jitter, pause_on_error_count } = schedule;
  const { user_name, created_at, next_run, state, pin_source } = schedule;
  const age = window ? `, if at most ${seconds(window)} old` : "";
  const follows = OCCASIONS.map(([name, word]) => {
    const ups = schedule[name] as readonly FollowUp[] | null | undefined;
    return [word, ups && describeFollowUps(ups)] as const;
  });
  return (
    <Facts
      facts={[
        ["Next run", (next_run || state === "running") && <NextRun schedule={schedule} />],
        ["When", description],
        ["Time zone", timezone],
        [
          "Flow",
          <Link view="flow" id={flow_name}>
            <Breakable text={flow_name} />
          </Link>,
        ],
        ["First run", trigger.every_seconds !== undefined && inZone(start, timezone)],
        ["Runs so far", max_iterations ? `${iterations} of ${max_iterations}` : String(iterations)],
        ["Ends", end_at && inZone(end_at, timezone)],
        ["If a run is in progress", OVERLAPS[overlap ?? ""]],
        ["Missed runs", `${CATCH_UPS[catch_up ?? ""]}${age}`],
        ["Random delay", jitter ? `up to ${seconds(jitter)}` : null],
        ["Pauses after", pause_on_error_count && `${count(pause_on_error_count, "failure")} in a row`],
        ["Flow version", pin_source && "pinned"],
        ...follows,
        [
          "Created by",
          <span>
            {user_name}, <Time at={created_at} />
          </span>,
        ],
      ]}
    />
  );
}
