/** Executions on one time axis: when each waited and ran, in percent of the whole, and below which one it stands. */

import type { Execution } from "../../api/types";

export type Timed = Pick<Execution, "created_at" | "started_at" | "ended_at">;

/** Beginning and end in milliseconds since 1970. */
export interface Axis {
  from: number;
  to: number;
}

/** Left edge and width in percent. */
export interface Bar {
  left: number;
  width: number;
}

/** Narrower bars could not be seen. */
const MIN_WIDTH = 0.6;

const at = (time: string | null): number | null => (time ? Date.parse(time) : null);

/** The axis from the start of an execution to the last end of it and its children, or to now. */
export function axisOf(own: Timed, children: readonly Timed[], now: number): Axis {
  const from = at(own.started_at) ?? Date.parse(own.created_at);
  const begins = children.map(({ created_at }) => Date.parse(created_at));
  const ends = [own, ...children].map(({ ended_at }) => at(ended_at) ?? now);
  const first = Math.min(from, ...begins);
  return { from: first, to: Math.max(first + 1, ...ends) };
}

/** The bars of an execution: from its creation to its start, and from its start to its end. */
export function barsOf({ created_at, started_at, ended_at }: Timed, axis: Axis, now: number): { wait: Bar; run: Bar } {
  const created = Date.parse(created_at);
  const end = at(ended_at) ?? now;
  const start = Math.min(at(started_at) ?? end, end);
  return { wait: bar(created, start, axis), run: bar(start, started_at ? end : start, axis, Boolean(started_at)) };
}

function bar(start: number, end: number, { from, to }: Axis, isShown = false): Bar {
  const percent = (time: number) => (100 * Math.min(Math.max(time - from, 0), to - from)) / (to - from);
  const width = Math.max(percent(end) - percent(start), isShown ? MIN_WIDTH : 0);
  return { left: Math.min(percent(start), 100 - width), width };
}

/** An execution of a tree, and the number of executions between it and the top. */
export interface Node {
  row: Execution;
  depth: number;
}

/** Return a tree in reading order: each execution before its children, and these by age. */
export function nested(rows: readonly Execution[], top: string): Node[] {
  const known = new Set(rows.map(({ id }) => id));
  const below = new Map<string, Execution[]>();
  for (const row of [...rows].sort((one, other) => (one.id < other.id ? -1 : 1))) {
    // The child of a deleted execution stands at the top.
    const parent = row.parent_id && known.has(row.parent_id) ? row.parent_id : top;
    below.set(parent, [...(below.get(parent) ?? []), row]);
  }
  const under = (id: string, depth: number): Node[] =>
    (below.get(id) ?? []).flatMap((row) => [{ row, depth }, ...under(row.id, depth + 1)]);
  return under(top, 0);
}
