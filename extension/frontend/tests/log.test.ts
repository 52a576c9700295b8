import { expect, it } from "vitest";
import type { LogLine } from "../api/types";
import { isWanted } from "../views/executions/log";

const line = (text: string, level: string, source: LogLine["source"] = "log"): LogLine => ({
  time: "2026-01-01T00:00:00Z",
  level,
  text,
  source,
  cell: null,
});

it("finds the lines of a log by text, level and source", () => {
  const lines = [
    line("Started", "info"),
    line("Low on memory", "warning"),
    line("LOW again", "error"),
    line("low", "info", "stdout"),
    line("bad", "error", "stderr"),
  ];
  const found = (text: string, kind: string) =>
    lines.filter((one) => isWanted(one, { text, kind })).map((one) => one.text);
  expect(found("", "")).toHaveLength(5);
  expect(found(" low ", "")).toEqual(["Low on memory", "LOW again", "low"]);
  expect(found("", "warning")).toEqual(["Low on memory", "LOW again"]);
  expect(found("low", "error")).toEqual(["LOW again"]);
  expect(found("", "stderr")).toEqual(["bad"]);
  expect(found("", "log")).toHaveLength(3);
});
