/** The library flows that create schedules: started for other flows, they ask for the time in a dialog. */

import { ApiError, pathOf } from "../../api/client";
import type { Execution, Flow } from "../../api/types";
import type { App } from "../../app/context";
import { LabLink, labUrl } from "../../ui/controls";
import { openRequestDialog } from "../messages/dialog";

/** The entries of the menu, and the flow behind each. */
export const PLANNERS = [
  { word: "Schedule run…", flow: "Scheduled" },
  { word: "Run recurring…", flow: "Recurring" },
  { word: "Run with delay…", flow: "Delayed" },
  { word: "Run daily…", flow: "Daily" },
] as const;

/** Start a planner for flows, and open its form. */
export async function plan(app: App, planner: string, names: readonly string[]): Promise<void> {
  const { api, notices } = app;
  notices.set("start", "");
  try {
    const inputs = { flow_name: names.length === 1 ? names[0] : names };
    const started = await api.post<Execution>("execution", { flow_name: planner, inputs });
    const title = PLANNERS.find(({ flow }) => flow === planner)?.word.replace("…", "") ?? planner;
    await openRequestDialog(app, started.id, title);
  } catch (error) {
    notices.fail("start", error);
  }
}

/** Open the workspace's own copy of a library flow in JupyterLab. It is created if there is none. */
export async function customise({ api, notices, dialogs }: App, name: string): Promise<void> {
  const baseUrl = api.transport.baseUrl;
  try {
    let flow = await api.get<Flow>(`flow/${pathOf(name)}`);
    const isNew = flow.source === "library";
    if (isNew) {
      const text = `A copy of the flow ${name} is created in your flows folder. From then on, the menu runs your copy. Delete it to use the shipped one again.`;
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
