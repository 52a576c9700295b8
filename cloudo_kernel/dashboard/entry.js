/**
 * What the dashboard's own forms are made of: a labelled control, what is typed in it, and what is wrong with that.
 */

import { h, newId, say } from "./dom.js";
import { parseNumber } from "./reading.js";

/** A control with its label, a note, and a place for what is wrong. */
export class Entry {
  constructor(word, control, note = null, beside = null) {
    this.control = control;
    this.error = h("p.field-error", { id: newId(), role: "alert" });
    const told = note && h("p.field-note", { id: newId() }, note);
    control.id ||= newId();
    control.setAttribute("aria-describedby", [told?.id, this.error.id].filter(Boolean).join(" "));
    const head = h("div.field-head", h("label.field-name", { for: control.id }, word));
    this.element = control.type === "checkbox" ? h("div.field.field-checkbox", control, head, told, this.error) : h("div.field", head, told, beside ? h("div.field-pair", control, beside) : control, this.error);
    this.first = this.#now;
  }

  get text() {
    return this.control.value.trim();
  }

  get isTouched() {
    return this.#now !== this.first;
  }

  get #now() {
    return this.control.type === "checkbox" ? this.control.checked : this.control.value;
  }

  complain(message) {
    say(this.error, message);
    this.control.setAttribute("aria-invalid", String(Boolean(message)));
  }

  /** The number in it, `null` when it is empty; throws what is wrong. */
  number({ isWhole = false, isRequired = false } = {}) {
    if (this.text === "" && !isRequired) return null;
    const { value, problem } = parseNumber(this.text, isWhole);
    if (problem) throw new Wrong(this, problem);
    return value;
  }

  /** The text in it; throws when there is none. */
  required(problem) {
    if (this.control.validity.badInput || this.text === "") throw new Wrong(this, problem);
    return this.text;
  }
}

/** What is typed cannot be sent. */
export class Wrong extends Error {
  constructor(entry, message) {
    super(message);
    this.entry = entry;
  }
}

const textOf = (value) => (value === null || value === undefined ? "" : String(value));

export function typed(type, value, attributes = {}) {
  const control = h("input.control", { type, autocomplete: "off", spellcheck: "false", ...attributes });
  control.value = textOf(value);
  return control;
}

export function area(value, attributes = {}) {
  const control = h("textarea.control", { rows: 4, spellcheck: "false", ...attributes });
  control.value = textOf(value);
  return control;
}

export function chosen(options, value) {
  const control = h("select.control", ...options.map(([key, word]) => h("option", { value: key }, word)));
  control.value = value;
  return control;
}

/** The JSON object that is typed in an entry; throws what is wrong. */
export function readObject(entry) {
  let value = null;
  try {
    value = JSON.parse(entry.text || "{}");
  } catch (problem) {
    throw new Wrong(entry, `This is not JSON: ${problem.message}`);
  }
  if (value?.constructor !== Object) throw new Wrong(entry, 'This must be a JSON object, such as {"key": 1}.');
  return value;
}
