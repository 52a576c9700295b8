/**
 * The height of the frame that shows an executed notebook. The page in it runs no script and cannot tell its height, so
 * it is estimated from the cells and the measures of `notebook_html.css`: rather too large than too small.
 */

import type { Cell, CellOutput } from "../../api/types";
import { IMAGES } from "./cells";

/** Notebooks with more cells fill the largest frame. */
export const MAX_ESTIMATED_CELLS = 20;

const CODE_LINE = 19.5;
const CODE_CHARACTER = 7.9;
const TEXT_LINE = 23.25;
const TEXT_CHARACTER = 8;
const HEADING = 64;
const TABLE_ROW = 32;
const IMAGE = 500;
/** Margin and border of a cell, and padding of an output. */
const CELL = 36;
const OUTPUT = 12;
const PAGE = 40;
/** What is left of a line beside prompt and paddings. */
const BESIDE = 130;
const NARROW = 600;
const ESCAPES = /\u001b\[[0-9;]*m/g;

/** Return the height of a notebook in a frame of this width, both in pixels. */
export function heightOfNotebook(cells: readonly Cell[], width: number): number {
  // A prompt is above its cell in a narrow frame.
  const prompt = width > NARROW ? 0 : 30;
  const space = Math.max(100, width > NARROW ? width - BESIDE : width - 50);
  const heights = cells.map((cell) =>
    cell.type === "code" ? prompt + codeHeight(cell, space) : textHeight(cell.source, space),
  );
  return Math.ceil(heights.reduce((sum, height) => sum + height, PAGE));
}

function codeHeight({ source, outputs }: Cell, space: number): number {
  const heights = outputs.map((output) => OUTPUT + outputHeight(output, space));
  return heights.reduce((sum, height) => sum + height, CELL + CODE_LINE * linesOf(source, space / CODE_CHARACTER));
}

function outputHeight({ text, data = null }: CellOutput, space: number): number {
  if (data && IMAGES.some((type) => type in data)) return IMAGE;
  const plain = String(text ?? data?.["text/plain"] ?? "");
  if (text === null && data && "text/html" in data) return TABLE_ROW * (2 + plain.split("\n").length);
  if (text === null && !(data && "text/plain" in data)) return IMAGE;
  return CODE_LINE * linesOf(plain.replace(ESCAPES, "").trimEnd(), space / CODE_CHARACTER);
}

function textHeight(source: string, space: number): number {
  if (source.includes("![")) return IMAGE;
  const blocks = source.split(/\n\s*\n/);
  const heights = blocks.map((block) => 18 + TEXT_LINE * linesOf(block, space / TEXT_CHARACTER));
  const headings = source.split("\n").filter((line) => line.startsWith("#")).length;
  return heights.reduce((sum, height) => sum + height, 16 + HEADING * headings);
}

/** Return the number of lines of a text that wraps at `columns`. */
const linesOf = (text: string, columns: number): number =>
  text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
