/**
 * A table of records with checkboxes: rows come and go by key, one row at a time takes the Tab key, the arrows move it.
 */

import { h, icon, say } from "./dom.js";

/**
 * A column: `{ name, label, fill(cell, row), of?(row), sortBy?(row) }`. `fill` puts into the cell what the row says;
 * with `of`, only when that has changed.
 */
export class Table {
  /** `wordOf(row)` is what a screen reader calls the row; `onopen(row)` replaces selecting as what a click does. */
  constructor({ label, columns, keyOf, wordOf, isSelectable = () => true, onselect = () => {}, onopen = null, onsort = null }) {
    Object.assign(this, { columns, keyOf, wordOf, isSelectable, onselect, onopen, onsort });
    this.lines = new Map();
    this.rows = [];
    this.selected = new Set();
    this.anchor = null;
    this.all = h("input", { type: "checkbox", "aria-label": "Select all", onclick: () => this.#toggleAll() });
    this.heads = new Map(columns.map((column) => [column.name, this.#head(column)]));
    this.body = h("tbody", { role: "rowgroup" });
    const head = h("tr", { role: "row" }, h("th.check", { role: "columnheader" }, this.all), ...this.heads.values());
    this.element = h("table.table", { role: "table", "aria-label": label }, h("thead", { role: "rowgroup" }, head), this.body);
    this.body.addEventListener("keydown", (event) => this.#key(event));
    this.body.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
    this.body.addEventListener("focusin", (event) => this.#rove(event.target.closest("tr")));
  }

  /** Show these rows in this order; lines that are there already are kept. */
  show(rows) {
    this.rows = rows;
    const keys = new Set(rows.map(this.keyOf));
    const at = [...this.body.children].findIndex((line) => line.contains(document.activeElement));
    for (const [key, line] of this.lines) {
      if (keys.has(key)) continue;
      line.remove();
      this.lines.delete(key);
    }
    let before = null;
    for (const row of rows) {
      const line = this.#line(row);
      const place = before ? before.nextSibling : this.body.firstChild;
      if (place !== line) this.body.insertBefore(line, place);
      before = line;
    }
    // Who stood on a line that is gone goes on from the one in its place.
    if (at >= 0 && !this.body.contains(document.activeElement)) (this.body.children[at] ?? this.body.lastChild)?.focus();
    if (!this.body.contains(this.turn)) this.#rove(this.body.firstChild);
    this.#mark();
  }

  /** Forget selected keys that no longer exist anywhere. */
  retain(keys) {
    for (const key of this.selected) if (!keys.has(key)) this.selected.delete(key);
    this.#mark();
  }

  clear() {
    this.selected.clear();
    this.#mark();
    this.onselect();
  }

  /** Show by which column the rows are sorted. */
  markSort({ name, isDescending }) {
    for (const [column, head] of this.heads) {
      const isIt = column === name;
      if (head.querySelector("button")) head.setAttribute("aria-sort", isIt ? (isDescending ? "descending" : "ascending") : "none");
      head.querySelector(".cloudo-arrow")?.replaceChildren(isIt ? icon(isDescending ? "down" : "up") : "");
    }
  }

  #head(column) {
    const words = column.sortBy
      ? h("button", { onclick: () => this.onsort(column.name) }, column.label, h("span.arrow"))
      : column.label;
    return h(`th.col-${column.name}`, { role: "columnheader", scope: "col", "aria-sort": column.sortBy && "none" }, words);
  }

  #line(row) {
    const key = this.keyOf(row);
    const known = this.lines.get(key);
    const line = known ?? this.#newLine(key);
    const signature = JSON.stringify(row);
    if (line.signature !== signature) this.#fill(line, row, signature);
    return line;
  }

  #newLine(key) {
    const box = h("input", { type: "checkbox", tabindex: -1 });
    const cells = this.columns.map((column) => h(`td.col-${column.name}`, { role: "cell", "data-label": column.label }));
    const line = h("tr", { role: "row", tabindex: -1 }, h("td.check", { role: "cell" }, box), ...cells);
    box.addEventListener("click", (event) => this.#choose(key, event.shiftKey, box.checked));
    line.addEventListener("click", (event) => this.#click(event, line));
    this.lines.set(key, Object.assign(line, { key, box, fields: line.querySelectorAll("td:not(.cloudo-check)") }));
    return line;
  }

  #fill(line, row, signature) {
    const focused = line.contains(document.activeElement) ? [...line.querySelectorAll("a, button, input")].indexOf(document.activeElement) : -1;
    Object.assign(line, { row, signature });
    line.box.setAttribute("aria-label", `Select ${this.wordOf(row)}`);
    line.box.disabled = !this.isSelectable(row);
    this.columns.forEach((column, at) => this.#show(column, line.fields[at], row));
    this.#reach(line);
    if (focused >= 0) line.querySelectorAll("a, button, input")[focused]?.focus();
  }

  #show({ fill, of }, cell, row) {
    const shown = of && JSON.stringify(of(row));
    if (!of || cell.shown !== shown) fill(cell, row);
    cell.shown = shown;
  }

  /** Only the line in turn, and what is in it, is reached by Tab. */
  #rove(line) {
    if (!line || line === this.turn) return;
    const before = this.turn;
    this.turn = line;
    for (const changed of [before, line]) if (changed) this.#reach(changed);
  }

  #reach(line) {
    const tabindex = line === this.turn ? 0 : -1;
    line.tabIndex = tabindex;
    for (const control of line.querySelectorAll("a, button, input")) control.tabIndex = tabindex;
  }

  #click(event, line) {
    if (event.target.closest("a, button, input, label") || String(getSelection())) return;
    if (this.onopen && !event.target.closest(".cloudo-check")) this.onopen(line.row);
    else this.#toggle(line, event.shiftKey);
  }

  #key(event) {
    const line = event.target.closest("tr");
    const lines = [...this.body.children];
    const at = lines.indexOf(line);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (to !== undefined) lines[Math.min(Math.max(to, 0), lines.length - 1)].focus();
    else if (event.target !== line) return;
    else if (event.key === " ") this.#toggle(line, event.shiftKey);
    else if (event.key === "Enter" && this.onopen) this.onopen(line.row);
    else return;
    event.preventDefault();
  }

  #keys() {
    return this.rows.filter(this.isSelectable).map(this.keyOf);
  }

  #toggle({ row, key }, isRange) {
    if (this.isSelectable(row)) this.#choose(key, isRange, !this.selected.has(key));
  }

  /** Select or deselect a line; with `isRange` all from the one chosen last. */
  #choose(key, isRange, isOn) {
    const keys = this.#keys();
    const from = keys.indexOf(this.anchor);
    const to = keys.indexOf(key);
    this.anchor = key;
    this.#set(isRange && from >= 0 ? keys.slice(Math.min(from, to), Math.max(from, to) + 1) : [key], isOn);
  }

  #toggleAll() {
    const keys = this.#keys();
    this.#set(keys, !keys.every((key) => this.selected.has(key)));
  }

  #set(keys, isOn) {
    for (const key of keys) this.selected[isOn ? "add" : "delete"](key);
    this.#mark();
    this.onselect();
  }

  #mark() {
    for (const line of this.lines.values()) {
      line.box.checked = this.selected.has(line.key);
      line.classList.toggle("cloudo-selected", line.box.checked);
    }
    const keys = this.#keys();
    const chosen = keys.filter((key) => this.selected.has(key)).length;
    this.all.checked = chosen > 0 && chosen === keys.length;
    this.all.indeterminate = chosen > 0 && chosen < keys.length;
    this.all.disabled = keys.length === 0;
  }
}

/** Lines that stand for rows still on their way. */
export function skeleton(lines = 6) {
  const line = () => h("div.skeleton-line", h("span"), h("span"), h("span"), h("span"));
  return h("div.skeleton", { "aria-hidden": "true" }, ...Array.from({ length: lines }, line));
}

/** What stands where rows would: a reason and what to do about it. */
export function nothing(title, ...text) {
  return h("div.nothing", h("h2", title), ...text.map((part) => (typeof part === "string" ? h("p", part) : part)));
}

/** The field that filters while one types; "/" goes to it. */
export function filterField(label, value, onchange) {
  const input = h("input.filter-input", { type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false" });
  input.value = value;
  input.addEventListener("input", () => onchange(input.value.trim()));
  return Object.assign(h("label.filter", icon("search"), input, h("kbd", { "aria-hidden": "true" }, "/")), { input });
}

/** The "2 selected" of an action bar, with a way to let go. */
export class Selected {
  constructor(table) {
    this.table = table;
    this.number = h("span");
    this.rest = h("span.rest");
    const clear = h("button.link", { onclick: () => table.clear() }, "Clear");
    this.element = h("span.selected-count", { "aria-live": "polite" }, h("span", this.number, this.rest), clear);
  }

  update() {
    const { selected, rows, keyOf } = this.table;
    const shown = rows.filter((row) => selected.has(keyOf(row))).length;
    const hidden = selected.size - shown;
    say(this.number, String(selected.size));
    say(this.rest, hidden > 0 ? ` selected (${hidden} hidden by the filter)` : " selected");
    this.element.hidden = selected.size === 0;
  }
}
