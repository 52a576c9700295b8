/** Follows the newest run of a flow, for the notebook that is open in JupyterLab. */

import { Api } from "../api/client";
import type { Transport } from "../api/transport";
import { Live, type News } from "../api/live";
import { Pace } from "../api/pace";
import type { Cell, Execution, Page } from "../api/types";
import { isEnded } from "../ui/words";
import { fetchCells, type Known } from "../views/executions/cells";

/** A run, and its cells as far as they are known. */
export interface RunState {
  execution: Execution;
  cells: readonly Cell[];
}

/** The record tells at once which cell runs. */
const RECORD_MS = 50;
/** The executed notebook, with the outputs, is saved up to five times a second. */
const CELLS_MS = 150;

/** A run that an open notebook can follow. Notebooks that are worked on by hand run nothing themselves. */
const isRun = ({ type }: Execution): boolean => type === "FLOW";

export class RunFollower {
  private readonly api: Api;
  private readonly live: Live;
  private execution: Execution | null = null;
  private known: Known | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly aborter = new AbortController();
  private readonly record = new Pace(() => this.fetchRecord(), RECORD_MS);
  private readonly cells = new Pace(() => this.fetchCells(), CELLS_MS);

  /** Calls `tell` with each change of the newest run of `flow`. Outputs of a running cell wait until it `isShown`. */
  constructor(
    transport: Transport,
    private readonly flow: string,
    private readonly isShown: () => boolean,
    private readonly tell: (state: RunState) => void,
  ) {
    this.api = new Api(transport);
    this.live = new Live(transport);
    this.live.follow({ news: (news) => this.take(news), resync: () => this.refresh() });
    this.live.start();
    this.refresh();
  }

  close(): void {
    this.live.stop();
    this.record.stop();
    this.cells.stop();
    clearInterval(this.timer);
    this.aborter.abort();
  }

  /** Start a run; it becomes the one that is followed. */
  async start(): Promise<void> {
    const started = await this.api.post<Execution>("execution", { flow_name: this.flow, inputs: {} });
    if (started.id !== this.execution?.id) this.accept(started); // else an event came first, and more is known
  }

  private refresh(): void {
    this.record.want();
    this.cells.want();
  }

  private take(news: News): void {
    const types = news.of("execution").get(this.execution?.id ?? "");
    const isChanged = types !== undefined && (types.size > 1 || !types.has("ExecutionLogged"));
    if (isChanged || news.flowsOf("execution").has(this.flow)) this.record.want();
  }

  private async fetchRecord(): Promise<void> {
    const page = await this.api
      .get<Page<Execution>>("execution", { flow_name: this.flow, limit: 5 }, this.aborter.signal)
      .catch(() => null); // after an outage, everything is fetched again
    const newest = page?.items.find(isRun);
    if (newest) this.accept(newest);
  }

  private accept(newest: Execution): void {
    if (this.aborter.signal.aborted) return;
    const isOther = newest.id !== this.execution?.id || newest.attempt !== this.execution.attempt;
    const hasEnded = isEnded(newest.status) && this.execution !== null && !isEnded(this.execution.status);
    if (isOther || hasEnded) this.known = null;
    this.execution = newest;
    this.say();
    if (!this.known) this.cells.want();
    if (isEnded(newest.status)) {
      clearInterval(this.timer);
      this.timer = undefined;
    } else {
      // A long cell prints without any event.
      this.timer ??= setInterval(() => this.isShown() && this.cells.want(), CELLS_MS);
    }
  }

  private async fetchCells(): Promise<void> {
    const { execution, api, aborter } = this;
    if (!execution?.started_at) return;
    const known = await fetchCells(api, execution.id, this.known, aborter.signal).catch(() => null);
    if (!known || known === this.known) return;
    if (this.execution?.id !== execution.id || this.execution.status !== execution.status) return;
    this.known = known;
    this.say();
  }

  private say(): void {
    const { execution } = this;
    if (execution) this.tell({ execution, cells: withProgress(execution, this.known?.cells ?? []) });
  }
}

/** The saved notebook may be older than the record, which knows how many code cells are done. */
export function withProgress({ status, progress }: Execution, cells: readonly Cell[]): Cell[] {
  let at = -1;
  return cells.map((cell) => {
    if (cell.type !== "code") return cell;
    at += 1;
    if (isEnded(status) || cell.status === "done" || cell.status === "failed") return cell;
    return { ...cell, status: at < progress.done ? "done" : at === progress.done ? "running" : "pending" };
  });
}
