/**
 * The executions: newest first, changing under the reader's eyes.
 */

import { confirm } from "./dialogs.js";
import { breakable, button, h, icon, put, say } from "./dom.js";
import { fillProgress, statusPill, time } from "./marks.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { ALLOWS, RETRY, STATUSES, count, doorOf, isEnded, ran } from "./words.js";

const ROWS = 100;
const PATIENCE = 250;

function fillExecution(cell, row, place) {
  const link = place.toOne(row.id, ".title.plain-link", ...breakable(row.name));
  const path = row.flow_name && row.flow_name !== row.name ? row.flow_name : row.type === "SCRIPT" ? "script" : null;
  put(cell, link, path && h("div.path", ...breakable(path)), row.message && h("div.note", row.message));
}

function fillDuration(cell, row) {
  say(cell, ran(row));
}

function fillStarted(cell, { started_at, scheduled_for, status }) {
  const due = scheduled_for && status !== "ENDED_CANCELLED" && h("span.muted", "due ", time(scheduled_for));
  put(cell, started_at ? time(started_at) : due || h("span.muted", isEnded(status) ? "never" : "not yet"));
}

/** The word for the door; of what a schedule or a webhook started it leads there. */
export function doorLink({ schedule_id, webhook_name, trigger }, place) {
  if (schedule_id) return place.toSchedule(schedule_id, ".link", doorOf(trigger));
  return webhook_name ? place.link({ view: "webhook", id: webhook_name }, ".link", doorOf(trigger)) : doorOf(trigger);
}

const executionColumns = (place) => [
  { name: "status", label: "Status", of: (row) => row.status, fill: (cell, row) => put(cell, statusPill(row.status)) },
  { name: "name", label: "Execution", of: (row) => [row.name, row.message], fill: (cell, row) => fillExecution(cell, row, place) },
  { name: "progress", label: "Progress", fill: fillProgress },
  { name: "duration", label: "Duration", fill: fillDuration },
  { name: "started", label: "Started", of: (row) => [row.started_at, row.scheduled_for, row.status], fill: fillStarted },
  { name: "by", label: "By", of: (row) => row.user_name, fill: (cell, row) => put(cell, h("div", row.user_name), h("div.muted", doorLink(row, place))) },
];

/** Do `verb` with each of `ids`; promises the rows it gives, and says in a banner what failed. */
export async function actOn({ line, banners }, verb, ids) {
  try {
    const results = await line.call(verb, { ids });
    const failed = results.filter(({ error }) => error).map(({ error }) => error.message);
    banners.fail("act", { message: [...new Set(failed)].join("\n") });
    return results.filter(({ row }) => row).map(({ row }) => row);
  } catch (problem) {
    banners.fail("act", problem);
    return [];
  }
}

/** Start `rows` anew, and tell of what was started. */
export async function retry(view, rows) {
  const started = await actOn(view, "retry", rows.map((row) => row.id));
  if (started.length > 0) view.toasts.started(started);
}

/** Pause `rows`; promises what they are then. One that runs goes on to the end of its cell, which is said. */
export async function pause(view, rows) {
  const paused = await actOn(view, "pause", rows.map((row) => row.id));
  if (paused.some(({ status }) => status === "RUNNING")) view.toasts.tell("What runs pauses before its next cell.");
  return paused;
}

/** Delete `rows` after asking; promises whether it was done. */
export async function deleteAfterAsking(view, rows) {
  const what = rows.length === 1 ? rows[0].name : count(rows.length, "execution");
  const text = "Record, log and executed notebook are removed. This cannot be undone.";
  const isSure = await confirm(view.host, { title: `Delete ${what}?`, text, word: "Delete" });
  if (isSure) await actOn(view, "delete", rows.map((row) => row.id));
  return isSure;
}

/** The view of all executions. */
export class ExecutionsView extends ListView {
  constructor(shared) {
    const actions = {
      pause: button("Pause", { icon: "pause", onclick: () => this.#act("pause") }),
      resume: button("Resume", { icon: "play", onclick: () => this.#act("resume") }),
      cancel: button("Cancel", { icon: "stop", onclick: () => this.#act("cancel") }),
      retry: button("Retry", { icon: "again", title: RETRY, onclick: () => retry(this, this.#thatAllow("retry")) }),
      delete: button("Delete", { icon: "trash", onclick: () => this.#delete() }),
    };
    const chips = Object.keys(STATUSES).map((status) => h("button.chip", { "data-status": status, onclick: () => this.#toggle(status) }, icon(status), h("span", STATUSES[status])));
    super(shared, {
      title: "Executions",
      more: [h("div.chips", { role: "group", "aria-label": "Show only" }, ...chips)],
      actions: Object.values(actions),
      table: {
        columns: executionColumns(shared.place),
        keyOf: (row) => row.id,
        wordOf: (row) => `${row.name}, ${STATUSES[row.status] ?? row.status}`,
        onopen: (row) => this.place.go({ view: "execution", id: row.id }),
      },
    });
    Object.assign(this, { rows: new Map(), next: null, chips, actions });
    this.more = button("Load more", { icon: "down", onclick: () => this.load({ isMore: true }) });
    this.element.append(h("div.more", this.more));
    this.ticker = setInterval(() => this.#tick(), 1000);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearTimeout(this.patience);
  }

  /** Fetch the newest executions again, or with `isMore` those after the ones shown. */
  load({ isMore = false } = {}) {
    const asked = (this.asked = Symbol("the newest request; answers to older ones are dropped"));
    return this.guarded("The executions could not be listed", async () => {
      const page = await this.line.call("executions", { ...this.#filter(), limit: ROWS, cursor: isMore ? this.next : null });
      if (asked !== this.asked) return;
      if (!isMore) this.rows.clear();
      for (const row of page.rows) this.rows.set(row.id, row);
      this.next = page.next;
      this.isLoaded = true;
      this.#show();
    });
  }

  /** Take news: changed, new and deleted executions. */
  follow({ rows, deleted = [] }) {
    if (!this.isLoaded) return;
    for (const row of rows) {
      if (this.#fits(row) && this.#isWithin(row)) this.rows.set(row.id, row);
      else this.rows.delete(row.id);
    }
    for (const id of deleted) this.rows.delete(id);
    this.#show();
  }

  /** Show only what fits: the service filters, once the typing pauses. */
  refine(filter) {
    this.place.refine(filter);
    this.update();
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.load(), PATIENCE);
  }

  update() {
    super.update();
    const { status } = this.#filter();
    for (const chip of this.chips) chip.setAttribute("aria-pressed", String(status.includes(chip.dataset.status)));
    const chosen = this.#chosen();
    for (const verb of Object.keys(this.actions)) this.actions[verb].disabled = !chosen.some(ALLOWS[verb]);
    const remove = this.actions.delete;
    remove.disabled = chosen.length === 0 || !chosen.every(ALLOWS.delete);
    remove.title = remove.disabled && chosen.length > 0 ? "Only ended executions can be deleted" : "";
    this.more.hidden = !this.next;
  }

  #filter() {
    const { q = "", status = [] } = this.place.route;
    return { q, status: status.filter((word) => word in STATUSES) };
  }

  #fits(row) {
    const { q, status } = this.#filter();
    const words = [row.name, row.flow_name, row.message, row.id].join("\n").toLowerCase();
    return (status.length === 0 || status.includes(row.status)) && words.includes(q.toLowerCase());
  }

  /** Rows older than those loaded come with "Load more". */
  #isWithin(row) {
    return this.rows.has(row.id) || !this.next || row.id > this.next;
  }

  #show() {
    const { q, status } = this.#filter();
    const none = () => (q || status.length > 0 ? this.noneFits("No execution fits the filter", "New ones that fit appear here by themselves.") : this.#none());
    this.table.retain(new Set(this.rows.keys()));
    this.showRows([...this.rows.values()].sort((one, other) => (one.id < other.id ? 1 : -1)), none);
  }

  #none() {
    const flows = this.place.link({ view: "flows" }, ".link", "Play a flow");
    return nothing("No executions yet", h("p", flows, ", and its execution shows up here while it runs."));
  }

  #toggle(status) {
    const now = this.#filter().status;
    this.refine({ status: now.includes(status) ? now.filter((other) => other !== status) : [...now, status] });
  }

  #chosen() {
    return [...this.table.selected].map((id) => this.rows.get(id)).filter(Boolean);
  }

  #tick() {
    for (const { fields, row } of this.table.lines.values()) {
      if (row.started_at && !row.ended_at) fillDuration(fields[3], row);
    }
  }

  #thatAllow(verb) {
    return this.#chosen().filter(ALLOWS[verb]);
  }

  async #act(verb) {
    const rows = this.#thatAllow(verb);
    this.follow({ rows: verb === "pause" ? await pause(this, rows) : await actOn(this, verb, rows.map((row) => row.id)) });
  }

  async #delete() {
    if (await deleteAfterAsking(this, this.#chosen())) this.load();
  }
}
