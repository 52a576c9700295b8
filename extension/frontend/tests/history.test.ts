import { expect, test } from "vitest";
import type { Occurrence } from "../api/types";
import { failuresOf, kindOf, outcomeOf } from "../views/schedules/history";

test.each([
  ["STARTED", 0.1, "ENDED_SUCCESS", "well"],
  ["STARTED", 5.1, "ENDED_SUCCESS", "late"],
  ["STARTED", 5.1, "ENDED_ERROR", "failed"],
  ["STARTED", 5.1, "RUNNING", "running"],
  ["STARTED", 0.1, null, "well"],
  ["SKIPPED", null, null, "skipped"],
  ["MISSED", null, null, "missed"],
  ["COALESCED", null, null, "coalesced"],
])("%s, %s s late, %s is shown as %s", (outcome, lateness_seconds, status, kind) => {
  const occurrence = { outcome, lateness_seconds, execution: status && { status } } as unknown as Occurrence;
  expect(kindOf(occurrence)).toBe(kind);
});

test("a late run says how late it was", () => {
  const late = { outcome: "STARTED", lateness_seconds: 61.4, execution: { status: "ENDED_SUCCESS" } } as Occurrence;
  expect(outcomeOf(late)).toBe("started 61 s late");
});

test("failures in a row are counted from the newest run that has ended", () => {
  const started = (status: string) => ({ outcome: "STARTED", execution: { status } }) as Occurrence;
  const [well, failed, cancelled, running] = ["SUCCESS", "ERROR", "CANCELLED"]
    .map((end) => started(`ENDED_${end}`))
    .concat(started("RUNNING")) as [Occurrence, Occurrence, Occurrence, Occurrence];
  const skipped = { outcome: "SKIPPED" } as Occurrence;
  expect(failuresOf([])).toBe(0);
  expect(failuresOf([failed, well])).toBe(0);
  expect(failuresOf([well, failed, skipped, failed, cancelled, running])).toBe(2);
  expect(failuresOf([failed, failed, failed])).toBe(3);
});
