import { describe, expect, test } from "vitest";
import type { Schema } from "../api/types";
import { kindOf, parse, textOf, withoutNull } from "../forms/schema";

describe("the control of an input", () => {
  test.each<[Schema, string]>([
    [{ enum: [1, 2] }, "choice"],
    [{ type: "string" }, "text"],
    [{ type: "string", format: "date-time" }, "date-time"],
    [{ type: "string", format: "uri" }, "text"],
    [{ type: "integer" }, "integer"],
    [{ type: "array", items: { type: "string" } }, "lines"],
    [{ type: "array", items: { type: "string" }, default: ["two\nlines"] }, "json"],
    [{ type: "array", items: { type: "object" } }, "json"],
    [{ type: "object" }, "json"],
    [{}, "any"],
  ])("of %j is %s", (schema, kind) => expect(kindOf(schema)).toBe(kind));

  test("is that of the type beside null", () => {
    const { inner, isNullable } = withoutNull({ anyOf: [{ type: "integer" }, { type: "null" }], description: "n" });
    expect([kindOf(inner), inner.description, isNullable]).toEqual(["integer", "n", true]);
  });
});

describe("the value of a text", () => {
  test.each<[Parameters<typeof parse>, unknown]>([
    [["integer", " +12 ", {}], 12],
    [["number", "1e3", {}], 1000],
    [["choice", "1", { enum: ["a", null] }], null],
    [
      ["lines", "a\n\n b ", { items: { type: "string" } }],
      ["a", "b"],
    ],
    [
      ["lines", "1\n2", { items: { type: "integer" } }],
      [1, 2],
    ],
    [["json", '{"a": 1}', { type: "object" }], { a: 1 }],
    [["any", "plain", {}], "plain"],
    [["any", "[1]", {}], [1]],
    [["time", "08:30", {}], "08:30:00"],
  ])("%j is %j", (given, value) => expect(parse(...given)).toEqual({ value }));

  test.each<[Parameters<typeof parse>, RegExp]>([
    [["integer", "1.5", {}], /whole number/],
    [["integer", "9007199254740993", {}], /too large/],
    [["lines", "1\nx", { items: { type: "number" } }], /number/],
    [["json", "[1]", { type: "object" }], /JSON object/],
    [["json", "{", { type: "object" }], /not valid JSON/],
  ])("%j is invalid", (given, problem) => expect(parse(...given).problem).toMatch(problem));

  test("defaults are shown as text", () => {
    expect(textOf("choice", { enum: ["a", "b"], default: "b" })).toBe("1");
    expect(textOf("lines", { default: ["a", "b"] })).toBe("a\nb");
    expect(textOf("any", { default: { a: 1 } })).toBe('{\n  "a": 1\n}');
    expect(textOf("text", {})).toBe("");
  });
});
