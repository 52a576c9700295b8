import { expect, it } from "vitest";
import type { Api } from "../api/client";
import { ApiError } from "../api/client";
import type { Setting } from "../api/types";
import { changesOf, readYaml, writeYaml } from "../views/settings/yaml";

it("writes one value without a name", () => {
  expect(writeYaml(12)).toBe("12");
  expect(writeYaml("12")).toBe('"12"');
  expect(writeYaml("north side")).toBe("north side");
  expect(writeYaml("Dear all,\n  see below\n\nBye.")).toBe("|-\nDear all,\n  see below\n\nBye.");
  expect(writeYaml(" first\nlast")).toBe('" first\\nlast"');
  expect(writeYaml({ a: [1, 2], b: "x" })).toBe("a:\n  - 1\n  - 2\nb: x");
  expect(writeYaml({ a: "x".repeat(20_000) })).toMatch(/^\{"a":"x/);
});

it("has the server read what is not JSON, and counts lines as the reader does", async () => {
  const asked: string[] = [];
  const answer = { value: { inputs: { value: 1 } } as unknown };
  const api = {
    post: (_: string, { yaml }: { yaml: string }) => {
      asked.push(yaml);
      return answer.value instanceof Error ? Promise.reject(answer.value) : Promise.resolve(answer.value);
    },
  } as unknown as Api;
  expect(await readYaml(api, "[1, 2]")).toEqual([1, 2]);
  expect(await readYaml(api, " ")).toBe("");
  expect(asked).toEqual([]);
  await readYaml(api, "a: 1\nb: 2");
  await readYaml(api, "|-\nx\ny");
  expect(asked).toEqual(["value:\n  a: 1\n  b: 2", "value: |-\n  x\n  y"]);
  answer.value = new ApiError(400, "malformed_request", "Line 3: mapping values are not allowed here.");
  await expect(readYaml(api, "a: 1\nb: c: d")).rejects.toThrow("Line 2: mapping values");
});

it("saves what has changed and deletes what is gone", () => {
  const settings = [
    { name: "a", value: 1 },
    { name: "b", value: [2] },
    { name: "c", value: null },
  ] as Setting[];
  expect(changesOf(settings, { a: 1, b: [2, 3], d: "new" })).toEqual({ changed: ["b", "d"], deleted: ["c"] });
});
