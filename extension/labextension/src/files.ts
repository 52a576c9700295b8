/** The commands about files: what a notebook or script can do as a flow, or to become one. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, Notification, showDialog } from "@jupyterlab/apputils";
import type { IDocumentManager } from "@jupyterlab/docmanager";
import type { Context } from "@jupyterlab/docregistry";
import type { IFileBrowserFactory } from "@jupyterlab/filebrowser";
import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import type { Actions } from "../../frontend/app/lab";
import type { Desk } from "./desk";
import { isCancelled, reasonOf, showError } from "./errors";
import { icon } from "./icon";
import type { Server } from "./server";

type Arguments = Readonly<Record<string, unknown>>;

const ENDING = /\.(ipynb|py)$/;

interface Tools {
  app: JupyterFrontEnd;
  server: Server;
  docs: IDocumentManager;
  browsers: IFileBrowserFactory | null;
  trans: TranslationBundle;
  desk: Desk;
}

/** Add the commands. Returns their ids, for the command palette. */
export function addFileCommands(tools: Tools): string[] {
  const { app, server, trans, desk } = tools;
  const files = new Files(tools);
  const { commands } = app;
  const act = async (paths: readonly string[], does: (actions: Actions) => unknown) => {
    try {
      for (const path of paths) await files.save(path);
      await does(await server.actions(desk));
    } catch (error) {
      showError(error);
    }
  };
  // A menu is read for a moment: what its entries need is there when one is chosen.
  document.addEventListener("contextmenu", ({ target }) => {
    const isFile = target instanceof Element && target.closest(".jp-DirListing-item, .lm-TabBar-tab");
    if (isFile && !server.problem) void server.actions(desk).catch(() => {});
  });
  const ids: string[] = [];
  const add = (name: string, label: string, isForFlows: boolean, execute: (paths: string[]) => unknown) => {
    const id = `cloudo:${name}`;
    const isOffered = (args: Arguments) => files.areOffered(args, isForFlows);
    commands.addCommand(id, {
      label,
      icon: name === "run" || name === "run-once" ? icon : undefined,
      isVisible: isOffered,
      isEnabled: isOffered,
      execute: (args) => execute(files.chosen(args)),
    });
    ids.push(id);
  };
  const withFlows = (name: string, label: string, does: (actions: Actions, flows: string[]) => unknown) =>
    add(name, label, true, (paths) =>
      act(paths, (actions) =>
        does(
          actions,
          paths.map((path) => server.flowOf(path) ?? path),
        ),
      ),
    );
  withFlows("run", trans.__("Run as flow"), (actions, flows) => actions.run(flows));
  withFlows("run-with-inputs", trans.__("Run with inputs…"), (actions, flows) => actions.runWithInputs(flows));
  withFlows("schedule", trans.__("Schedule run…"), (actions, flows) => actions.plan("Scheduled", flows));
  withFlows("recur", trans.__("Run recurring…"), (actions, flows) => actions.plan("Recurring", flows));
  withFlows("webhook", trans.__("Create webhook…"), (actions, [flow = ""]) => actions.createWebhook(flow));
  add("show-runs", trans.__("Show runs"), true, ([path = ""]) =>
    desk.open({ view: "executions", query: { flow: server.flowOf(path) ?? "" } }),
  );
  add("add-to-flows", trans.__("Add to flows…"), false, ([path = ""]) => files.addToFlows(path));
  add("run-once", trans.__("Run once as it is"), false, (paths) =>
    act(paths, async (actions) => {
      for (const path of paths) await actions.runOnce(files.nameOf(path), await files.sourceOf(path));
    }),
  );
  return ids;
}

class Files {
  constructor(private readonly tools: Tools) {}

  /**
   * The files that a command is about. `from` in its arguments says where it was chosen: in the file browser, on the
   * tab of a document, or elsewhere, which means the current document.
   */
  chosen({ from }: Arguments): string[] {
    const { app, docs, browsers } = this.tools;
    if (from === "browser") {
      const items = [...(browsers?.tracker.currentWidget?.selectedItems() ?? [])];
      return items.filter(({ path }) => ENDING.test(path)).map(({ path }) => this.localPath(path));
    }
    const tab = from === "tab" ? app.contextMenuHitTest((node) => node.dataset.id !== undefined) : undefined;
    const widget = tab ? find(app.shell.widgets("main"), tab.dataset.id) : app.shell.currentWidget;
    const path = widget && docs.contextForWidget(widget)?.path;
    return path && ENDING.test(path) ? [this.localPath(path)] : [];
  }

  /** Whether there are chosen files, and all of them are flows, or none is. */
  areOffered(args: Arguments, isForFlows: boolean): boolean {
    const paths = this.chosen(args);
    return paths.length > 0 && paths.every((path) => (this.tools.server.flowOf(path) !== null) === isForFlows);
  }

  nameOf(path: string): string {
    return (path.split("/").at(-1) ?? path).replace(ENDING, "");
  }

  /** Save the document if it is open and has changes. Rejects if that fails. */
  async save(path: string): Promise<void> {
    const { docs, server, trans } = this.tools;
    const widget = docs.findWidget(path);
    const context = widget && docs.contextForWidget(widget);
    if (context) await saveChanges(context, server, trans);
  }

  async sourceOf(path: string): Promise<string> {
    const { content } = await this.tools.docs.services.contents.get(path, { content: true });
    return typeof content === "string" ? content : JSON.stringify(content);
  }

  /** Ask for a name, and whether to copy or to move; then do that. */
  async addToFlows(path: string): Promise<void> {
    const { trans, server } = this.tools;
    const form = new NameForm(trans, this.nameOf(path));
    const { button, value } = await showDialog<string>({
      title: trans.__("Add %1 to flows", path),
      body: form,
      focusNodeSelector: "input",
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: trans.__("Move"), actions: ["move"] }),
        Dialog.okButton({ label: trans.__("Copy"), actions: ["copy"] }),
      ],
    });
    if (!button.accept) return;
    try {
      if (!value) throw new Error(trans.__("Enter a name for the flow."));
      await this.save(path);
      const isMove = button.actions.includes("move");
      const actions = await server.actions(this.tools.desk);
      if (isMove) {
        await actions.checkName(value);
        await this.move(path, value);
      } else {
        await actions.createFlow(value, await this.sourceOf(path));
      }
      const label = trans.__("Show flow");
      const callback = () => this.tools.desk.open({ view: "flow", id: value, query: {} });
      const words = isMove ? trans.__("%1 was moved to flows.", value) : trans.__("%1 was copied to flows.", value);
      Notification.success(words, { autoClose: 8_000, actions: [{ label, callback }] });
    } catch (error) {
      showError(error);
    }
  }

  /** Move by renaming: an open document follows its file. */
  private async move(path: string, name: string): Promise<void> {
    const { docs, server, trans } = this.tools;
    const folder = server.flowsFolder;
    if (folder === null) throw new Error(trans.__("%1 can be copied, but not moved. %2", path, server.outside));
    const ending = ENDING.exec(path)?.[0] ?? "";
    const parts = `${folder}/${name}${ending}`.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) await this.ensureFolder(parts.slice(0, depth).join("/"));
    await docs.services.contents.rename(path, parts.join("/"));
  }

  private async ensureFolder(path: string): Promise<void> {
    const { contents } = this.tools.docs.services;
    const found = await contents.get(path, { content: false }).catch(() => null);
    if (!found) await contents.save(path, { type: "directory", path });
  }

  /** Without the name of a drive, such as `RTC:`. */
  private localPath(path: string): string {
    return this.tools.docs.services.contents.localPath(path);
  }
}

/** Save a document if it has changes. Rejects with the reason if that fails. */
export async function saveChanges(context: Context, server: Server, trans: TranslationBundle): Promise<void> {
  if (!context.model.dirty) return;
  try {
    await context.save();
  } catch (error) {
    if (isCancelled(error)) throw error;
    const words = trans.__(
      "%1 could not be saved: %2. Save it under another name, then try again.",
      context.localPath,
      reasonOf(error),
    );
    throw new Error((await server.outage()) || words, { cause: error });
  }
}

function find(widgets: Iterable<Widget>, id: string | undefined): Widget | null {
  for (const widget of widgets) if (widget.id === id) return widget;
  return null;
}

/** Asks for the name of a flow. */
class NameForm extends Widget {
  private readonly input = document.createElement("input");

  constructor(trans: TranslationBundle, name: string) {
    super();
    const label = document.createElement("label");
    label.textContent = trans.__("Name of the flow");
    this.input.className = "jp-mod-styled";
    this.input.value = name;
    this.input.style.width = "100%";
    label.append(this.input);
    const note = document.createElement("p");
    note.textContent = trans.__("A slash makes a folder: reports/daily");
    this.node.append(label, note);
  }

  getValue(): string {
    return this.input.value.trim().replace(/^\/+|\/+$/g, "");
  }
}
