import { describe, expect, it } from "vitest";
import type { Execution } from "../api/types";
import { axisOf, barsOf, nested } from "../views/executions/timeline";

const second = (seconds: number): string => new Date(1_000_000 + seconds * 1000).toISOString();
const one = (created: number, started: number | null, ended: number | null) => ({
  created_at: second(created),
  started_at: started === null ? null : second(started),
  ended_at: ended === null ? null : second(ended),
});
const NOW = Date.parse(second(20));

describe("the timeline", () => {
  it("begins with the run of the parent and ends with the last end", () => {
    const parent = one(-60, 0, 8);
    const axis = axisOf(parent, [one(1, 2, 4), one(2, 6, 10)], NOW);
    expect(axis).toEqual({ from: Date.parse(second(0)), to: Date.parse(second(10)) });
    expect(barsOf(parent, axis, NOW)).toEqual({ wait: { left: 0, width: 0 }, run: { left: 0, width: 80 } });
    expect(barsOf(one(2, 6, 10), axis, NOW)).toEqual({ wait: { left: 20, width: 40 }, run: { left: 60, width: 40 } });
  });

  it("goes on to now while something runs or waits", () => {
    const axis = axisOf(one(0, 0, null), [one(10, null, null)], NOW);
    expect(axis.to).toBe(NOW);
    expect(barsOf(one(10, null, null), axis, NOW)).toEqual({
      wait: { left: 50, width: 50 },
      run: { left: 100, width: 0 },
    });
  });

  it("shows a short run, also at the end, and times that contradict each other", () => {
    const axis = axisOf(one(0, 0, 100), [], NOW);
    const { run } = barsOf(one(100, 100, 100), axis, NOW);
    expect(run.left + run.width).toBe(100);
    expect(run.width).toBeGreaterThan(0);
    expect(barsOf(one(50, 40, 30), axis, NOW).wait.width).toBeGreaterThanOrEqual(0);
  });

  it("puts each execution before its children, by age, and the child of a deleted one at the top", () => {
    const row = (id: string, parent_id: string) => ({ id, parent_id }) as Execution;
    const rows = [row("b2", "b"), row("c", "top"), row("b1", "b"), row("d", "gone"), row("b", "top"), row("b11", "b1")];
    expect(nested(rows, "top").map(({ row: { id }, depth }) => `${id} ${depth}`)).toEqual([
      "b 0",
      "b1 1",
      "b11 2",
      "b2 1",
      "c 0",
      "d 0",
    ]);
  });
});
