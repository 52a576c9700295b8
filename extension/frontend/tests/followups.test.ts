import { describe, expect, it } from "vitest";
import { describeFollowUps, writeFollowUps, type FollowUp } from "../views/schedules/followups";

/** The examples of docs/flows.md. */
const documented: FollowUp[] = [
  { flow: "Notify by email", inputs: {} },
  { flow: "docs/tell", inputs: { channel: "alerts" } },
  { url: "https://hooks.example.com/cloudo", secret: "team.hook_secret" },
];

describe("follow-ups", () => {
  it("are written one per line, each as short as possible", () => {
    expect(writeFollowUps(documented).split("\n")).toEqual([
      "Notify by email",
      '{"flow":"docs/tell","inputs":{"channel":"alerts"}}',
      '{"url":"https://hooks.example.com/cloudo","secret":"team.hook_secret"}',
    ]);
    expect(writeFollowUps([{ url: "https://example.com/hook", secret: null }])).toBe("https://example.com/hook");
  });

  it("tell none from those of the flow", () => {
    expect(writeFollowUps([])).toBe("[]");
    expect(writeFollowUps(null)).toBe("");
    expect(describeFollowUps([])).toBe("nothing");
  });

  it("keep a flow's name apart from the notation", () => {
    expect(writeFollowUps([{ flow: "{x}", inputs: {} }])).toBe('{"flow":"{x}"}');
    expect(writeFollowUps([{ flow: "null", inputs: {} }])).toBe('{"flow":"null"}');
  });

  it("are described", () => {
    expect(describeFollowUps(documented)).toBe(
      'starts Notify by email, starts docs/tell with channel="alerts", ' +
        "calls https://hooks.example.com/cloudo, signed with team.hook_secret",
    );
  });
});
