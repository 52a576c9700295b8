/**
 * What the views share: fetching with a word about failures, and for the two lists a filter, a table, a selection.
 */

import { button, h, put } from "./dom.js";
import { Selected, Table, filterField, nothing, skeleton } from "./table.js";

/** One view of the dashboard. `shared` is the frame's `{line, place, toasts, banners, host}`. */
export class View {
  constructor(shared) {
    Object.assign(this, shared);
    this.isLoaded = false;
    this.body = h("div.body", skeleton());
  }

  close() {
    this.isClosed = true;
  }

  /** Have `fetch` done. A failure shows in the place of what is missing, or above what is there already. */
  async guarded(title, fetch) {
    try {
      await fetch();
      this.banners.set("view", "");
    } catch (problem) {
      if (this.isClosed) return;
      const again = { icon: "again", onclick: () => this.load() };
      if (this.isLoaded) this.banners.set("view", problem.message, { word: "Try again", act: again.onclick });
      else put(this.body, nothing(title, problem.message, button("Try again", again)));
    }
  }
}

/** A table with a filter, a selection and a bar of actions on what is selected. */
export class ListView extends View {
  /** `more` are elements between the heading and the bar; `actions` stand in the bar, `hint` says how to get to them. */
  constructor(shared, { title, table, actions, more = [], hint = "" }) {
    super(shared);
    this.heading = title;
    this.table = new Table({ label: title, onselect: () => this.update(), ...table });
    this.selected = new Selected(this.table);
    this.hint = h("span.hint", hint);
    this.filter = filterField(`Filter ${title.toLowerCase()}`, this.place.route.q ?? "", (q) => this.refine({ q }));
    this.count = h("span.count");
    const heading = h("div.heading", h("h1", { tabindex: -1 }, title, this.count), this.filter);
    const bar = h(actions.length > 3 ? "div.bar.bar-many" : "div.bar", { role: "toolbar", "aria-label": "Actions on what is selected" }, ...actions, this.selected.element, this.hint);
    this.element = h("section.view", { "aria-label": title }, heading, ...more, bar, this.body);
  }

  title() {
    return this.heading;
  }

  /** The order that the address names, else the view's own: a column's name, behind "-" for the other way round. */
  get sort() {
    const known = this.table.columns.filter(({ sortBy }) => sortBy).flatMap(({ name }) => [name, `-${name}`]);
    const text = known.includes(this.place.route.sort) ? this.place.route.sort : this.usualSort;
    return { name: text.replace("-", ""), isDescending: text.startsWith("-") };
  }

  /** Sort by a column; by the same again, the other way round. Times have the latest first. */
  sortBy(name) {
    const { name: before, isDescending } = this.sort;
    const column = this.table.columns.find((one) => one.name === name);
    const isTurned = before === name ? !isDescending : Boolean(column.isLatestFirst);
    this.place.refine({ sort: (isTurned ? "-" : "") + name });
  }

  /** Return rows in the current order; the keys decide between equals. */
  sorted(rows) {
    const { name, isDescending } = this.sort;
    const { columns, keyOf } = this.table;
    const sortBy = columns.find((column) => column.name === name)?.sortBy ?? keyOf;
    const turn = isDescending ? -1 : 1;
    const compare = (one, other) => (one < other ? -turn : one > other ? turn : 0);
    return [...rows].sort((one, other) => compare(sortBy(one), sortBy(other)) || compare(keyOf(one), keyOf(other)));
  }

  /** Show these rows, or what `none()` makes when there are none. */
  showRows(rows, none) {
    this.table.show(rows);
    if (rows.length === 0) put(this.body, none());
    else if (this.table.element.parentElement !== this.body) put(this.body, this.table.element);
    this.update();
  }

  /** What stands for rows when the filter lets none through. */
  noneFits(title, text) {
    const clear = () => {
      this.filter.input.value = "";
      this.refine({ q: "", status: [] });
      this.filter.input.focus();
    };
    const none = nothing(title, text, button("Clear the filter", { onclick: clear }));
    none.classList.add("cloudo-unfit");
    return none;
  }

  /** Show what changed in the selection. */
  update() {
    this.selected.update();
    this.hint.hidden = this.table.selected.size > 0;
  }
}
