/**
 * All messages: what flows told and asked, who answered it and when.
 */

import { confirm } from "./dialogs.js";
import { button, h, icon, put } from "./dom.js";
import { actOn } from "./executions.js";
import { refreshTimes, time } from "./marks.js";
import { MESSAGE_STATES, answeredBy, messageState } from "./messages.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { count, moment } from "./words.js";

const PAGE_ROWS = 50;

const messageColumns = (place) => [
  { name: "state", label: "State", of: (row) => row.state, fill: (cell, row) => put(cell, messageState(row)) },
  { name: "name", label: "Message", of: (row) => row.subject, fill: (cell, row) => put(cell, place.link({ view: "message", id: row.id }, ".title.plain-link", row.subject)) },
  { name: "asker", label: "Execution", of: (row) => [row.execution_id, row.asked_by], fill: (cell, row) => put(cell, row.execution_id && place.toOne(row.execution_id, ".link", row.asked_by ?? "Show execution")) },
  { name: "made", label: "Made", of: (row) => row.created_at, fill: (cell, row) => put(cell, time(row.created_at)) },
  { name: "answer", label: "Answered by", of: (row) => [row.state, row.answered_by, row.expires_at], fill: (cell, row) => put(cell, answeredBy(row) ?? untilWhen(row)) },
];

/** Until when an open request waits. */
export const untilWhen = ({ state, expires_at }) => (state === "OPEN" && expires_at ? h("span.muted", { title: moment(expires_at) }, "ends ", time(expires_at)) : null);

/** Delete messages after asking; promises whether it was done. */
export async function deleteMessages(view, rows) {
  const what = rows.length === 1 ? rows[0].subject : count(rows.length, "message");
  const isAwaited = rows.some(({ state }) => state === "OPEN");
  const text = isAwaited ? "A flow that waits for an answer gets an error." : "Its text and its answer are removed.";
  const isSure = await confirm(view.host, { title: `Delete ${what}?`, text, word: "Delete" });
  if (isSure) await actOn(view, "delete_messages", rows.map((row) => row.id));
  return isSure;
}

/** The view of all messages. */
export class MessagesView extends ListView {
  constructor(shared) {
    const remove = button("Delete", { icon: "trash", onclick: () => this.#delete() });
    const chips = Object.entries(MESSAGE_STATES).map(([state, [word, drawn, tone]]) => h("button.chip", { "data-state": state, "data-status": tone, onclick: () => this.#toggle(state) }, icon(drawn), h("span", word)));
    super(shared, {
      title: "Messages",
      more: [h("div.chips", { role: "group", "aria-label": "Show only" }, ...chips)],
      actions: [remove],
      table: {
        columns: messageColumns(shared.place),
        keyOf: (row) => row.id,
        wordOf: (row) => row.subject,
        onopen: (row) => this.place.go({ view: "message", id: row.id }),
      },
    });
    // The service filters by state only; words are looked for among those that are here.
    Object.assign(this, { rows: new Map(), next: null, chips, remove, usualSort: "-" });
    this.more = button("Load more", { icon: "down", onclick: () => this.load({ isMore: true }) });
    this.element.append(h("div.more", this.more));
    this.ticker = setInterval(() => refreshTimes(this.body), 1000);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.ticker);
  }

  /** Fetch the newest messages again, or with `isMore` those after the ones shown. */
  load({ isMore = false } = {}) {
    const asked = (this.asked = Symbol("the newest request; answers to older ones are dropped"));
    return this.guarded("The messages could not be listed", async () => {
      const page = await this.line.call("message_list", { states: this.#states(), limit: PAGE_ROWS, cursor: isMore ? this.next : null });
      if (asked !== this.asked) return;
      const before = new Map(this.rows);
      if (!isMore) this.rows.clear();
      for (const row of page.rows) this.rows.set(row.id, { ...row, asked_by: before.get(row.id)?.asked_by });
      this.next = page.next;
      this.isLoaded = true;
      this.#show();
      await this.#name();
    });
  }

  /** Take news of messages. */
  follow({ messages }) {
    if (messages && this.isLoaded && !document.hidden) this.load();
  }

  refine(filter) {
    this.place.refine(filter);
    this.update();
    if ("status" in filter) this.load();
    else this.#show();
  }

  update() {
    super.update();
    const states = this.#states();
    for (const chip of this.chips) chip.setAttribute("aria-pressed", String(states.includes(chip.dataset.state)));
    this.remove.disabled = this.table.selected.size === 0;
    this.more.hidden = !this.next;
  }

  #states() {
    return (this.place.route.status ?? []).filter((word) => word in MESSAGE_STATES);
  }

  /** Fetch the names of the executions that made them, those that are not known yet. */
  async #name() {
    const ids = [...new Set([...this.rows.values()].filter((row) => row.execution_id && !row.asked_by).map((row) => row.execution_id))];
    if (ids.length === 0) return;
    const names = await this.line.call("askers", { ids });
    for (const [id, row] of this.rows) if (names[row.execution_id]) this.rows.set(id, { ...row, asked_by: names[row.execution_id] });
    if (!this.isClosed) this.#show();
  }

  #show() {
    const { q = "" } = this.place.route;
    const fits = (row) => [row.subject, row.asked_by, row.answered_by].some((text) => text?.toLowerCase().includes(q.toLowerCase()));
    const isFiltered = q || this.#states().length > 0;
    this.table.retain(new Set(this.rows.keys()));
    const none = () => (isFiltered ? this.noneFits("No message fits the filter", "New ones that fit appear here by themselves.") : this.#none());
    this.showRows(this.sorted([...this.rows.values()].filter((row) => !q || fits(row))), none);
  }

  #none() {
    return nothing("No messages yet", h("p", "A flow tells something with ", h("code", 'system.message("…")'), ", and asks with a form. Both show up here."));
  }

  #toggle(state) {
    const now = this.#states();
    this.refine({ status: now.includes(state) ? now.filter((other) => other !== state) : [...now, state] });
  }

  async #delete() {
    const rows = [...this.table.selected].map((id) => this.rows.get(id)).filter(Boolean);
    if (await deleteMessages(this, rows)) this.load();
  }
}
