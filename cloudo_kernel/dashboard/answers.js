/**
 * The form of an input request: a control for each element of its body, and the answer read back from them.
 */

import { button, h, newId, put, say } from "./dom.js";
import { TRIED_AFTER, fromLocal, parseNumber, toLocal } from "./reading.js";
import { size } from "./words.js";

const INPUT_TYPES = { date: "date", time: "time", datetime: "datetime-local", password: "password", file: "file" };
const MOST_BYTES = 5 * 1024 * 1024;

/** A file as the answer has it: its bytes as Base64. */
function packFile(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, content: reader.result.slice(reader.result.indexOf(",") + 1), type: file.type });
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** One element that asks. It reads as `{}` (left out), `{ value }` or `{ problem }`. */
class AnswerField {
  constructor(key, about, isRequired) {
    Object.assign(this, { key, about, isRequired, kind: about.element });
    this.error = h("p.field-error", { id: newId(), role: "alert" });
    this.control = this.#build();
    this.element = this.#frame();
  }

  async read() {
    const { kind, control } = this;
    if (kind === "toggle") return { value: control.checked };
    if (kind === "multiselect") return { value: this.boxes.filter((box) => box.checked).map((box) => this.about.enum[box.value]) };
    if (kind === "file") return this.#readFile(control.files[0]);
    if (control.validity.badInput) return { problem: "This is incomplete." };
    const text = control.value;
    if (text === "") return this.isRequired ? { problem: "This is required." } : { value: null };
    if (kind === "select") return { value: this.about.enum[Number(text)] };
    if (kind === "number" || kind === "integer") return parseNumber(text, kind === "integer");
    return { value: kind === "datetime" ? fromLocal(text) : text };
  }

  /** Say what is wrong beside the control; an empty message takes it back. */
  complain(message) {
    say(this.error, message);
    this.control.setAttribute("aria-invalid", String(Boolean(message)));
  }

  async #readFile(file) {
    if (!file) return this.isRequired ? { problem: "This is required." } : {};
    if (file.size > MOST_BYTES) return { problem: `This file is too large: at most ${size(MOST_BYTES)} are taken.` };
    return { value: await packFile(file) };
  }

  #build() {
    const { kind, about } = this;
    const attributes = { id: newId(), placeholder: about.example === undefined ? null : `e.g. ${about.example}`, autocomplete: "off", spellcheck: "false" };
    if (kind === "toggle") return h("input", { id: attributes.id, type: "checkbox", checked: about.default === true });
    if (kind === "multiselect") return this.#choices(attributes.id);
    if (kind === "select") return this.#select(attributes);
    const control = kind === "text" ? h("textarea.control", { ...attributes, rows: 4 }) : h("input.control", { ...attributes, type: INPUT_TYPES[kind] ?? "text" });
    if (kind === "integer") control.inputMode = "numeric";
    if (kind === "number") control.inputMode = "decimal";
    if (kind === "time" || kind === "datetime") control.step = 1;
    if (kind !== "file" && about.default !== undefined) control.value = kind === "datetime" ? toLocal(about.default) : String(about.default);
    return control;
  }

  #select(attributes) {
    const options = this.about.enum.map((choice, at) => h("option", { value: at }, String(choice)));
    const control = h("select.control", attributes, h("option", { value: "" }, this.isRequired ? "Choose…" : "none"), ...options);
    const at = this.about.enum.indexOf(this.about.default);
    control.value = at < 0 ? "" : String(at);
    return control;
  }

  #choices(id) {
    const chosen = this.about.default ?? [];
    this.boxes = this.about.enum.map((choice, at) => h("input", { type: "checkbox", value: at, checked: chosen.includes(choice) }));
    return h("div.choices", { id, role: "group" }, ...this.boxes.map((box, at) => h("label", box, h("span", String(this.about.enum[at])))));
  }

  #frame() {
    const { about, control, error } = this;
    const note = about.description && h("p.field-note", { id: newId() }, about.description);
    const name = h("label.field-name", { for: control.id, id: newId() }, about.label);
    const head = h("div.field-head", name, this.isRequired && h("span.field-hint", "required"));
    control.setAttribute("aria-describedby", [note && note.id, error.id].filter(Boolean).join(" "));
    if (this.boxes) control.setAttribute("aria-labelledby", name.id);
    else if (this.isRequired) control.setAttribute("aria-required", "true");
    return control.type === "checkbox" ? h("div.field.field-checkbox", control, head, note, error) : h("div.field", head, note, control, error);
  }
}

/** The next times of a schedule with what is typed in the form. */
class TimesPreview {
  constructor(about, form, line) {
    Object.assign(this, { about, form, line, turn: null });
    this.words = h("p");
    this.notes = h("ul");
    this.element = h("div.preview", { role: "status", "aria-label": about.label }, this.words, this.notes);
  }

  /** Try what is typed, once the typing pauses. */
  follow() {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.look(), TRIED_AFTER);
  }

  async look() {
    const asked = (this.turn = Symbol("the newest preview; answers to older ones are dropped"));
    const keys = Object.values(this.about.preview);
    const answers = {};
    for (const field of this.form.fields.filter(({ key }) => keys.includes(key))) answers[field.key] = (await field.read()).value ?? null;
    let found;
    try {
      found = await this.line.call("preview_answers", { about: this.about.preview, answers });
    } catch (problem) {
      found = { said: problem.message };
    }
    if (asked !== this.turn) return;
    say(this.words, found?.said ?? "");
    put(this.notes, ...(found?.notes ?? []).map((note) => h("li", note)));
  }
}

/** The whole form; `send(response)` promises, and rejects with what is wrong. */
export class AnswerForm {
  constructor(body, send, line) {
    Object.assign(this, { send, line });
    this.error = h("p.field-error", { role: "alert" });
    const elements = Object.entries(body.properties).sort(([, one], [, other]) => one.order - other.order);
    Object.assign(this, { fields: [], previews: [] });
    const shown = elements.filter(([, about]) => about.element !== "submit").map(([key, about]) => this.#element(key, about, body.required));
    const submits = elements.filter(([, about]) => about.element === "submit");
    this.buttons = (submits.length > 0 ? submits : [[null, { label: "Send" }]]).map(([key, about], at) => {
      const submit = button(about.label, { kind: at === 0 ? ".primary" : "", title: about.description || null });
      return Object.assign(submit, { type: "submit", about, answerKey: key });
    });
    this.element = h("form.answer", { novalidate: true }, ...shown, this.error, h("div.answer-buttons", ...this.buttons));
    for (const preview of this.previews) {
      this.element.addEventListener("input", () => preview.follow());
      preview.look();
    }
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(event.submitter ?? this.buttons[0]);
    });
    // Inside JupyterLab the browser's own "Enter submits" does not happen.
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.isComposing) return;
      event.preventDefault();
      this.element.requestSubmit();
    });
  }

  /** Nothing can be sent any more, for this reason. */
  close(reason) {
    say(this.error, reason);
    for (const submit of this.buttons) submit.disabled = true;
  }

  focus() {
    const wrong = this.element.querySelector("[aria-invalid=true]");
    const first = wrong?.matches("[role=group]") ? wrong.querySelector("input") : wrong;
    (first ?? this.element.querySelector(".cloudo-control, input") ?? this.buttons[0]).focus();
  }

  #element(key, about, required) {
    if (about.preview) {
      const preview = new TimesPreview(about, this, this.line);
      this.previews.push(preview);
      return preview.element;
    }
    // What a flow wrote is shown as it was written: marks of Markdown stay marks.
    if (about.element === "markdown") return h("p.told", about.description || about.label);
    const field = new AnswerField(key, about, required.includes(key));
    this.fields.push(field);
    return field.element;
  }

  async #submit({ about, answerKey }) {
    const response = answerKey === null ? {} : { [answerKey]: true };
    // A button that needs nothing takes what is there, right or not.
    const isWaived = about.required?.length === 0;
    let isFine = true;
    say(this.error, "");
    for (const field of this.fields) {
      const { value, problem } = await field.read();
      const isExcused = isWaived || (problem === "This is required." && about.required && !about.required.includes(field.key));
      field.complain(problem && !isExcused ? problem : "");
      if (problem) isFine &&= isExcused;
      else if (value !== undefined) response[field.key] = value;
    }
    if (!isFine) return this.focus();
    for (const submit of this.buttons) submit.disabled = true;
    try {
      await this.#sendAll(response, isWaived);
    } catch (problem) {
      for (const submit of this.buttons) submit.disabled = false;
      const field = this.fields.find(({ key }) => key === problem.field);
      if (field) field.complain(problem.message);
      else say(this.error, problem.message);
      this.focus();
    }
    return undefined;
  }

  /** Send it; where nothing is needed, without what does not fit: nobody corrects a field in order to cancel. */
  async #sendAll(response, isWaived) {
    try {
      return await this.send(response);
    } catch (problem) {
      if (!isWaived || !this.fields.some(({ key }) => key === problem.field && key in response)) throw problem;
      delete response[problem.field];
      return this.#sendAll(response, isWaived);
    }
  }
}
