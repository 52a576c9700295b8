/** One schedule: what it starts and when, its next runs, and the outcomes of past ones. */

import { useEffect, useRef, useState } from "preact/hooks";
import { segment } from "../../api/client";
import type { News } from "../../api/live";
import type { Occurrence, Schedule } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { usePaged, type Paged } from "../../app/paged";
import { useGone } from "../../app/gone";
import { useResource } from "../../app/resource";
import { Breakable, Button, Heading, Link, Panel } from "../../ui/controls";
import { Single } from "../../ui/single";
import { SimpleTable } from "../../ui/simple";
import { ValuesPanel } from "../../ui/values";
import { count } from "../../ui/words";
import { inZone, ownZone } from "../../ui/zones";
import { BackfillProgress, openBackfill } from "./backfill";
import { ScheduleFacts } from "./facts";
import { dueOf, FailingMark, OutcomeMark } from "./history";
import {
  actOnSchedules,
  deleteSchedules,
  RUN_NOW,
  SCHEDULE_ALLOWS,
  ScheduleStateMark,
  type ScheduleAction,
} from "./marks";

const PACE_MS = 500;
const PAGE_ROWS = 25;

export function ScheduleDetail() {
  const { api, place } = useApp();
  const id = place.route.value.id ?? "";
  const isDeleted = useGone("schedule", id, "ScheduleDeleted");
  const concerns = (news: News) => news.tells("schedule", id) && !news.tells("schedule", id, "ScheduleDeleted");
  const paced = { concerns, paceMs: PACE_MS };
  const path = `schedule/${segment(id)}`;
  const schedule = useResource<Schedule>(`schedule ${id}`, (signal) => api.get(path, {}, signal), paced);
  const past = usePaged<Occurrence>(`${path}/occurrence`, {}, { ...paced, size: PAGE_ROWS });
  const refresh = () => {
    schedule.refresh();
    past.refresh();
  };
  useExecutionNews((changed) => {
    if (!isDeleted && changed.some(({ schedule_id }) => schedule_id === id)) refresh();
  });
  const isGone = isDeleted || schedule.error?.status === 404;
  return (
    <Single
      label="Schedule"
      list="schedules"
      heading="Schedule"
      error={schedule.error}
      isGone={isGone}
      gone="It was deleted, or the address is mistyped. Executions that it has started are kept."
      retry={schedule.refresh}
    >
      {schedule.value && (
        <Whole schedule={schedule.value} past={past} refresh={refresh} set={(saved) => schedule.set(() => saved)} />
      )}
    </Single>
  );
}

interface WholeProps {
  schedule: Schedule;
  past: Paged<Occurrence>;
  refresh: () => void;
  set: (saved: Schedule) => void;
}

function Whole({ schedule, past, refresh, set }: WholeProps) {
  const { notices } = useApp();
  const [backfilled, setBackfilled] = useState<readonly string[]>([]);
  const { name, state, state_reason, inputs } = schedule;
  const onBackfilled = (ids: readonly string[]) => {
    setBackfilled(ids);
    notices.announce(`Started ${count(ids.length, "execution")}`);
    refresh();
  };
  return (
    <>
      <div class="cloudo-heading">
        <div class="cloudo-heading-title">
          <Heading>
            <Breakable text={name} />
          </Heading>
          <ScheduleStateMark state={state} />
          <FailingMark occurrences={past.value?.items.toReversed()} />
        </div>
        <Actions schedule={schedule} refresh={refresh} set={set} onBackfilled={onBackfilled} />
      </div>
      <div class="cloudo-detail">
        {state_reason && (
          <p class="cloudo-reason" role="status">
            {state_reason}
          </p>
        )}
        <ScheduleFacts schedule={schedule} />
        {backfilled.length > 0 && <BackfillProgress key={backfilled[0]} ids={backfilled} />}
        <div class="cloudo-columns">
          <NextRuns schedule={schedule} />
          <ValuesPanel title="Inputs" values={inputs} none="No inputs. The flow's defaults apply." />
        </div>
        <PastRuns past={past} zone={schedule.timezone} />
      </div>
    </>
  );
}

type ActionsProps = Omit<WholeProps, "past"> & { onBackfilled: (ids: readonly string[]) => void };

function Actions({ schedule, refresh, set, onBackfilled }: ActionsProps) {
  const app = useApp();
  const { notices, place } = app;
  const bar = useRef<HTMLDivElement>(null);
  const isToFocus = useRef(false);
  const act = async (action: ScheduleAction) => {
    isToFocus.current = action !== "trigger";
    await actOnSchedules(app, action, [schedule]);
    refresh();
  };
  // Pause becomes Resume, and the other way round: the focus stays.
  useEffect(() => {
    if (isToFocus.current) bar.current?.querySelector("button")?.focus();
    isToFocus.current = false;
  }, [schedule.enabled]);
  const edit = async () => {
    const { editSchedule } = await import("./edit");
    await editSchedule(app, schedule, (saved) => {
      set(saved);
      refresh();
      const { next_run, timezone, description } = saved;
      const next = next_run ? `next ${inZone(next_run, timezone)} (${timezone})` : description;
      notices.tell(`Saved ${saved.name}: ${next}`);
    });
  };
  const remove = async () => {
    if (await deleteSchedules(app, [schedule])) place.go("schedules");
  };
  return (
    <div class="cloudo-bar cloudo-bar-inline" role="toolbar" aria-label="Actions" ref={bar}>
      {SCHEDULE_ALLOWS.pause(schedule) && (
        <Button icon="pause" onClick={() => void act("pause")}>
          Pause
        </Button>
      )}
      {SCHEDULE_ALLOWS.resume(schedule) && (
        <Button icon="play" onClick={() => void act("resume")}>
          Resume
        </Button>
      )}
      <Button icon="again" title={RUN_NOW} onClick={() => void act("trigger")}>
        Run now
      </Button>
      {hasPast(schedule) && (
        <Button
          icon="past"
          title="Run past times that started nothing"
          onClick={() => void openBackfill(app, schedule, onBackfilled)}
        >
          Backfill
        </Button>
      )}
      <Button icon="form" onClick={() => void edit()}>
        Edit
      </Button>
      <Button icon="trash" onClick={() => void remove()}>
        Delete
      </Button>
    </div>
  );
}

/** Whether past times can be computed. Those of an interval from the ends of runs cannot. */
function hasPast({ trigger: { daily_at, monthly, cron, every_seconds, wait } }: Schedule): boolean {
  return Boolean(daily_at || monthly || cron || (every_seconds && wait === false));
}

/** Columns for the schedule's zone, and for the viewer's if it is another one. */
function zonesOf(zone: string): string[] {
  return ownZone() === zone ? [zone] : [zone, ownZone()];
}

function NextRuns({ schedule: { next_runs = [], state, timezone } }: { schedule: Schedule }) {
  const zones = zonesOf(timezone);
  const none = state === "running" ? "The next run is known when the current one has ended." : "No further runs.";
  return (
    <Panel title="Next runs">
      {next_runs.length === 0 ? (
        <p class="cloudo-muted">{none}</p>
      ) : (
        <SimpleTable label="Times" heads={zones.map((zone, at) => (at === 0 ? zone : `Your time (${zone})`))}>
          {next_runs.map((time) => (
            <tr key={time}>
              {zones.map((zone, at) => (
                <td key={zone} class={at === 0 ? undefined : "cloudo-muted"}>
                  {inZone(time, zone)}
                </td>
              ))}
            </tr>
          ))}
        </SimpleTable>
      )}
    </Panel>
  );
}

function PastRuns({ past, zone }: { past: Paged<Occurrence>; zone: string }) {
  const rows = past.value?.items ?? [];
  const zones = zonesOf(zone);
  const heads = ["Due", ...zones.slice(1).map(() => "Your time"), "Outcome", "Delay", "Details"];
  return (
    <Panel title="Past runs">
      {past.error && !past.value && <p role="alert">{past.error.message}</p>}
      {past.value && rows.length === 0 && <p class="cloudo-muted">No runs yet.</p>}
      {rows.length > 0 && (
        <SimpleTable label="Outcomes" heads={heads}>
          {rows.map((row) => (
            <tr key={`${row.due} ${row.execution_id}`}>
              {zones.map((one, at) => (
                <td key={one} class={at === 0 ? undefined : "cloudo-muted"}>
                  {dueOf(row, one)}
                </td>
              ))}
              <td>
                {row.execution_id ? (
                  <Link view="execution" id={row.execution_id} class="cloudo-plain-link">
                    <OutcomeMark occurrence={row} />
                  </Link>
                ) : (
                  <OutcomeMark occurrence={row} />
                )}
              </td>
              <td>{delayOf(row)}</td>
              <td class="cloudo-muted cloudo-why">
                {[row.iteration && `#${row.iteration}`, row.reason].filter(Boolean).join(", ")}
              </td>
            </tr>
          ))}
        </SimpleTable>
      )}
      {past.value?.next && (
        <div class="cloudo-more">
          <Button icon="down" onClick={past.more}>
            Load more
          </Button>
        </div>
      )}
    </Panel>
  );
}

const delayOf = ({ lateness_seconds: seconds }: Occurrence): string =>
  seconds === null ? "" : `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
