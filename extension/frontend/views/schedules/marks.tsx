/** What the views of schedules share: states, next runs, and actions. */

import { segment, type ApiError } from "../../api/client";
import type { Execution, Schedule } from "../../api/types";
import type { App } from "../../app/context";
import { Icon, Shape } from "../../ui/icons";
import { Time } from "../../ui/marks";
import { count, cut } from "../../ui/words";
import { inZone } from "../../ui/zones";

const CLOCK = ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M8 4.8V8.2l2.4 1.4"];

/** States of a schedule: the word, the icon, and the status of executions that has the same colour. */
const STATES: Record<string, { word: string; icon?: string; tone?: string }> = {
  active: { word: "Active", tone: "RUNNING" },
  running: { word: "Running", icon: "RUNNING", tone: "RUNNING" },
  paused: { word: "Paused", icon: "PAUSED", tone: "PAUSED" },
  broken: { word: "Broken", icon: "alert", tone: "ENDED_ERROR" },
  finished: { word: "Finished", icon: "ENDED_SUCCESS" },
};

/** Icon and word of a schedule's state. */
export function ScheduleStateMark({ state }: { state: string }) {
  const { word, icon, tone } = STATES[state] ?? { word: state };
  return (
    <span class="cloudo-status" data-status={tone}>
      {icon ? <Icon name={icon} /> : <Shape strokes={CLOCK} />}
      <span>{word}</span>
    </span>
  );
}

/** The next run: how far away it is, and the time in the schedule's zone. */
export function NextRun({ schedule: { state, next_run, timezone } }: { schedule: Schedule }) {
  if (state === "running" && !next_run) return <span class="cloudo-muted">after the current run</span>;
  return next_run ? (
    <>
      <Time at={next_run} />
      <div class="cloudo-muted">{inZone(next_run, timezone)}</div>
    </>
  ) : null;
}

/** The actions on a schedule, and whether its state allows them. */
export const SCHEDULE_ALLOWS = {
  pause: ({ enabled, state }: Schedule) => enabled && state !== "finished",
  resume: ({ enabled }: Schedule) => !enabled,
  trigger: () => true,
};

export type ScheduleAction = keyof typeof SCHEDULE_ALLOWS;

export const RUN_NOW = "Start one execution now, besides the schedule's runs";

/** Act on schedules. They fail independently: the errors are shown, and the others are done. */
export async function actOnSchedules(
  { api, notices }: App,
  action: ScheduleAction,
  schedules: readonly Schedule[],
): Promise<void> {
  const started: Execution[] = [];
  await each({ notices }, schedules, async ({ id }) => {
    const record = await api.post<unknown>(`schedule/${segment(id)}/${action}`);
    if (action === "trigger") started.push(record as Execution);
  });
  notices.started(started);
}

/** Delete schedules after asking. Resolves to whether it was done. */
export async function deleteSchedules(app: App, schedules: readonly Schedule[]): Promise<boolean> {
  const what = schedules.length === 1 ? cut(schedules[0]?.name ?? "") : count(schedules.length, "schedule");
  const text = "It starts no more executions, and its history is removed. Executions that it has started stay.";
  const isSure = await app.dialogs.confirm({ title: `Delete ${what}?`, text, word: "Delete" });
  if (isSure) await each(app, schedules, ({ id }) => app.api.delete(`schedule/${segment(id)}`));
  return isSure;
}

async function each(
  { notices }: Pick<App, "notices">,
  schedules: readonly Schedule[],
  act: (schedule: Schedule) => Promise<unknown>,
): Promise<void> {
  notices.set("act", "");
  const attempts = schedules.map(async (schedule) => {
    try {
      await act(schedule);
      return [];
    } catch (error) {
      const { message } = error as ApiError;
      return [schedules.length === 1 ? message : `${cut(schedule.name)}: ${message}`];
    }
  });
  const failed = (await Promise.all(attempts)).flat();
  if (failed.length > 0) notices.set("act", failed.join("\n"), { isClosable: true });
}
