/**
 * The recent executions of the flows on the screen. Rows ask for theirs when they are drawn, many together, so that
 * thousands of flows cost no more than those that are seen.
 */

import { signal, type Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect } from "preact/hooks";
import type { Api } from "../../api/client";
import type { Execution, Flow, FlowActivity, Page, RecentExecution } from "../../api/types";
import { byAge } from "../../ui/words";

const RECENT = 12;
/** Rows that scroll past are not asked for. */
const SETTLE_MS = 60;
/** Proxies refuse addresses above 8 kB. */
const MAX_NAMES = 40;
const MAX_CHARACTERS = 4_000;

type Run = Pick<RecentExecution, "id" | "status" | "created_at" | "ended_at"> & { started_at?: string | null };

export class Activities {
  private readonly known = new Map<string, Signal<readonly RecentExecution[] | null>>();
  private readonly shown = new Set<string>();
  private readonly wanted = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly api: Api) {
    // What came with the page.
    for (const { items } of api.peekAll<Page<FlowActivity>>(`flow/activity?recent=${RECENT}`)) this.store(items);
  }

  /** The recent executions of a flow; null until they have come. */
  of(name: string): Signal<readonly RecentExecution[] | null> {
    const found = this.known.get(name) ?? signal(null);
    this.known.set(name, found);
    return found;
  }

  /** Fetch those of a flow, soon. Returns the function that takes it back. */
  want(name: string): () => void {
    this.shown.add(name);
    if (this.of(name).peek() === null) this.wanted.add(name);
    this.timer ??= setTimeout(() => void this.fetch(), SETTLE_MS);
    return () => {
      this.shown.delete(name);
      this.wanted.delete(name);
    };
  }

  /** Merge changed executions, and forget deleted ones. */
  take(changed: readonly Execution[], deleted: readonly string[]): void {
    const news = new Map<string | null, Execution[]>();
    for (const one of changed) news.set(one.flow_name, [...(news.get(one.flow_name) ?? []), one]);
    const gone = new Set([...deleted, ...changed.map(({ id }) => id)]);
    for (const [name, runs] of this.known) {
      const old = runs.peek();
      if (!old || (!news.has(name) && !old.some(({ id }) => gone.has(id)))) continue;
      const kept = [...old.filter(({ id }) => !gone.has(id)), ...(news.get(name) ?? [])];
      runs.value = kept.sort(byAge).slice(0, RECENT);
    }
  }

  /** Events were missed: fetch again what is on the screen; the rest when it is seen. */
  refresh(): void {
    for (const [name, runs] of this.known) if (!this.shown.has(name)) runs.value = null;
    for (const name of this.shown) this.wanted.add(name);
    this.timer ??= setTimeout(() => void this.fetch(), SETTLE_MS);
  }

  private store(items: readonly FlowActivity[]): void {
    for (const { flow_name, recent } of items) this.of(flow_name).value = recent;
  }

  private async fetch(): Promise<void> {
    const names: string[] = [];
    let characters = 0;
    for (const name of this.wanted) {
      characters += encodeURIComponent(name).length;
      if (names.length > 0 && (names.length === MAX_NAMES || characters > MAX_CHARACTERS)) break;
      names.push(name);
      this.wanted.delete(name);
    }
    if (names.length > 0) {
      // The row keeps what the list says of its last executions.
      const page = await this.api
        .get<Page<FlowActivity>>("flow/activity", { recent: RECENT, limit: MAX_NAMES, names })
        .catch(() => null);
      this.store(page?.items ?? []);
    }
    this.timer = this.wanted.size > 0 ? setTimeout(() => void this.fetch()) : undefined;
  }
}

export const ActivityContext = createContext<Activities | null>(null);

/** The recent executions of a flow, newest first: those of the list until all have come. */
export function useRecent({ name, last_executions }: Flow): readonly Run[] {
  const activities = useContext(ActivityContext);
  useEffect(() => activities?.want(name), [activities, name]);
  return activities?.of(name).value ?? last_executions;
}

/** The median duration of the successes, in milliseconds; null without any. */
export function medianOf(runs: readonly Run[]): number | null {
  const times = runs.flatMap(({ status, started_at, ended_at }) =>
    status === "ENDED_SUCCESS" && started_at && ended_at ? Date.parse(ended_at) - Date.parse(started_at) : [],
  );
  const ordered = times.sort((one, other) => one - other);
  const half = Math.floor(ordered.length / 2);
  const [low, high] = [ordered[ordered.length % 2 ? half : half - 1], ordered[half]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
