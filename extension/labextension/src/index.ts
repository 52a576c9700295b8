/** The plugin: commands, panels, and where JupyterLab offers them. It loads no view before it is asked for one. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, WidgetTracker } from "@jupyterlab/apputils";
import { IDocumentManager } from "@jupyterlab/docmanager";
import { IFileBrowserFactory } from "@jupyterlab/filebrowser";
import { ILauncher } from "@jupyterlab/launcher";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { INotebookTools, INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { IPropertyInspectorProvider } from "@jupyterlab/property-inspector";
import { ITranslator, nullTranslator } from "@jupyterlab/translation";
import type { Token } from "@lumino/coreutils";
import { formatRoute, type Route } from "../../frontend/app/route";
import { followCounts } from "./counts";
import { icon, logo } from "./icon";
import type { Desk } from "./desk";
import { showError } from "./errors";
import { addFileCommands } from "./files";
import { MainPanel, panelName, SidePanel } from "./panels";
import { addNewFlowCommand } from "./new-flow";
import { NotebookRun } from "./notebook";
import { notifyOfRuns } from "./notifications";
import { addParametersCommand, Parameters } from "./parameters";
import { explainScripts, Properties } from "./properties";
import { Server } from "./server";
import { Settings } from "./settings";
import { StatusItem } from "./status";
import { STYLE } from "./style";

const CATEGORY = "Cloudo";
const OPEN = "cloudo:open";
const SIDEBAR = "cloudo:show-sidebar";
/** The name of the application whose pages have a single document each, and no place for panels. */
const NOTEBOOK = "Jupyter Notebook";
const HOME: Route = { view: "flows", query: {} };

/** Services by name. Each may be missing: Notebook has fewer than JupyterLab. */
interface Services {
  palette: ICommandPalette | null;
  launcher: ILauncher | null;
  restorer: ILayoutRestorer | null;
  translator: ITranslator | null;
  docs: IDocumentManager | null;
  browsers: IFileBrowserFactory | null;
  statusBar: IStatusBar | null;
  registry: ISettingRegistry | null;
  notebooks: INotebookTracker | null;
  tools: INotebookTools | null;
  inspector: IPropertyInspectorProvider | null;
}

const TOKENS: Record<keyof Services, Token<unknown> | undefined> = {
  palette: ICommandPalette,
  launcher: ILauncher,
  restorer: ILayoutRestorer,
  translator: ITranslator,
  docs: IDocumentManager,
  browsers: IFileBrowserFactory,
  statusBar: IStatusBar,
  registry: ISettingRegistry,
  notebooks: INotebookTracker,
  tools: INotebookTools,
  inspector: IPropertyInspectorProvider,
};
const known = Object.entries(TOKENS).filter((entry): entry is [string, Token<unknown>] => entry[1] !== undefined);

const plugin: JupyterFrontEndPlugin<void> = {
  id: "cloudo:plugin",
  description: "Flows, executions and input requests of Cloudo.",
  autoStart: true,
  optional: known.map(([, token]) => token),
  activate: (app, ...services) => {
    const begin = performance.now();
    const named = Object.fromEntries(known.map(([name], at) => [name, services[at] ?? null]));
    activate(app, named as unknown as Services);
    performance.measure("cloudo:activate", {
      start: begin,
      end: performance.now(),
    });
  },
};

const queryOf = (text: unknown): Record<string, string> =>
  text ? (JSON.parse(String(text)) as Record<string, string>) : {};

function activate(app: JupyterFrontEnd, services: Services): void {
  const { palette, launcher, restorer, translator, docs, browsers } = services;
  const trans = (translator ?? nullTranslator).load("cloudo");
  const server = new Server(trans);
  const { commands, shell } = app;
  const tracker = new WidgetTracker<MainPanel>({ namespace: "cloudo" });
  const desk: Desk = {
    open: ({ view, id, query }) =>
      void commands.execute(OPEN, {
        view,
        id: id ?? "",
        query: JSON.stringify(query),
      }),
    openFile: (path) => {
      const known = server.pathOf(path);
      if (known !== null) void commands.execute("docmanager:open", { path: known });
      else showError(trans.__("%1 cannot be opened. %2", path, server.outside));
    },
  };

  /** Without a route: the dashboard as it is, or its first view. */
  const open = (route: Route | null): void => {
    if (app.name === NOTEBOOK) {
      window.open(`${server.baseUrl}cloudo/${formatRoute(route ?? HOME)}`, "_blank", "noopener");
      return;
    }
    const name = panelName(route ?? HOME);
    let panel = tracker.find((one) => one.id === `cloudo-${name}`);
    if (panel && route) panel.go(route);
    if (!panel) {
      panel = new MainPanel(server, trans, desk, route ?? HOME, (moved) => void tracker.save(moved));
      shell.add(panel, "main");
      void tracker.add(panel);
    }
    shell.activateById(panel.id);
  };
  commands.addCommand(OPEN, {
    label: trans.__("Cloudo dashboard"),
    caption: trans.__("Open the flows, executions, schedules and messages of this server"),
    icon: ({ isLauncher }) => (isLauncher ? logo : icon),
    execute: ({ view, id, query }) =>
      open(
        view
          ? {
              view: String(view),
              id: id ? String(id) : undefined,
              query: queryOf(query),
            }
          : null,
      ),
  });
  void restorer?.restore(tracker, {
    command: OPEN,
    name: ({ id }) => id,
    args: ({ route }) => ({
      view: route.view,
      id: route.id ?? "",
      query: JSON.stringify(route.query),
    }),
  });
  palette?.addItem({ command: OPEN, category: CATEGORY });
  const newFlow = addNewFlowCommand(app, server, trans, desk);
  palette?.addItem({ command: newFlow, category: CATEGORY });
  for (const [rank, command] of [OPEN, newFlow].entries())
    launcher?.add({ command, category: CATEGORY, rank, args: { isLauncher: true } });

  const style = document.createElement("style");
  style.textContent = STYLE;
  document.head.append(style);
  const side = new SidePanel(server, trans, desk);
  shell.add(side, "left", { rank: 350 });
  restorer?.add(side, side.id);
  commands.addCommand(SIDEBAR, {
    label: trans.__("Show Cloudo's sidebar"),
    icon,
    execute: () => shell.activateById(side.id),
  });
  palette?.addItem({ command: SIDEBAR, category: CATEGORY });
  if (docs) {
    for (const command of addFileCommands({ app, server, docs, browsers, trans, desk }))
      palette?.addItem({ command, category: CATEGORY });
  }
  if (services.notebooks) {
    const command = addParametersCommand(app, services.notebooks, trans);
    palette?.addItem({ command, category: CATEGORY });
    const form = new Properties({ app, server, trans, desk }, services.notebooks);
    services.tools?.addSection({ sectionName: "cloudo", label: trans.__("Flow"), tool: form, rank: 0 });
  }
  if (services.inspector) explainScripts(app, server, trans, services.inspector);
  app.docRegistry.addWidgetExtension("Notebook", {
    createNew: (widget, context) => {
      const panel = widget as NotebookPanel;
      const run = new NotebookRun({ app, server, trans, desk }, panel, context);
      panel.toolbar.insertAfter("cellType", "cloudo-run", run);
      panel.toolbar.insertAfter("cloudo-run", "cloudo-parameters", new Parameters(server, trans, panel, context));
      return run;
    },
  });
  const status = new StatusItem(trans, desk);
  services.statusBar?.registerStatusItem("cloudo:status", { item: status, rank: 2, isActive: () => status.isActive });
  const settings = new Settings();
  void app.restored.then(async () => {
    followCounts(server, (counts) => {
      side.questions = counts.questions;
      status.take(counts);
    });
    await settings.load(services.registry);
    settings.bindOrder(server);
    notifyOfRuns({ server, settings, trans, desk });
  });
}

export default plugin;
