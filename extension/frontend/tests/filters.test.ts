import { expect, test } from "vitest";
import { chipsOf, cleared, resolved, textOf } from "../views/executions/filters";
import { merged, rowsOf } from "../views/executions/rows";
import type { Execution } from "../api/types";

test("a span of time follows the calendar, and is one chip", () => {
  const { since = "", until = "", range } = resolved({ range: "yesterday", tag: "a" });
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  expect([new Date(until).getTime(), range]).toEqual([today.getTime(), undefined]);
  const hours = (Date.parse(until) - Date.parse(since)) / 3_600_000;
  expect([23, 24, 25]).toContain(hours);
  expect(chipsOf({ range: "yesterday", since: "2026-01-01" }).map(({ text }) => text)).toEqual(["Yesterday"]);
  expect(resolved({ range: "nonsense", q: "a" })).toEqual({ q: "a" });
});

test("saved filters are the same text in any order, without the order of the list", () => {
  expect(textOf({ tag: "b", q: "a c", sort: "started", user: "" })).toBe("q=a+c&tag=b");
  expect(textOf({ q: "a c", tag: "b" })).toBe("q=a+c&tag=b");
  expect(cleared({ q: "a", sort: "started" })).toEqual({ q: "" });
});

const row = (id: string) => ({ id }) as Execution;
const shown = (rows: ReturnType<typeof rowsOf>) => [...rows.byId.keys()].sort().join("");

test("a new execution joins only the page that it belongs to", () => {
  const all = () => true;
  const newest = rowsOf([row("f"), row("e")], "e");
  expect(shown(merged(newest, [row("g"), row("d")], [], all))).toBe("efg");
  const oldest = rowsOf([row("b"), row("d")], "d", "oldest");
  expect(shown(merged(oldest, [row("g"), row("c")], [], all))).toBe("bcd");
  expect(shown(merged({ ...oldest, next: null }, [row("g")], [], all))).toBe("bdg");
});

test("in the order of durations, a run joins the page if it is long enough", () => {
  const all = () => true;
  const ran = (id: string, seconds: number | null) =>
    ({
      id,
      started_at: seconds === null ? null : "2026-01-01T00:00:00Z",
      ended_at: seconds === null ? null : new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString(),
    }) as Execution;
  const longest = rowsOf([ran("a", 30), ran("b", 20)], "b", "longest");
  expect(shown(merged(longest, [ran("c", 25), ran("d", 10), ran("e", null)], [], all))).toBe("abc");
  const shortest = rowsOf([ran("a", 1), ran("b", 20)], null, "shortest");
  expect(shown(merged(shortest, [ran("c", 25), ran("e", null)], [], all))).toBe("abc");
});
