/** The inputs of a flow that names none: rows of name, type and value, or YAML, which the server reads. */

import { batch, signal, type Signal } from "@preact/signals";
import { ApiError, type Api } from "../api/client";
import { parseNumber, type Reading } from "./values";

type Inputs = Record<string, unknown>;
export type PairType = "text" | "number" | "boolean" | "list" | "object" | "null";

/** Types and their words. */
export const PAIR_TYPES: readonly (readonly [PairType, string])[] = [
  ["text", "text"],
  ["number", "number"],
  ["boolean", "yes or no"],
  ["list", "list"],
  ["object", "object"],
  ["null", "nothing"],
];

export interface Pair {
  readonly id: number;
  readonly name: string;
  readonly type: PairType;
  readonly text: string;
}

/** The rows, and the YAML while it is shown instead. */
export class Pairs {
  readonly rows = signal<readonly Pair[]>([]);
  readonly yaml = signal<string | null>(null);
  /** What is wrong with rows, by their ids: with the name, else with the value. */
  readonly problems = signal<Record<number, { isOfName: boolean; text: string }>>({});
  private checked: { yaml: string; reading: Reading } | null = null;
  private lastId = 0;

  /** `state` changes with everything that is typed. */
  constructor(private readonly state: Signal<string>) {}

  /** The inputs. Problems of rows are shown beside them with `isShown`. */
  read(isShown = true): Reading {
    const yaml = this.yaml.peek();
    if (yaml !== null)
      return this.checked?.yaml === yaml ? this.checked.reading : { problem: "The YAML has not been read yet." };
    const inputs: [string, unknown][] = [];
    const problems: typeof this.problems.value = {};
    for (const row of this.rows.peek().filter(isUsed)) {
      const name = row.name.trim();
      const { value, problem } = read(row);
      const isTwice = inputs.some(([other]) => other === name);
      if (!name) problems[row.id] = { isOfName: true, text: "Enter a name." };
      else if (isTwice) problems[row.id] = { isOfName: true, text: `There is another input ${name}.` };
      else if (problem) problems[row.id] = { isOfName: false, text: problem };
      inputs.push([name, value]);
    }
    if (isShown) this.problems.value = problems;
    if (Object.keys(problems).length > 0) return { problem: "Some inputs are missing or invalid." };
    return inputs.length > 0 ? { value: Object.fromEntries(inputs) } : {};
  }

  /** Have the server read the YAML, unless it has. What was wrong may have been the connection: it is read again. */
  async check(api: Api): Promise<void> {
    const yaml = this.yaml.peek();
    if (yaml === null || (this.checked?.yaml === yaml && !this.checked.reading.problem)) return;
    let reading: Reading;
    try {
      reading = { value: (await api.post<{ inputs: Inputs }>("inputs/yaml", { yaml })).inputs };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      reading = { problem: error.message };
    }
    if (this.yaml.peek() !== yaml) return;
    this.checked = { yaml, reading };
    this.tell();
  }

  /** Show the rows as YAML. Returns what is wrong with them. */
  toYaml(): string {
    const { value = {}, problem = "" } = this.read();
    if (!problem) this.write(yamlOf(value as Inputs), { value });
    return problem;
  }

  /** Show the YAML as rows. Returns what is wrong with it. */
  async toRows(api: Api): Promise<string> {
    await this.check(api);
    const { value = {}, problem = "" } = this.read();
    if (!problem) this.fill(value as Inputs);
    return problem;
  }

  write(yaml: string, reading?: Reading): void {
    if (reading) this.checked = { yaml, reading };
    this.yaml.value = yaml;
    this.tell();
  }

  fill(inputs: Inputs): void {
    batch(() => {
      this.yaml.value = null;
      this.problems.value = {};
      this.set(Object.entries(inputs).map(([name, value]) => ({ id: ++this.lastId, name, ...shown(value) })));
    });
  }

  add(): void {
    this.set([...this.rows.peek(), { id: ++this.lastId, name: "", type: "text", text: "" }]);
  }

  change(id: number, { ...changes }: Partial<Pair>): void {
    if (changes.type === "boolean") changes.text = "false";
    this.set(this.rows.peek().map((row) => (row.id === id ? { ...row, ...changes } : row)));
  }

  remove(id: number): void {
    this.set(this.rows.peek().filter((row) => row.id !== id));
  }

  private set(rows: readonly Pair[]): void {
    this.rows.value = rows;
    this.tell();
  }

  private tell(): void {
    const rows = this.rows.peek().filter(isUsed);
    const yaml = this.yaml.peek();
    if (yaml !== null) this.state.value = JSON.stringify([yaml, this.checked?.yaml === yaml]);
    else
      this.state.value = rows.length > 0 ? JSON.stringify(rows.map(({ name, type, text }) => [name, type, text])) : "";
  }
}

const isUsed = ({ name, type, text }: Pair): boolean => type !== "text" || Boolean(name.trim() || text.trim());

function shown(value: unknown): Pick<Pair, "type" | "text"> {
  if (value === null) return { type: "null", text: "" };
  if (Array.isArray(value)) {
    return { type: "list", text: value.every(isLine) ? value.map(lineOf).join("\n") : JSON.stringify(value, null, 1) };
  }
  if (typeof value === "object") return { type: "object", text: JSON.stringify(value, null, 1) };
  if (typeof value === "string") return { type: "text", text: value };
  return { type: typeof value as "number" | "boolean", text: String(value) };
}

/** Whether an item of a list can be a line of its own. */
const isLine = (item: unknown): boolean =>
  typeof item === "string"
    ? item === item.trim() && /^[^\n[{"]+$/.test(item) && !isJson(item)
    : item === null || typeof item !== "object";

const lineOf = (item: unknown): string => (typeof item === "string" ? item : JSON.stringify(item));

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function read({ type, text }: Pair): Reading {
  switch (type) {
    case "text":
      return { value: text };
    case "number":
      return parseNumber(text, /^\s*[+-]?\d+\s*$/.test(text));
    case "boolean":
      return { value: text === "true" };
    case "list":
      return text.trim().startsWith("[") ? readJson(text, "[1, 2]") : { value: linesOf(text) };
    case "object":
      return text.trim().startsWith("{") || !text.trim()
        ? readJson(text.trim() || "{}", '{"key": 1}')
        : { problem: 'Enter a JSON object, such as {"key": 1}.' };
    case "null":
      return { value: null };
  }
}

function readJson(text: string, example: string): Reading {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: `This is not valid JSON, such as ${example}: ${(error as Error).message}` };
  }
}

/** One item a line: numbers, true, false and null are what they say. */
const linesOf = (text: string): unknown[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => (isJson(line) ? (JSON.parse(line) as unknown) : line));

/** Inputs as YAML that the server reads as the same values. */
export const yamlOf = (inputs: Inputs, indent = ""): string =>
  Object.entries(inputs)
    .map(([name, value]) => `${indent}${scalar(name)}:${nested(value, `${indent}  `)}\n`)
    .join("");

function nested(value: unknown, indent: string): string {
  if (Array.isArray(value) && value.length > 0) return value.map((item) => `\n${indent}- ${scalar(item)}`).join("");
  if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0)
    return `\n${yamlOf(value as Inputs, indent).slice(0, -1)}`;
  if (typeof value === "string" && BLOCK.test(value)) return ` |-\n${value.replace(/^(?=.)/gm, indent)}`;
  return ` ${scalar(value)}`;
}

/** Texts of several lines that a block of YAML holds as they are. */
const BLOCK = /^[!-~][\x20-~\u00a1-\u1fff]*\n([\x20-~\u00a1-\u1fff]*\n)*[\x20-~\u00a1-\u1fff]*[!-~]$/;

/** JSON is YAML, but for a few characters. Plain words need no quotes. */
function scalar(value: unknown): string {
  if (typeof value === "string" && /^[A-Za-z]([\w ./-]*\w)?$/.test(value) && !/^(true|false|null)$/i.test(value))
    return value;
  const code = (sign: string) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, code);
}
