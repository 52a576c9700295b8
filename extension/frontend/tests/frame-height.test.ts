import { expect, test } from "vitest";
import type { Cell, CellOutput } from "../api/types";
import { heightOfNotebook } from "../views/executions/frame-height";

const output = (more: Partial<CellOutput>) =>
  ({ type: "display", name: null, text: null, data: null, is_cut: false, ...more }) as CellOutput;
const code = (source: string, ...outputs: CellOutput[]) => ({ type: "code", source, outputs }) as unknown as Cell;
const height = (cell: Cell, width = 850) => heightOfNotebook([cell], width);

test("each line adds to the height, and long lines wrap", () => {
  expect(height(code("1\n2\n3")) - height(code("1"))).toBeCloseTo(39, 0);
  expect(height(code("x".repeat(300)), 400)).toBeGreaterThan(height(code("x".repeat(300))));
  const coloured = output({ text: `${"\u001b[31m".repeat(100)}red` });
  expect(height(code("1", coloured))).toBe(height(code("1", output({ text: "red" }))));
});

test("images, tables and unknown outputs are high", () => {
  const high = height(code("1", output({ data: { "image/png": "x", "text/plain": "<Figure>" } })));
  expect(high).toBeGreaterThan(480);
  expect(height(code("1", output({ data: { "application/x-unknown": {} } })))).toBe(high);
  const table = output({ data: { "text/html": "<table>", "text/plain": "a\n1\n2" } });
  expect(height(code("1", table))).toBeGreaterThan(height(code("1", output({ data: { "text/plain": "a\n1\n2" } }))));
});
