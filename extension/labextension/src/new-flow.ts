/** The command that creates a flow from a template and opens it. The front end has the dialog and the templates. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { TranslationBundle } from "@jupyterlab/translation";
import type { Desk } from "./desk";
import { showError } from "./errors";
import { icon, logo } from "./icon";
import type { Server } from "./server";

/** Add the command. Returns its id. */
export function addNewFlowCommand(app: JupyterFrontEnd, server: Server, trans: TranslationBundle, desk: Desk): string {
  const id = "cloudo:new-flow";
  const create = async () => {
    const actions = await server.actions(desk);
    const flow = await actions.newFlow();
    if (flow && server.flowsFolder !== null) desk.openFile(flow.path);
    else if (flow) desk.open({ view: "flow", id: flow.name, query: {} });
  };
  app.commands.addCommand(id, {
    label: ({ isLauncher }) => (isLauncher ? trans.__("New flow") : trans.__("New flow…")),
    caption: trans.__("Create a flow from a template: a report, a check, a fan-out, a form or a webhook"),
    icon: ({ isLauncher }) => (isLauncher ? logo : icon),
    execute: () => create().catch(showError),
  });
  return id;
}
