import { expect, test } from "vitest";
import { visitAt } from "../views/home/visit";

const at = (time: string) => Date.parse(`2026-12-02T${time}:00.000Z`);
const iso = (time: string) => new Date(at(time)).toISOString();

test("the first visit has nothing before it", () => {
  const first = visitAt(null, at("09:00"));
  expect(first).toEqual({ seen: iso("09:00"), before: "" });
  expect(visitAt(first, at("09:10")).before).toBe("");
  expect(visitAt(first, at("10:00")).before).toBe(iso("09:00"));
  expect(visitAt({ seen: "long ago", before: "" }, at("09:00")).before).toBe("");
});

test("a reload, or a page shown again soon, is the same visit", () => {
  const first = { seen: iso("09:00"), before: iso("07:00") };
  expect(visitAt(first, at("09:29"))).toEqual({ seen: iso("09:29"), before: iso("07:00") });
  expect(visitAt(first, at("09:31"))).toEqual({ seen: iso("09:31"), before: iso("09:00") });
});
