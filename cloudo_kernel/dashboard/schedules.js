/**
 * The schedules: what each starts, when next, and what became of its last times.
 */

import { confirm } from "./dialogs.js";
import { breakable, button, draw, h, icon, put } from "./dom.js";
import { actOn } from "./executions.js";
import { fillPicture } from "./history.js";
import { refreshTimes, time } from "./marks.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { count } from "./words.js";

const PER_PAGE = 50;
const MOST_SORTED = 500;
const TYPING = 250;
const SETTLE = 500;
const MOST_SINGLE = 20;
const CLOCK = ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M8 4.8V8.2l2.4 1.4"];

/** States of a schedule: the word, the icon, and the status of executions whose colour it has. */
export const STATES = {
  ACTIVE: { word: "Active", icon: () => draw(CLOCK), tone: "RUNNING" },
  WAITING: { word: "Waiting", icon: () => icon("WAITING"), tone: "WAITING" },
  PAUSED: { word: "Paused", icon: () => icon("PAUSED"), tone: "PAUSED" },
  BROKEN: { word: "Broken", icon: () => icon("alert"), tone: "ENDED_ERROR" },
  FINISHED: { word: "Finished", icon: () => icon("ENDED_SUCCESS"), tone: null },
};

/** What can be done with a schedule, and whether its state allows it. */
export const SCHEDULE_ALLOWS = {
  pause: ({ enabled, state }) => enabled && state !== "FINISHED",
  resume: ({ enabled }) => !enabled,
  trigger: () => true,
  delete: () => true,
};

const VERBS = { pause: "pause_schedules", resume: "resume_schedules", trigger: "trigger_schedules", delete: "delete_schedules" };

export const RUN_NOW = "Start one execution now, besides its times";

/** Icon and word of a schedule's state. */
export function statePill(state) {
  const { word, icon: drawn, tone } = STATES[state];
  return h("span.status", { "data-status": tone }, drawn(), h("span", word));
}

/** When it runs next: how far away, and the time in its own zone. */
export function nextRun({ state, next_run, next_text }) {
  if (state === "WAITING") return [h("span.muted", "after the run under way")];
  return next_run ? [time(next_run), h("div.muted", next_text)] : [];
}

/** Do `verb` with each of `rows`; promises the rows it gives. Of what was started is told. */
export async function actOnSchedules(view, verb, rows) {
  const done = await actOn(view, VERBS[verb], rows.map((row) => row.id));
  if (verb === "trigger" && done.length > 0) view.toasts.started(done);
  return done;
}

/** Delete schedules after asking; promises whether it was done. */
export async function deleteSchedules(view, rows) {
  const what = rows.length === 1 ? rows[0].name : count(rows.length, "schedule");
  const text = "Nothing is started by it any more, and the record of its times is removed. Its executions stay.";
  const isSure = await confirm(view.host, { title: `Delete ${what}?`, text, word: "Delete" });
  if (isSure) await actOnSchedules(view, "delete", rows);
  return isSure;
}

const fillSchedule = (cell, row, place) => put(cell, place.toSchedule(row.id, ".title.plain-link", row.name), row.reason && h("div.note", row.reason));

/** The last outcome, what needs a look first. */
const KINDS_BY_NEED = ["failed", "missed", "skipped", "late", "coalesced", "running", "well"];
const needOf = ({ history }) => (history?.length > 0 ? KINDS_BY_NEED.indexOf(history.at(-1).kind) : KINDS_BY_NEED.length);

const scheduleColumns = (place) => [
  { name: "state", label: "State", of: (row) => row.state, fill: (cell, row) => put(cell, statePill(row.state)) },
  { name: "name", label: "Schedule", of: (row) => [row.name, row.reason], fill: (cell, row) => fillSchedule(cell, row, place), sortBy: (row) => row.name.toLowerCase() },
  { name: "flow", label: "Flow", of: (row) => [row.name, row.flow_name], fill: (cell, row) => put(cell, h(row.name === row.flow_name ? "div.path.same" : "div.path", ...breakable(row.flow_name))), sortBy: (row) => row.flow_name.toLowerCase() },
  { name: "when", label: "When", of: (row) => [row.when, row.timezone], fill: (cell, row) => put(cell, h("div", row.when), h("div.muted", row.timezone)) },
  { name: "next", label: "Next run", of: (row) => [row.state, row.next_run], fill: (cell, row) => put(cell, ...nextRun(row)), sortBy: (row) => row.next_run ?? "~" },
  { name: "past", label: "Past runs", of: (row) => row.history, fill: (cell, row) => fillPicture(cell, row.history), sortBy: needOf },
  { name: "by", label: "By", of: (row) => row.user_name, fill: (cell, row) => put(cell, row.user_name) },
];

/** The view of all schedules. */
export class SchedulesView extends ListView {
  constructor(shared) {
    const act = (verb) => () => this.#act(verb);
    const actions = {
      pause: button("Pause", { icon: "pause", onclick: act("pause") }),
      resume: button("Resume", { icon: "play", onclick: act("resume") }),
      trigger: button("Run now", { icon: "again", title: RUN_NOW, onclick: act("trigger") }),
      delete: button("Delete", { icon: "trash", onclick: () => this.#delete() }),
    };
    super(shared, {
      title: "Schedules",
      actions: Object.values(actions),
      table: {
        columns: scheduleColumns(shared.place),
        keyOf: (row) => row.id,
        wordOf: (row) => `${row.name}, ${row.when}`,
        onopen: (row) => this.place.go({ view: "schedule", id: row.id }),
        onsort: (name) => this.sortBy(name),
      },
    });
    // Without a choice the newest come first, as the service has them.
    Object.assign(this, { rows: new Map(), next: null, actions, stale: new Set(), usualSort: "-" });
    this.more = button("Load more", { icon: "down", onclick: () => this.load({ isMore: true }) });
    this.element.append(h("div.more", this.more));
    this.ticker = setInterval(() => refreshTimes(this.body), 1000);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearTimeout(this.patience);
    clearTimeout(this.settling);
  }

  /** Fetch the newest schedules again, or with `isMore` those after the ones shown. */
  load({ isMore = false } = {}) {
    const asked = (this.asked = Symbol("the newest request; answers to older ones are dropped"));
    return this.guarded("The schedules could not be listed", async () => {
      const limit = this.sort.name ? MOST_SORTED : PER_PAGE;
      const page = await this.line.call("schedules", { q: this.place.route.q ?? "", limit, cursor: isMore ? this.next : null });
      if (asked !== this.asked) return;
      const before = new Map(this.rows);
      if (!isMore) this.rows.clear();
      for (const row of page.rows) this.rows.set(row.id, { ...row, history: before.get(row.id)?.history });
      this.next = page.next;
      this.isLoaded = true;
      this.#show();
      await this.#draw(page.rows.map(({ id }) => id));
    });
  }

  /** Take news: schedules that changed, and executions that they started. */
  follow({ rows, schedules = [] }) {
    // A page that nobody sees is read anew when somebody comes back.
    if (!this.isLoaded || document.hidden) return;
    for (const id of [...schedules, ...rows.map((row) => row.schedule_id).filter(Boolean)]) this.stale.add(id);
    if (this.stale.size > 0) this.settling ??= setTimeout(() => this.#refetch(), SETTLE);
  }

  /** Show only what fits: the service filters, once the typing pauses. */
  refine(filter) {
    this.place.refine(filter);
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.load(), TYPING);
  }

  /** Sort by a column: of more schedules than were loaded so far, if there are. */
  sortBy(name) {
    super.sortBy(name);
    if (this.next) this.load();
    else this.#show();
  }

  update() {
    super.update();
    const chosen = this.#chosen();
    for (const verb of Object.keys(this.actions)) this.actions[verb].disabled = !chosen.some(SCHEDULE_ALLOWS[verb]);
    this.more.hidden = !this.next;
    this.more.title = this.next && this.sort.name ? `Sorted are the ${this.rows.size} newest schedules` : "";
  }

  /** Fetch what has changed, one by one if that is few. A new one shows up if it fits the filter. */
  async #refetch() {
    const ids = [...this.stale];
    this.stale.clear();
    const isKnown = ids.every((id) => this.rows.has(id));
    try {
      if (!isKnown || ids.length > MOST_SINGLE) await this.load();
      else {
        const results = await this.line.call("schedule_rows", { ids });
        results.forEach(({ row, error }, at) => {
          if (row) this.rows.set(row.id, { ...row, history: this.rows.get(row.id)?.history });
          else if (error.code === "schedule_not_found") this.rows.delete(ids[at]);
        });
        if (!this.isClosed) this.#show();
        await this.#draw(ids);
      }
    } catch {
      // The frame says when the kernel is silent; the next news try again.
    } finally {
      this.settling = undefined;
      if (this.stale.size > 0 && !this.isClosed) this.follow({ rows: [] });
    }
  }

  /** Fetch the pictures of these schedules. */
  async #draw(ids) {
    const known = ids.filter((id) => this.rows.has(id));
    for (let at = 0; at < known.length && !this.isClosed; at += PER_PAGE) {
      const here = known.slice(at, at + PER_PAGE).filter((id) => this.rows.has(id));
      const items = here.map((id) => ({ id, timezone: this.rows.get(id).timezone }));
      const results = await this.line.call("histories", { items });
      results.forEach(({ row }, nth) => {
        const before = this.rows.get(items[nth].id);
        if (before && row) this.rows.set(items[nth].id, { ...before, history: row });
      });
      if (!this.isClosed) this.#show();
    }
  }

  #show() {
    const none = () => (this.place.route.q ? this.noneFits("No schedule fits the filter", "None has these words in its name or in that of its flow.") : this.#none());
    this.table.retain(new Set(this.rows.keys()));
    this.showRows(this.sorted(this.rows.values()), none);
    this.table.markSort(this.sort);
  }

  #none() {
    const flows = this.place.link({ view: "flows" }, ".link", "Check a flow");
    return nothing("No schedules yet", h("p", flows, ", and the arrow beside Play runs it at a time, at an interval, or every day."));
  }

  #chosen() {
    return [...this.table.selected].map((id) => this.rows.get(id)).filter(Boolean);
  }

  async #act(verb) {
    const rows = await actOnSchedules(this, verb, this.#chosen().filter(SCHEDULE_ALLOWS[verb]));
    if (verb === "trigger") return;
    for (const row of rows) this.rows.set(row.id, { ...row, history: this.rows.get(row.id)?.history });
    this.#show();
  }

  async #delete() {
    if (await deleteSchedules(this, this.#chosen())) this.load();
  }
}
