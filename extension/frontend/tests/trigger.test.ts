import { describe, expect, it } from "vitest";
import { DurationEntry, Invalid, unitOf } from "../forms/entry";
import { TriggerDraft } from "../forms/trigger";

describe("the times of a schedule", () => {
  it("begin with the first kind, and with the present trigger", () => {
    expect(new TriggerDraft({}, "UTC").read()).toEqual({ daily_at: "08:30" });
    expect(new TriggerDraft({}, "UTC", ["cron", "at"]).read()).toEqual({ cron: "0 9 * * 1-5" });
    const trigger = { every_seconds: 7200, wait: false, start: "2026-01-01T00:00:00.123456Z", max_iterations: 3 };
    expect(new TriggerDraft(trigger, "Asia/Tokyo").read()).toEqual(trigger);
    expect(new TriggerDraft({ monthly: { day: "last", at: "10:00" } }, "UTC").read()).toEqual({
      monthly: { day: "last", at: "10:00" },
    });
  });

  it("are another moment in another zone only where they are local moments", () => {
    const daily = new TriggerDraft({ daily_at: "08:30" }, "UTC");
    daily.entries.timezone.text.value = "Asia/Tokyo";
    expect(daily.isTouched).toBe(false);
    const once = new TriggerDraft({ at: "2035-01-01T00:00:00Z" }, "UTC");
    once.entries.timezone.text.value = "Asia/Tokyo";
    expect(once.isTouched).toBe(true);
  });

  it("show an error beside the field that it is about", () => {
    const draft = new TriggerDraft({ every_seconds: 60 }, "UTC");
    expect(draft.tell("trigger.every_seconds", "too short")).toBe(true);
    expect(draft.entries.every.problem.value).toBe("too short");
    expect(draft.tell("cron", "not shown")).toBe(false);
    draft.entries.timezone.text.value = " ";
    expect(() => draft.zone()).toThrow(Invalid);
  });
});

describe("a duration", () => {
  it("has the largest unit that leaves a whole number", () => {
    expect([90, 3600, 172_800, 0.5, 0].map(unitOf)).toEqual(["1", "3600", "86400", "1", "60"]);
  });

  it("is touched by another unit, and empty without a number", () => {
    const entry = new DurationEntry(7200);
    expect([entry.text.value, entry.unit.value, entry.isTouched]).toEqual(["2", "3600", false]);
    entry.unit.value = "60";
    expect([entry.seconds, entry.isTouched]).toEqual([120, true]);
    entry.text.value = "0.1";
    expect(entry.seconds).toBe(6);
    expect(new DurationEntry(null).seconds).toBe(null);
    expect(() => new DurationEntry(null).requiredSeconds).toThrow(Invalid);
  });
});
