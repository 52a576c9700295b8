/** Which control an input of a flow needs, by its JSON Schema (draft 7), and what the text in the control stands for. */

import type { Schema } from "../api/types";
import { fromLocal, parseNumber, toLocal, type Reading } from "./values";

export type Kind =
  "choice" | "boolean" | "integer" | "number" | "text" | "date" | "date-time" | "time" | "lines" | "json" | "any";

/** Types of `<input>` for string formats. */
export const INPUT_TYPES: Partial<Record<Kind, "date" | "datetime-local" | "time">> = {
  date: "date",
  "date-time": "datetime-local",
  time: "time",
};
const SIMPLE = ["string", "integer", "number"];

export const HINTS: Record<Kind, string> = {
  text: "text",
  integer: "whole number",
  number: "number",
  boolean: "yes or no",
  choice: "choice",
  date: "date",
  time: "time",
  "date-time": "date and time",
  lines: "list, one item per line",
  json: "JSON",
  any: "JSON or text",
};

/** The schema without its null, and whether null is valid. */
export function withoutNull(schema: Schema): { inner: Schema; isNullable: boolean } {
  const types = Array.isArray(schema.type) ? schema.type.map((type) => ({ type })) : null;
  const options: Schema[] | null = schema.anyOf ?? schema.oneOf ?? types;
  if (!options) return { inner: schema, isNullable: schema.type === "null" };
  const rest = options.filter((option) => option.type !== "null");
  const [only] = rest;
  const inner =
    rest.length === 1
      ? { ...schema, type: undefined, anyOf: undefined, oneOf: undefined, ...only }
      : { enum: schema.enum };
  return { inner, isNullable: rest.length < options.length };
}

export function kindOf(schema: Schema): Kind {
  if (Array.isArray(schema.enum)) return "choice";
  if (schema.type === "string") return schema.format && schema.format in INPUT_TYPES ? (schema.format as Kind) : "text";
  if (schema.type === "array") {
    const fallback: unknown[] = Array.isArray(schema.default) ? schema.default : [];
    const isPlain = SIMPLE.includes(String(schema.items?.type)) && !schema.items?.enum;
    return isPlain && fallback.every((item) => typeof item !== "string" || !item.includes("\n")) ? "lines" : "json";
  }
  if (schema.type === "boolean" || schema.type === "integer" || schema.type === "number") return schema.type;
  return schema.type === "object" ? "json" : "any";
}

/** A default as the text of its control. */
export function textOf(kind: Kind, schema: Schema): string {
  const value = schema.default;
  if (kind === "choice") {
    const at = (schema.enum ?? []).findIndex((option) => JSON.stringify(option) === JSON.stringify(value));
    return at < 0 ? "" : String(at);
  }
  if (value === undefined || value === null) return "";
  if (kind === "date-time") return toLocal(String(value));
  if (kind === "lines") return Array.isArray(value) ? value.join("\n") : String(value);
  if (kind === "json" || (kind === "any" && typeof value !== "string")) return JSON.stringify(value, null, 2);
  return String(value);
}

/** What the text in a control stands for. It is not empty. */
export function parse(kind: Kind, text: string, schema: Schema): Reading {
  switch (kind) {
    case "integer":
    case "number":
      return parseNumber(text, kind === "integer");
    case "choice":
      return { value: schema.enum?.[Number(text)] };
    case "boolean":
      return { value: text === "true" };
    case "date-time":
      return { value: fromLocal(text) };
    case "time":
      return { value: text.length === 5 ? `${text}:00` : text };
    case "lines":
      return parseLines(text, schema.items ?? {});
    case "json":
      return parseJson(text, schema);
    case "any": {
      const read = parseJson(text, schema);
      return read.problem ? { value: text } : read;
    }
    default:
      return { value: text };
  }
}

function parseLines(text: string, items: Schema): Reading {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  if (items.type === "string") return { value: lines };
  const parsed = lines.map((line) => parseNumber(line, items.type === "integer"));
  return parsed.find(({ problem }) => problem) ?? { value: parsed.map(({ value }) => value) };
}

function parseJson(text: string, schema: Schema): Reading {
  try {
    const value: unknown = JSON.parse(text);
    const found = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    const wanted = String(schema.type);
    if (!["array", "object"].includes(wanted) || found === wanted) return { value };
    return { problem: `Enter a JSON ${wanted}, such as ${wanted === "array" ? "[1, 2]" : '{"key": 1}'}.` };
  } catch (error) {
    return { problem: `This is not valid JSON: ${(error as Error).message}` };
  }
}
