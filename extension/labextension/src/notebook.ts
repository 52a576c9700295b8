/**
 * The open notebook as a flow: a button that saves and runs it, the progress and the outputs of its newest run beside
 * the cells, also when the run began in another browser. The notebook's own kernel is not touched.
 */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, showDialog } from "@jupyterlab/apputils";
import type { Context } from "@jupyterlab/docregistry";
import type { NotebookPanel } from "@jupyterlab/notebook";
import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import type { RunFollower, RunState } from "../../frontend/app/lab-run";
import { CellMarks } from "./cells";
import type { Desk } from "./desk";
import { showError } from "./errors";
import { saveChanges } from "./files";
import { icon } from "./icon";
import type { Server } from "./server";

export interface NotebookTools {
  app: JupyterFrontEnd;
  server: Server;
  trans: TranslationBundle;
  desk: Desk;
}

type Execution = RunState["execution"];

/** Run ids whose outputs the reader has dismissed or taken over. */
const DISMISSED = "cloudo-dismissed-runs";
const MAX_DISMISSED = 50;

const isEnded = ({ status }: Execution): boolean => status.startsWith("ENDED");

export class NotebookRun extends Widget {
  private follower: RunFollower | null = null;
  private state: RunState | null = null;
  private isStarting = false;
  /** A run that ended before is no news. */
  private since = "";
  private readonly marks: CellMarks;
  /** Below the toolbar, which folds what does not fit. */
  private readonly strip = new Widget();
  private readonly words = document.createElement("span");
  private readonly ticker: ReturnType<typeof setInterval>;

  constructor(
    private readonly tools: NotebookTools,
    private readonly panel: NotebookPanel,
    private readonly context: Context,
  ) {
    super();
    this.marks = new CellMarks(panel, tools.trans);
    this.addClass("cloudo-run-bar");
    this.strip.addClass("cloudo-run-strip");
    this.strip.hide();
    panel.contentHeader.addWidget(this.strip);
    this.words.setAttribute("role", "status");
    this.draw();
    this.ticker = setInterval(() => this.state && !isEnded(this.state.execution) && this.draw(), 1_000);
    this.disposed.connect(() => {
      clearInterval(this.ticker);
      this.follower?.close();
    });
    context.pathChanged.connect(() => this.look());
    void context.ready.then(() => this.look());
  }

  private get flow(): string | null {
    return this.tools.server.flowOf(this.context.localPath);
  }

  /** Follow the runs of this flow, wherever they start. One that has ended is shown if that was after the last save. */
  private look(): void {
    this.follower?.close();
    this.follower = null;
    this.state = null;
    this.since = this.context.contentsModel?.last_modified ?? "";
    this.marks.show(null);
    this.draw();
    if (!this.tools.server.problem) this.follow().catch(() => {}); // the button says why
  }

  private isNews(execution: Execution): boolean {
    if (dismissed().includes(execution.id)) return false;
    return !isEnded(execution) || Date.parse(execution.ended_at ?? "") > Date.parse(this.since);
  }

  private async follow(): Promise<RunFollower | null> {
    const { server } = this.tools;
    if (!this.flow) return null;
    const frontEnd = await server.frontEnd();
    if (!this.flow || this.isDisposed) return null; // the file was moved, or closed
    const isShown = () => this.panel.isVisible && !document.hidden;
    this.follower ??= frontEnd.followRuns(server, this.flow, isShown, (state) => this.take(state));
    return this.follower;
  }

  private take(state: RunState): void {
    this.state = this.isNews(state.execution) ? state : null;
    this.marks.show(this.state);
    this.draw();
  }

  /** Save, and run as a flow. A flow that needs inputs asks for them. */
  private async run(): Promise<void> {
    const { tools, context } = this;
    const { commands } = tools.app;
    if (this.isStarting) return;
    this.isStarting = true;
    try {
      await saveChanges(context, tools.server, tools.trans);
      if (!this.flow) return void (await commands.execute("cloudo:add-to-flows"));
      const follower = await this.follow();
      await follower?.start();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "inputs_invalid") await commands.execute("cloudo:run-with-inputs");
      else showError(error);
    } finally {
      this.isStarting = false;
    }
  }

  /** Write the run's outputs into the open notebook. */
  private async takeOver(): Promise<void> {
    const { trans, server } = this.tools;
    const { state } = this;
    if (!state) return;
    try {
      const left = this.marks.takeOver(await server.executedNotebook(state.execution.id));
      this.dismiss();
      if (left.length > 0) {
        await showDialog({
          title: trans.__("Some cells keep their outputs"),
          body: trans.__("Their source is not the one that was run: %1", left.join(", ")),
          buttons: [Dialog.okButton()],
        });
      }
    } catch (error) {
      showError(error);
    }
  }

  private dismiss(): void {
    if (!this.state) return;
    remember(this.state.execution.id);
    this.state = null;
    this.marks.show(null);
    this.draw();
  }

  private draw(): void {
    const { trans, server, desk } = this.tools;
    const execution = this.state?.execution;
    const run = button(trans.__("Run as flow"), () => void this.run());
    run.prepend(icon.element({ tag: "span" }));
    run.title = this.flow
      ? trans.__("Save this notebook and run it as a flow. It goes on without a browser.")
      : trans.__("Add this notebook to the flows, to run it as one.");
    run.disabled = Boolean(server.problem) || Boolean(execution && !isEnded(execution));
    if (server.problem) run.title = server.problem;
    replaceKeepingFocus(this.node, [run]);
    this.strip.setHidden(!execution);
    if (!execution) return;
    this.words.textContent = wordsOf(execution, trans);
    this.words.dataset.status = execution.status;
    const parts: HTMLElement[] = [this.words];
    const open = () => desk.openFile(this.state?.execution.notebook ?? "");
    if (execution.notebook) parts.push(button(trans.__("Open executed notebook"), open));
    if (isEnded(execution)) parts.push(button(trans.__("Take over outputs"), () => void this.takeOver()));
    parts.push(button(trans.__("Dismiss"), () => this.dismiss()));
    replaceKeepingFocus(this.strip.node, parts);
  }
}

/** Replace the children; the focus stays on the button with the same words. */
function replaceKeepingFocus(node: HTMLElement, parts: readonly HTMLElement[]): void {
  const focused = node.contains(document.activeElement) ? document.activeElement?.textContent : null;
  const isSame =
    node.childElementCount === parts.length &&
    parts.every((part, at) => part === node.children[at] || part.outerHTML === node.children[at]?.outerHTML);
  if (isSame) return;
  node.replaceChildren(...parts);
  parts.find((part) => part instanceof HTMLButtonElement && part.textContent === focused)?.focus();
}

function button(words: string, act: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.className = "jp-ToolbarButtonComponent cloudo-run-button";
  made.append(words);
  made.onclick = act;
  return made;
}

function wordsOf({ status, progress, started_at, ended_at, error }: Execution, trans: TranslationBundle): string {
  const end = ended_at ? Date.parse(ended_at) : Date.now();
  const seconds = started_at ? Math.max(0, (end - Date.parse(started_at)) / 1_000) : 0;
  const lasted =
    seconds < 10 && ended_at ? trans.__("%1 s", seconds.toFixed(1)) : trans.__("%1 s", Math.round(seconds));
  switch (status) {
    case "ENDED_SUCCESS":
      return trans.__("Success, %1", lasted);
    case "ENDED_ERROR":
      return error ? trans.__("Failed, %1: %2", lasted, error.name) : trans.__("Failed, %1", lasted);
    case "ENDED_CANCELLED":
      return trans.__("Cancelled, %1", lasted);
    case "PENDING":
      return trans.__("Waiting for a worker");
    case "WAITING":
      return trans.__("Waiting, %1", lasted);
    case "PAUSED":
      return trans.__("Paused, %1", lasted);
    default:
      return trans.__("Running %1/%2, %3", progress.done ?? 0, progress.total ?? 0, lasted);
  }
}

function dismissed(): string[] {
  try {
    return JSON.parse(localStorage.getItem(DISMISSED) ?? "[]") as string[];
  } catch {
    return []; // no storage, or something else in it
  }
}

function remember(id: string): void {
  try {
    localStorage.setItem(DISMISSED, JSON.stringify([...dismissed(), id].slice(-MAX_DISMISSED)));
  } catch {
    // no storage: the run is offered again after a reload
  }
}
