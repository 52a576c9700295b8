import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { News } from "../api/live";
import { Pace } from "../api/pace";
import type { Execution, Flow, ServerEvent } from "../api/types";
import { withExecutions } from "../views/flows/rows";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const event = (subject_type: string, subject_id: string, type: string) =>
  ({ id: 1, time: "", subject_type, subject_id, type, user_name: null, data: {} }) as ServerEvent;

test("news group events by subject", () => {
  const news = new News([event("execution", "a", "ExecutionStarted"), event("execution", "a", "ExecutionLogged")]);
  expect(news.tells("execution", "a", "ExecutionLogged")).toBe(true);
  expect(news.tells("execution", "a", "ExecutionEnded")).toBe(false);
  expect([news.tells("execution", "b"), news.has("flow")]).toEqual([false, false]);
  const planned = { ...event("schedule", "s", "ScheduleChanged"), data: { flow_name: "etl/load" } };
  expect([...new News([planned, planned, event("schedule", "t", "ScheduleMissed")]).flowsOf("schedule")]).toEqual([
    "etl/load",
  ]);
});

test("the first change is fetched at once, later ones at the pace, none is lost, and none overlaps", async () => {
  let running = 0;
  const times: number[] = [];
  const started = performance.now();
  const pace = new Pace(async () => {
    expect((running += 1)).toBe(1);
    times.push(Math.round(performance.now() - started));
    await new Promise((resolve) => setTimeout(resolve, 50));
    running -= 1;
  }, 200);
  for (let at = 0; at < 10; at += 1) {
    pace.want();
    await vi.advanceTimersByTimeAsync(30);
  }
  await vi.advanceTimersByTimeAsync(1000);
  expect(times).toEqual([0, 200, 400]);
});

test("changed executions appear among the last ones of their flow, newest first", () => {
  const brief = (id: string, status: string) => ({ id, status, created_at: id, ended_at: null });
  const flows = [{ name: "a", last_executions: [brief("2", "RUNNING"), brief("1", "RUNNING")] }] as unknown as Flow[];
  const changed = [
    { ...brief("1", "ENDED_ERROR"), flow_name: "a" },
    { ...brief("3", "PENDING"), flow_name: "a" },
  ];
  const [flow] = withExecutions(flows, changed as unknown as Execution[]);
  expect(flow?.last_executions.map(({ id, status }) => `${id} ${status}`)).toEqual([
    "3 PENDING",
    "2 RUNNING",
    "1 ENDED_ERROR",
  ]);
});
