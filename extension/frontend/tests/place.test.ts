import { expect, test } from "vitest";
import { formatRoute, parseRoute, type Route } from "../app/place";

test.each<[string, string, Route]>([
  ["", "", { view: "flows", query: {} }],
  ["flows", "?q=a%20b", { view: "flows", query: { q: "a b" } }],
  ["flows/reports/caf%C3%A9", "", { view: "flow", id: "reports/café", query: {} }],
  ["executions/0190", "", { view: "execution", id: "0190", query: {} }],
  ["tokens/x", "", { view: "tokens", query: {} }],
  ["nothing", "", { view: "flows", query: {} }],
])("%s%s is a route", (path, search, route) => expect(parseRoute(path, search)).toEqual(route));

test("a route survives its address", () => {
  const route = { view: "flow", id: "a b/100 %/é?#", query: { q: "x&y=z", sort: "-runs" } };
  const [path = "", search = ""] = formatRoute(route).split(/(?=\?)/);
  expect(parseRoute(path, search)).toEqual(route);
});
