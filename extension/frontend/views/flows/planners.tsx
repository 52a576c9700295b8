/** The library flows that create schedules: started for other flows, they ask for the time in a dialog. */

import { ApiError, pathOf } from "../../api/client";
import { fetchExecutions } from "../../api/executions";
import type { Execution, Flow, Page, Schedule } from "../../api/types";
import type { App } from "../../app/context";
import { LabLink, Link, labUrl } from "../../ui/controls";
import { isEnded, messageOf } from "../../ui/words";
import { inZone } from "../../ui/zones";

/** The entries of the menu, and the flow behind each. */
export const PLANNERS = [
  { word: "Schedule run…", flow: "Scheduled" },
  { word: "Run recurring…", flow: "Recurring" },
  { word: "Run with delay…", flow: "Delayed" },
  { word: "Run daily…", flow: "Daily" },
] as const;

/** Further schedules share one toast. */
const MAX_REPORTED = 5;

/** Start a planner for flows, open its form, and report what it has scheduled. */
export async function plan(app: App, planner: string, names: readonly string[]): Promise<void> {
  const { api, notices } = app;
  notices.set("start", "");
  try {
    const inputs = { flow_name: names.length === 1 ? names[0] : names };
    const started = await api.post<Execution>("execution", { flow_name: planner, inputs });
    reportEnd(app, started, names);
    const title = PLANNERS.find(({ flow }) => flow === planner)?.word.replace("…", "") ?? planner;
    const { openRequestDialog } = await import("../messages/dialog");
    await openRequestDialog(app, started.id, title);
  } catch (error) {
    notices.fail("start", error);
  }
}

/** Wait for the end of a planner, then report its schedules, or why there are none. */
function reportEnd(app: App, started: Execution, names: readonly string[]): void {
  const check = (one: Execution | undefined) => {
    if (!one || !isEnded(one.status)) return;
    unfollow();
    unsync();
    if (one.status === "ENDED_SUCCESS") void reportSchedules(app, one, names);
    else if (one.status === "ENDED_ERROR") reportFailure(app, one);
  };
  const unfollow = app.executions.follow((changed) => check(changed.find(({ id }) => id === started.id)));
  const resync = async () => check((await fetchExecutions(app.api, [started.id]).catch(() => []))[0]);
  const unsync = app.live.follow({ resync: () => void resync() });
}

async function reportSchedules({ api, notices }: App, ended: Execution, names: readonly string[]): Promise<void> {
  const page = await api.get<Page<Schedule>>("schedule", { limit: 50 }).catch(() => null);
  const created = (page?.items ?? []).filter(
    (one) => names.includes(one.flow_name) && one.created_at >= ended.created_at,
  );
  for (const schedule of created.slice(0, MAX_REPORTED)) {
    const { id, name, next_run, timezone, description } = schedule;
    const time = next_run ? `next ${inZone(next_run, timezone)} (${timezone})` : description;
    const link = (
      <Link view="schedule" id={id}>
        Show schedule
      </Link>
    );
    notices.tell(`Scheduled${names.length > 1 ? ` ${name}` : ""}: ${time}`, link);
  }
  if (created.length > MAX_REPORTED) {
    notices.tell(`and ${created.length - MAX_REPORTED} more schedules`, <Link view="schedules">Show all</Link>);
  }
  // A copy of the workspace may do anything.
  if (created.length === 0) {
    const link = (
      <Link view="execution" id={ended.id}>
        Show execution
      </Link>
    );
    notices.tell(`${ended.name}: ${ended.message ?? "done"}`, link);
  }
}

function reportFailure({ notices, place }: App, ended: Execution): void {
  const action = { word: "Show execution", act: () => place.go("execution", ended.id) };
  notices.set("start", `${ended.name}: ${messageOf(ended) || "It failed."}`, { isClosable: true, action });
}

/** Open the workspace's own copy of a library flow in JupyterLab. It is created if there is none. */
export async function customise({ api, notices, dialogs }: App, name: string): Promise<void> {
  const baseUrl = api.transport.baseUrl;
  try {
    let flow = await api.get<Flow>(`flow/${pathOf(name)}`);
    const isNew = flow.source === "library";
    if (isNew) {
      const text = `A copy of the flow ${name} is created in your flows folder. From then on, the menu runs your copy. “Use the shipped ${name}” in the same menu undoes this.`;
      if (!(await dialogs.confirm({ title: `Customise ${name}?`, text, word: "Create a copy" }))) return;
      flow = await api.post<Flow>("flow", { name, copy_of: name }).catch((error: unknown) => {
        // Another person was quicker: theirs is opened.
        if (error instanceof ApiError && error.code === "flow_exists") return api.get<Flow>(`flow/${pathOf(name)}`);
        throw error;
      });
    }
    const words = isNew ? `${name} was copied into the workspace.` : `${name} is already in the workspace.`;
    const link = <LabLink path={flow.path}>Open</LabLink>;
    notices.tell(labUrl(baseUrl, flow.path) ? words : `${words} Its path is ${flow.path}.`, link);
  } catch (error) {
    notices.fail("start", error);
  }
}

/** Delete the workspace's own copy of a library flow, so that the menu runs the shipped one again. */
export async function restoreShipped({ api, notices, dialogs }: App, name: string): Promise<void> {
  const path = `flow/${pathOf(name)}`;
  try {
    const own = await api.get<Flow>(path);
    if (own.source === "workspace") {
      const text = `Your copy, ${own.path}, is deleted with your changes. This cannot be undone. The menu then runs the flow that is shipped with Cloudo.`;
      if (!(await dialogs.confirm({ title: `Use the shipped ${name}?`, text, word: "Delete my copy" }))) return;
      await api.delete(path);
    }
    notices.tell(`The menu runs the shipped ${name} again.`);
  } catch (error) {
    notices.fail("start", error);
  }
}
