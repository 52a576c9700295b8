import { signal } from "@preact/signals";
import { describe, expect, it, test } from "vitest";
import { ApiError, type Api } from "../api/client";
import { Pairs, yamlOf, type PairType } from "../forms/pairs";

const VALUES = {
  plain: "north",
  looks: "12",
  "long text": "two\nlines",
  n: 1.5,
  whole: -3,
  on: true,
  off: false,
  none: null,
  texts: ["a", "b c"],
  mixed: [1, "1", null, { deep: ["x: y"] }],
  empty: [],
  map: { key: 1, "odd: key": { inner: "# no comment" } },
  bare: {},
};

describe("rows of inputs", () => {
  it("keep values of all types", () => {
    const state = signal("");
    const pairs = new Pairs(state);
    pairs.fill(VALUES);
    expect(pairs.read()).toEqual({ value: VALUES });
    expect(state.value).not.toBe("");
    pairs.fill({});
    expect([pairs.read(), state.value]).toEqual([{}, ""]);
  });

  test.each<[string, PairType, string, RegExp]>([
    ["", "text", "x", /Enter a name/],
    ["", "boolean", "true", /Enter a name/],
    ["other", "text", "x", /another input other/],
    ["n", "number", "many", /Enter a number/],
    ["n", "list", "[1", /not valid JSON/],
    ["n", "object", "key: 1", /JSON object/],
  ])("named %j of type %s with %j are refused beside the row", (name, type, text, problem) => {
    const pairs = new Pairs(signal(""));
    pairs.fill({ other: 1 });
    pairs.add();
    const { id } = pairs.rows.value[1]!;
    pairs.change(id, { name, type, text });
    expect(pairs.read().problem).toBeTruthy();
    expect(pairs.problems.value[id]?.text).toMatch(problem);
    expect(pairs.problems.value[id]?.isOfName).toBe(name !== "n");
    expect(pairs.toYaml()).toBeTruthy();
    expect(pairs.yaml.value).toBeNull();
  });

  it("read a list by lines, and leave out a row that is empty", () => {
    const pairs = new Pairs(signal(""));
    pairs.add();
    pairs.add();
    pairs.change(pairs.rows.value[1]!.id, { name: "l", type: "list", text: "a\n\n 2 \ntrue" });
    expect(pairs.read()).toEqual({ value: { l: ["a", 2, true] } });
  });
});

describe("YAML", () => {
  it("is asked of the server once, and only its latest text counts", async () => {
    const asked: unknown[] = [];
    const post = (_path: string, body: unknown) => Promise.resolve((asked.push(body), { inputs: { b: 2 } }));
    const api = { post } as unknown as Api;
    const pairs = new Pairs(signal(""));
    pairs.fill({ a: 1 });
    expect(pairs.toYaml()).toBe("");
    expect(pairs.read()).toEqual({ value: { a: 1 } });
    pairs.write("b: 2");
    expect(pairs.read().problem).toMatch(/not been read/);
    await pairs.check(api);
    await pairs.check(api);
    expect([pairs.read(), asked]).toEqual([{ value: { b: 2 } }, [{ yaml: "b: 2" }]]);
    expect(await pairs.toRows(api)).toBe("");
    expect(pairs.rows.value.map(({ name, type, text }) => [name, type, text])).toEqual([["b", "number", "2"]]);
  });

  it("is read again after a server that could not be reached", async () => {
    const replies = [Promise.reject(new ApiError(0, "unreachable", "away")), Promise.resolve({ inputs: { a: 1 } })];
    const pairs = new Pairs(signal(""));
    pairs.write("a: 1");
    const api = { post: () => replies.shift() } as unknown as Api;
    await pairs.check(api);
    expect(pairs.read()).toEqual({ problem: "away" });
    await pairs.check(api);
    expect(pairs.read()).toEqual({ value: { a: 1 } });
  });

  it("is written in blocks, with quotes where they are needed", () =>
    expect(yamlOf({ a: "x y", no: "true", l: ["1", 2], m: { "k:": [] }, s: "\u2028" })).toBe(
      'a: x y\nno: "true"\nl:\n  - "1"\n  - 2\nm:\n  "k:": []\ns: "\\u2028"\n',
    ));
});
