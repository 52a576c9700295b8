import { expect, test } from "vitest";
import { count, duration, size } from "../ui/words";

test.each([
  [400, "0.4 s"],
  [12_000, "12 s"],
  [185_000, "3 min 05 s"],
  [7_440_000, "2 h 04 min"],
  [273_600_000, "3 d 4 h"],
  [-5, "0.0 s"],
])("%d ms is %s", (milliseconds, words) => expect(duration(milliseconds)).toBe(words));

test("numbers have their nouns", () => {
  expect([count(1, "flow"), count(1234, "flow"), size(999), size(48_000), size(5_200_000)]).toEqual([
    "1 flow",
    "1,234 flows",
    "999 B",
    "48 kB",
    "5.2 MB",
  ]);
});
