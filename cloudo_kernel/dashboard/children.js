/**
 * The executions that one execution started, newest first, changing while they run.
 */

import { button, h, put, say } from "./dom.js";
import { statusPill, time } from "./marks.js";
import { ran } from "./words.js";

const byAge = (one, other) => (one.id < other.id ? 1 : -1);

/** The panel of them; hidden while there are none. */
export class Children {
  constructor({ line, place }, id) {
    Object.assign(this, { line, place, id, rows: new Map(), next: null });
    this.words = h("span.count");
    this.list = h("ul.told-list.children");
    this.more = button("Load more", { icon: "down", kind: ".small", onclick: () => this.load({ isMore: true }) });
    this.element = h("section.panel", { "aria-label": "Children", hidden: true }, h("header", h("h2", "Children", this.words)), this.list, h("div.more", this.more));
  }

  /** Fetch the newest ones again, or with `isMore` those before the ones shown. */
  async load({ isMore = false } = {}) {
    const { rows, next } = await this.line.call("children", { execution_id: this.id, cursor: isMore ? this.next : null });
    // What was paged to stays when the newest are read again.
    const isPaged = !isMore && next && this.rows.size > rows.length;
    if (!isMore && !isPaged) this.rows.clear();
    for (const row of rows) this.rows.set(row.id, row);
    if (!isPaged) this.next = next;
    this.#show();
  }

  /** Take news of executions: those that are children of this one. */
  follow(rows, deleted) {
    const news = rows.filter(({ parent_id }) => parent_id === this.id);
    for (const row of news) this.rows.set(row.id, row);
    const gone = deleted.filter((id) => this.rows.delete(id));
    if (news.length + gone.length > 0) this.#show();
  }

  #show() {
    const rows = [...this.rows.values()].sort(byAge);
    put(this.list, ...rows.map((row) => h("li", statusPill(row.status), this.place.toOne(row.id, ".link", row.name), h("span.muted", row.ended_at ? ran(row) : time(row.created_at)))));
    const unended = rows.filter(({ ended_at }) => !ended_at).length;
    say(this.words, [`${rows.length}${this.next ? " newest" : ""}`, unended > 0 && `${unended} under way`].filter(Boolean).join(", "));
    this.element.hidden = rows.length === 0;
    this.more.hidden = !this.next;
  }
}
