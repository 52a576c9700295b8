/**
 * One input of a flow: the control its schema (JSON Schema, draft 7) asks for, and the value read back from it.
 *
 * A field reads as `{}` (leave it out: the flow's own default holds), `{ value }` or `{ problem }`.
 */

import { h, newId, say } from "./dom.js";
import { fromLocal, parseNumber, toLocal } from "./reading.js";

/** The schema without its null, and whether null is allowed. */
function withoutNull(schema) {
  const options = schema.anyOf ?? schema.oneOf ?? (Array.isArray(schema.type) ? schema.type.map((type) => ({ type })) : null);
  if (!options) return { inner: schema, nullable: schema.type === "null" };
  const rest = options.filter((option) => option.type !== "null");
  const inner = rest.length === 1 ? { ...schema, type: undefined, anyOf: undefined, oneOf: undefined, ...rest[0] } : { enum: schema.enum };
  return { inner, nullable: rest.length < options.length };
}

const FORMATS = { date: "date", "date-time": "datetime-local", time: "time" };
const SIMPLE = ["string", "integer", "number"];

/** Which control fits: choice, boolean, integer, number, text, lines, json, any, or a format's own. */
function kindOf(schema) {
  if (Array.isArray(schema.enum)) return "choice";
  if (schema.type === "string") return schema.format in FORMATS ? schema.format : "text";
  if (schema.type === "array") {
    const fallback = Array.isArray(schema.default) ? schema.default : [];
    const isPlain = SIMPLE.includes(schema.items?.type) && !schema.items.enum;
    return isPlain && fallback.every((item) => typeof item !== "string" || !item.includes("\n")) ? "lines" : "json";
  }
  if (["boolean", "integer", "number"].includes(schema.type)) return schema.type;
  return schema.type === "object" ? "json" : "any";
}

const HINTS = {
  text: "text", integer: "whole number", number: "number", boolean: "yes or no", choice: "choice", date: "date", time: "time",
  "date-time": "date and time", lines: "list, one per line", json: "JSON", any: "JSON or text",
};

/** A schema's default as the text of its control. */
function written(kind, value) {
  if (value === undefined || value === null) return "";
  if (kind === "date-time") return toLocal(value);
  if (kind === "lines") return value.join("\n");
  if (kind === "json" || (kind === "any" && typeof value !== "string")) return JSON.stringify(value, null, 2);
  return String(value);
}

function parseLines(text, items) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (items.type === "string") return { value: lines };
  const parsed = lines.map((line) => parseNumber(line, items.type === "integer"));
  return parsed.find(({ problem }) => problem) ?? { value: parsed.map(({ value }) => value) };
}

function parseJson(text, schema) {
  try {
    const value = JSON.parse(text);
    const found = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    const fits = !["array", "object"].includes(schema.type) || found === schema.type;
    return fits ? { value } : { problem: `This must be a JSON ${schema.type}, such as ${schema.type === "array" ? "[1, 2]" : '{"key": 1}'}.` };
  } catch (problem) {
    return { problem: `This is not JSON: ${problem.message}` };
  }
}

/** What the text in a control says. */
function parse(kind, text, schema) {
  if (kind === "integer" || kind === "number") return parseNumber(text, kind === "integer");
  if (kind === "choice") return { value: schema.enum[Number(text)] };
  if (kind === "boolean") return { value: text === "true" };
  if (kind === "date-time") return { value: fromLocal(text) };
  if (kind === "time") return { value: text.length === 5 ? `${text}:00` : text };
  if (kind === "lines") return parseLines(text, schema.items);
  if (kind === "json") return parseJson(text, schema);
  if (kind === "any") {
    const read = parseJson(text, schema);
    return read.problem ? { value: text } : read;
  }
  return { value: text };
}

/** A labelled control for the input `name`. */
export class Field {
  constructor(name, schema, { isRequired }) {
    const { inner, nullable } = withoutNull(schema);
    this.name = name;
    this.schema = { ...inner, default: schema.default };
    this.isRequired = isRequired;
    this.isHidden = Boolean(schema.writeOnly);
    this.isNullable = nullable && !(inner.enum ?? []).includes(null);
    this.kind = kindOf(this.schema);
    this.written = this.kind === "choice" ? this.#place(schema.default) : written(this.kind, schema.default);
    this.placeholder = schema["x-default"] ?? "";
    this.control = this.#build();
    this.error = h("p.field-error", { id: newId(), role: "alert" });
    this.element = this.#frame(schema.description);
  }

  /** What to send: see the head of this module. */
  read() {
    const text = this.control.type === "checkbox" ? String(this.control.checked) : this.control.value;
    if (!this.isRequired && text === this.written) return {};
    if (this.control.validity.badInput) return { problem: "This is incomplete." };
    return text.trim() === "" ? this.#readEmpty() : parse(this.kind, text, this.schema);
  }

  /** Say what is wrong beside the control; an empty message takes it back. */
  complain(message) {
    say(this.error, message);
    this.control.setAttribute("aria-invalid", String(Boolean(message)));
  }

  #readEmpty() {
    if (this.isRequired) return this.isNullable ? { value: null } : { problem: "This has no default: give it a value." };
    if (this.isNullable && this.written !== "") return { value: null };
    return this.kind === "text" && this.written ? { value: "" } : {};
  }

  #place(value) {
    const at = this.schema.enum.findIndex((option) => JSON.stringify(option) === JSON.stringify(value));
    return at < 0 ? "" : String(at);
  }

  #build() {
    const attributes = { id: newId(), placeholder: this.placeholder, autocomplete: this.isHidden ? "new-password" : "off", spellcheck: "false" };
    if (this.kind === "choice") return this.#select(this.schema.enum.map((option, at) => [String(at), option === null ? "none" : String(option)]), attributes);
    if (this.kind === "boolean") {
      const isPlain = !this.isRequired && !this.isNullable && typeof this.schema.default === "boolean";
      if (isPlain) return h("input", { ...attributes, type: "checkbox", checked: this.schema.default });
      return this.#select([["true", "yes"], ["false", "no"]], attributes);
    }
    const isLong = ["lines", "json"].includes(this.kind) || this.written.length > 90 || this.written.includes("\n");
    const control = isLong
      ? h("textarea.control", { ...attributes, rows: Math.min(8, Math.max(2, this.written.split("\n").length)) })
      : h("input.control", { ...attributes, type: FORMATS[this.kind] ?? (this.isHidden ? "password" : "text"), step: FORMATS[this.kind] && this.kind !== "date" ? 1 : null });
    if (this.kind === "integer") control.inputMode = "numeric";
    if (this.kind === "number") control.inputMode = "decimal";
    control.value = this.written;
    return control;
  }

  #select(options, attributes) {
    const none = this.isRequired ? "Choose…" : this.placeholder || "none";
    const shown = this.written === "" || this.isNullable ? [["", none], ...options] : options;
    const control = h("select.control", attributes, ...shown.map(([value, word]) => h("option", { value }, word)));
    control.value = this.written;
    return control;
  }

  #frame(description) {
    const note = description && h("p.field-note", { id: newId() }, description);
    const hint = [HINTS[this.kind], this.isRequired ? "required" : null].filter(Boolean).join(" · ");
    const kind = h("span.field-hint", { id: newId() }, hint);
    const label = h("div.field-head", h("label.field-name", { for: this.control.id }, this.name), kind);
    this.control.setAttribute("aria-describedby", [kind.id, note?.id, this.error.id].filter(Boolean).join(" "));
    if (this.isRequired) this.control.setAttribute("aria-required", "true");
    const body = this.control.type === "checkbox" ? [this.control, label, note] : [label, note, this.control];
    return h(`div.field.field-${this.control.type}`, ...body, this.error);
  }
}
