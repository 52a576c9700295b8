/** What a run says beside the cells of the open notebook: state, duration and outputs, where the sources are equal. */

import type { NotebookPanel } from "@jupyterlab/notebook";
import type { TranslationBundle } from "@jupyterlab/translation";
import type { RunState } from "../../frontend/app/lab-run";

type RunCell = RunState["cells"][number];
type NotebookCell = NotebookPanel["content"]["widgets"][number];

/** The part of a code cell's model that runs change. */
interface CodeCellModel {
  readonly outputs: { fromJSON(outputs: readonly unknown[]): void };
  executionCount: number | null;
}

/** A cell of an executed notebook's file. */
export interface FileCell {
  id?: string;
  cell_type: string;
  source: string | string[];
  execution_count?: number | null;
  outputs?: unknown[];
}

const joined = (text: string | readonly string[]): string => (typeof text === "string" ? text : text.join(""));

/** The one of `others` that was this cell: by its id, or the first unused one with the same source. */
function matchOf<T extends { id?: string | null }>(
  cell: NotebookCell,
  others: readonly T[],
  used: Set<T>,
  sourceOf: (one: T) => string,
): T | null {
  const source = cell.model.sharedModel.getSource();
  const free = others.filter((one) => !used.has(one) && sourceOf(one) === source);
  const found = free.find(({ id }) => id === cell.model.id) ?? free[0];
  if (found) used.add(found);
  return found ?? null;
}

const isCode = (cell: NotebookCell): boolean => cell.model.type === "code";

export class CellMarks {
  private readonly nodes = new Map<NotebookCell, HTMLElement>();
  private readonly texts = new WeakMap<HTMLElement, string>();

  constructor(
    private readonly panel: NotebookPanel,
    private readonly trans: TranslationBundle,
  ) {}

  /** Show a run beside the cells, or remove what is there. */
  show(state: RunState | null): void {
    const used = new Set<RunCell>();
    const wanted = new Map<NotebookCell, RunCell>();
    const cells = state?.cells.filter(({ type }) => type === "code") ?? [];
    for (const cell of this.panel.content.widgets.filter(isCode)) {
      const match = matchOf(cell, cells, used, ({ source }) => source);
      if (match && match.status !== "skipped") wanted.set(cell, match);
    }
    for (const [cell, node] of this.nodes) {
      if (wanted.has(cell)) continue;
      node.remove();
      this.nodes.delete(cell);
    }
    for (const [cell, run] of wanted) this.mark(cell, run);
  }

  /** Write outputs of an executed notebook into the cells. Returns the numbers of the cells that are left alone. */
  takeOver(executed: readonly FileCell[]): string[] {
    const used = new Set<FileCell>();
    const left: string[] = [];
    const cells = executed.filter(({ cell_type }) => cell_type === "code");
    this.panel.content.widgets.forEach((cell, at) => {
      if (!isCode(cell)) return;
      const match = matchOf(cell, cells, used, ({ source }) => joined(source));
      if (!match) {
        if (cell.model.sharedModel.getSource().trim()) left.push(this.trans.__("cell %1", at + 1));
        return;
      }
      const model = cell.model as unknown as CodeCellModel;
      model.outputs.fromJSON(match.outputs ?? []);
      model.executionCount = match.execution_count ?? null;
    });
    return left;
  }

  private mark(cell: NotebookCell, run: RunCell): void {
    let node = this.nodes.get(cell);
    if (!node) {
      node = document.createElement("div");
      node.className = "cloudo-cell-run";
      this.nodes.set(cell, node);
    }
    if (!node.isConnected || node.parentElement !== cell.node) cell.node.append(node);
    const text = JSON.stringify([run.status, run.ended_at, run.outputs]);
    if (this.texts.get(node) === text) return;
    this.texts.set(node, text);
    node.dataset.status = run.status;
    const words = document.createElement("div");
    words.className = "cloudo-cell-run-words";
    words.textContent = this.wordsOf(run);
    node.replaceChildren(words, ...run.outputs.map((output) => this.output(output)));
  }

  private wordsOf({ status, started_at, ended_at }: RunCell): string {
    const { trans } = this;
    const lasted =
      started_at && ended_at
        ? trans.__("%1 s", ((Date.parse(ended_at) - Date.parse(started_at)) / 1_000).toFixed(1))
        : "";
    const word = {
      pending: trans.__("Run as flow: waiting"),
      running: trans.__("Run as flow: running"),
      done: trans.__("Run as flow: done"),
      failed: trans.__("Run as flow: failed"),
      skipped: "",
    }[status];
    return [word, lasted].filter(Boolean).join(", ");
  }

  /** Draw an output as JupyterLab draws those of untrusted notebooks: no script of it runs. */
  private output({ text, name, type, data, is_cut }: RunCell["outputs"][number]): HTMLElement {
    const { rendermime } = this.panel.content;
    const isWrong = type === "error" || name === "stderr";
    const stream = `application/vnd.jupyter.${isWrong ? "stderr" : "stdout"}`;
    const bundle = data ?? { [stream]: text ?? "" };
    const node = document.createElement("div");
    node.className = "cloudo-cell-run-output jp-OutputArea-output";
    const kind = rendermime.preferredMimeType(bundle, "ensure");
    if (kind) {
      const renderer = rendermime.createRenderer(kind);
      node.append(renderer.node);
      void renderer.renderModel(rendermime.createModel({ data: bundle, trusted: false }));
    }
    if (!kind || is_cut) {
      const note = document.createElement("p");
      note.textContent = this.trans.__("This output is shortened. The executed notebook has all of it.");
      node.append(note);
    }
    return node;
  }
}
