import { expect, test, vi } from "vitest";
import { Api } from "../api/client";
import type { Execution, Flow } from "../api/types";
import { Activities, medianOf } from "../views/flows/activity";
import { foldersOf, matches } from "../views/flows/filters";
import { inFolders, isFolder } from "../views/flows/folders";

const run = (id: string, status: string, seconds: number | null = null) => ({
  id,
  status: status as Execution["status"],
  created_at: "2026-12-02T09:00:00Z",
  started_at: seconds === null ? null : "2026-12-02T09:00:00Z",
  ended_at: seconds === null ? null : new Date(Date.parse("2026-12-02T09:00:00Z") + seconds * 1000).toISOString(),
});

const flow = (more: Partial<Flow>) =>
  ({ name: "a", title: "A", description: "", tags: [], source: "workspace", last_executions: [], ...more }) as Flow;

test("flows are filtered by kind, tag and text", () => {
  const failing = flow({ last_executions: [run("3", "RUNNING"), run("2", "ENDED_ERROR"), run("1", "ENDED_SUCCESS")] });
  expect(matches(failing, { kind: "failing" })).toBe(true);
  expect(matches(failing, { kind: "never" })).toBe(false);
  expect(matches(failing, { kind: "never,failing" })).toBe(true);
  expect(matches(failing, { kind: "nonsense" })).toBe(true);
  expect(matches(flow({ tags: ["etl"] }), { tag: "etl" })).toBe(true);
  expect(matches(flow({ tags: ["etl 2"] }), { tag: "etl" })).toBe(false);
  expect(matches(flow({ title: "Load orders" }), { q: "ORDER", kind: "never" })).toBe(true);
});

test("flows are listed below a heading for their folder", () => {
  const flows = ["b/two", "a/one", "zero", "a/deep/three", "a/four"].map((name) => flow({ name }));
  const words = (closed: string[]) =>
    inFolders(flows, new Set(closed)).map((line) => (isFolder(line) ? `${line.folder}: ${line.count}` : line.name));
  expect(words([])).toEqual(["zero", "a: 2", "a/one", "a/four", "a/deep: 1", "a/deep/three", "b: 1", "b/two"]);
  expect(words(["a", "gone"])).toEqual(["zero", "a: 2", "a/deep: 1", "a/deep/three", "b: 1", "b/two"]);
});

test("flows are found by folder, with those of its folders", () => {
  const flows = ["a", "etl/load", "etl/daily/load", "etl/daily/send", "etl2/x"].map((name) => flow({ name }));
  expect(foldersOf(flows)).toEqual([
    ["etl", 3],
    ["etl/daily", 2],
    ["etl2", 1],
  ]);
  const names = (folder: string) => flows.filter((one) => matches(one, { folder })).map(({ name }) => name);
  expect(names("etl")).toEqual(["etl/load", "etl/daily/load", "etl/daily/send"]);
  expect(names("etl/daily")).toEqual(["etl/daily/load", "etl/daily/send"]);
  expect(names("")).toHaveLength(5);
});

test("the median is that of the successes", () => {
  const runs = [run("4", "ENDED_SUCCESS", 4), run("3", "ENDED_ERROR", 100), run("2", "ENDED_SUCCESS", 1)];
  expect(medianOf(runs)).toBe(2500);
  expect(medianOf([...runs, run("1", "ENDED_SUCCESS", 2)])).toBe(2000);
  expect(medianOf([run("1", "RUNNING")])).toBeNull();
});

test("rows ask together, once, and not after they have left", async () => {
  vi.useFakeTimers();
  const asked: string[] = [];
  const request = async ({ path }: { path: string }) => {
    asked.push(path);
    const names = new URLSearchParams(path.split("?")[1]).getAll("names");
    const items = names.map((name) => ({ flow_name: name, recent: [run("1", "ENDED_SUCCESS", 1)] }));
    return { status: 200, headers: {}, body: { items, next: null } };
  };
  const activities = new Activities(new Api({ baseUrl: null, listen: () => () => {}, request }));
  for (const name of ["a", "b"]) activities.want(name);
  activities.want("c")();
  await vi.advanceTimersByTimeAsync(100);
  expect(asked).toEqual(["flow/activity?recent=12&limit=40&names=a&names=b"]);
  expect(activities.of("a").value?.map(({ id }) => id)).toEqual(["1"]);
  activities.take([{ ...run("2", "RUNNING"), flow_name: "a" } as Execution], ["1"]);
  expect(activities.of("a").value?.map(({ id }) => id)).toEqual(["2"]);
  expect(activities.of("b").value).toEqual([]);
  activities.want("a");
  await vi.advanceTimersByTimeAsync(100);
  expect(asked).toHaveLength(1);
  activities.refresh();
  await vi.advanceTimersByTimeAsync(100);
  expect(asked).toHaveLength(2);
  vi.useRealTimers();
});
