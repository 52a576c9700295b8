/**
 * One schedule in full: what it starts and when, its next times, and what became of those that have come.
 */

import { BackfillProgress, openBackfill } from "./backfill.js";
import { button, h, put, say } from "./dom.js";
import { valuesPanel } from "./execution.js";
import { outcomeMark } from "./history.js";
import { refreshTimes, time } from "./marks.js";
import { OCCASIONS, editSchedule } from "./scheduleform.js";
import { simpleTable } from "./simpletable.js";
import { RUN_NOW, SCHEDULE_ALLOWS, actOnSchedules, deleteSchedules, nextRun, statePill } from "./schedules.js";
import { nothing } from "./table.js";
import { View } from "./view.js";
import { count, duration, moment } from "./words.js";

const REREAD_AFTER = 500;
const OTHER = { Pause: "Resume", Resume: "Pause" };
const OVERLAPS = { skip: "is skipped", queue: "waits its turn", cancel: "cancels that one", allow: "runs beside it" };
const CATCH_UPS = { last: "the last one runs", none: "none runs", all: "all run, in order" };
/** Whether a schedule has times before it was made: those of an interval that counts from its runs' ends are not known. */
const hasPast = ({ daily_at, monthly, cron, every_seconds, wait }) => Boolean(daily_at || monthly || cron || (every_seconds && wait === false));

const utc = (at) => `${at.slice(0, 10)} ${at.slice(11, 19)}`;
const seconds = (number) => duration(number * 1000);

/** The view of one schedule. */
export class ScheduleView extends View {
  constructor(shared) {
    super(shared);
    Object.assign(this, { id: this.place.route.id, shown: null, past: [], cursor: null });
    this.heading = h("h1", { tabindex: -1 }, "Schedule");
    this.state = h("span.status-place");
    this.actions = h("div.bar.bar-inline", { role: "toolbar", "aria-label": "Actions" });
    this.reason = h("p.reason", { role: "status" });
    this.facts = h("dl.facts");
    this.inputs = h("div");
    this.coming = h("div");
    this.history = h("div");
    this.backfill = new BackfillProgress(this.toasts);
    this.more = button("Load more", { icon: "down", onclick: () => this.#loadPast(this.cursor) });
    const panel = (title, ...inside) => h("section.panel", h("header", h("h2", title)), ...inside);
    const columns = h("div.columns", panel("Next times", this.coming), this.inputs);
    this.whole = h("div.detail", { hidden: true }, this.reason, this.facts, this.backfill.element, columns, panel("Past times", this.history, h("div.more", this.more)));
    const back = this.place.link({ view: "schedules" }, ".link.back", "Schedules");
    const title = h("div.heading", h("div.heading-title", this.heading, this.state), this.actions);
    this.element = h("section.view", { "aria-label": "Schedule" }, h("nav", { "aria-label": "Back" }, back), title, this.body, this.whole);
    this.ticker = setInterval(() => refreshTimes(this.facts), 1000);
    this.load();
  }

  title() {
    return this.shown?.row.name ?? "Schedule";
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearTimeout(this.rereading);
  }

  /** Fetch the schedule and its last times again. */
  load() {
    return this.guarded("The schedule could not be opened", async () => {
      const shown = this.shown;
      try {
        const [whole] = await Promise.all([this.line.call("schedule", { schedule_id: this.id }), this.#loadPast(null)]);
        this.isLoaded = true;
        if (this.shown !== shown) return this.load(); // what was saved meanwhile may be newer than the reply
        this.#show(whole);
      } catch (problem) {
        if (problem.code !== "schedule_not_found") throw problem;
        this.#gone();
      }
    });
  }

  /** Take news of this schedule and of what it started. */
  follow({ rows, schedules = [] }) {
    this.backfill.follow(rows);
    if (document.hidden) return;
    if (!schedules.includes(this.id) && !rows.some((row) => row.schedule_id === this.id)) return;
    this.rereading ??= setTimeout(() => {
      this.rereading = undefined;
      this.load();
    }, REREAD_AFTER);
  }

  /** Fetch a page of past times. The newest come into the place of those that are there already. */
  async #loadPast(cursor) {
    const page = await this.line.call("occurrences", { schedule_id: this.id, cursor });
    const known = new Map(cursor ? this.past.map((row) => [row.due, row]) : []);
    const oldest = page.rows.at(-1)?.due;
    // What was paged to stays when the newest are read again.
    const older = cursor || !page.next ? [] : this.past.filter(({ due }) => due < oldest);
    for (const row of [...page.rows, ...older]) known.set(row.due, row);
    this.past = [...known.values()];
    if (cursor || older.length === 0) this.cursor = page.next;
    this.#showPast();
  }

  #gone() {
    this.whole.hidden = true;
    this.body.hidden = false;
    put(this.actions);
    put(this.state);
    const all = this.place.link({ view: "schedules" }, ".link", "Show schedules");
    put(this.body, nothing("There is no such schedule", "It was deleted, or the address is mistyped. What it started is among the executions.", h("p", all)));
  }

  #show(whole) {
    const { row } = whole;
    const before = this.shown?.row;
    this.shown = whole;
    put(this.body);
    this.body.hidden = true;
    this.whole.hidden = false;
    say(this.heading, row.name);
    if (before?.state !== row.state || before?.enabled !== row.enabled || before.when !== row.when) {
      put(this.state, statePill(row.state));
      this.#showActions(row);
    }
    say(this.reason, row.reason ?? "");
    this.#showFacts(whole);
    put(this.inputs, valuesPanel("Inputs", whole.inputs, "No inputs: the defaults of the flow are used."));
    const lines = whole.next_runs.map((run) => h("tr", h("td", run.text), h("td.muted", utc(run.utc))));
    const none = row.state === "WAITING" ? "The next time is known when the run under way has ended." : "There is no next time.";
    put(this.coming, lines.length > 0 ? simpleTable("Next times", [row.timezone, "UTC"], lines) : h("p.muted", none));
    this.ontitle?.();
  }

  #showFacts({ row, trigger, options, follows, start_text, end_text, created_at }) {
    const isGrid = trigger.every_seconds !== undefined;
    const runs = options.max_iterations ? `${row.iterations} of ${options.max_iterations}` : String(row.iterations);
    const window = options.catch_up_window_seconds;
    const facts = [
      ["Next run", row.next_run || row.state === "WAITING" ? nextRun(row) : null],
      ["When", row.when],
      ["Time zone", row.timezone],
      ["Flow", this.place.link({ view: "executions", q: row.flow_name, status: [] }, ".link", row.flow_name)],
      ["First run", isGrid && start_text],
      ["Times so far", runs],
      ["Ends", end_text],
      ["While one runs, the next", OVERLAPS[options.overlap]],
      ["Of those not started in time", CATCH_UPS[options.catch_up] + (window ? `, if at most ${seconds(window)} late` : "")],
      ["Each starts up to", options.jitter_seconds > 0 && `${seconds(options.jitter_seconds)} later`],
      ["Paused after", options.pause_on_error_count && `${count(options.pause_on_error_count, "failure")} in a row`],
      ["Runs", options.pin_source && "the flow as it was when it was pinned"],
      ...OCCASIONS.map(([name, word]) => [word, follows[name].said]),
      ["Made by", h("span", `${row.user_name}, `, h("span", { title: moment(created_at) }, time(created_at)))],
    ];
    put(this.facts, ...facts.filter(([, value]) => value).map(([name, value]) => h("div", h("dt", name), h("dd", ...[value].flat()))));
  }

  #showPast() {
    const line = (row) =>
      h(
        "tr",
        h("td", row.text),
        h("td", row.execution_id ? this.place.toOne(row.execution_id, ".plain-link", outcomeMark(row)) : outcomeMark(row)),
        h("td", row.lateness_seconds === null ? "" : `${row.lateness_seconds.toFixed(row.lateness_seconds < 10 ? 2 : 0)} s`),
        h("td.muted.why", [row.iteration && `#${row.iteration}`, row.reason].filter(Boolean).join(", ")),
      );
    const table = () => simpleTable("Past times", ["Due", "Outcome", "Late by", "Why"], this.past.map(line));
    put(this.history, this.past.length > 0 ? table() : h("p.muted", "None of its times has come yet."));
    this.more.hidden = !this.cursor;
  }

  #showActions(row) {
    const offer = (verb, word, icon, more = {}) => SCHEDULE_ALLOWS[verb](row) && button(word, { icon, onclick: () => this.#act(verb), ...more });
    const buttons = [
      offer("pause", "Pause", "pause"),
      offer("resume", "Resume", "play"),
      offer("trigger", "Run now", "again", { title: RUN_NOW }),
      hasPast(this.shown.trigger) && button("Backfill", { icon: "past", title: "Run past times for which nothing was started", onclick: () => this.#fillPast() }),
      button("Edit", { icon: "form", onclick: () => this.#edit() }),
      button("Delete", { icon: "trash", onclick: () => this.#delete() }),
    ];
    const focused = this.actions.contains(document.activeElement) ? document.activeElement.textContent : null;
    put(this.actions, ...buttons);
    // Who stood on a button stands on it again, and who pressed Pause on Resume.
    [...this.actions.children].find(({ textContent: word }) => focused && [focused, OTHER[focused]].includes(word))?.focus();
  }

  async #act(verb) {
    await actOnSchedules(this, verb, [this.shown.row]);
    this.load();
  }

  #fillPast() {
    openBackfill(this, this.shown, (ids) => {
      this.backfill.start(ids);
      this.toasts.announce(`Started ${count(ids.length, "execution")}`);
      this.load();
    });
  }

  #edit() {
    const { row } = this.shown;
    editSchedule(this, this.shown, (saved) => {
      this.#show(saved);
      const { next_text, timezone, when } = saved.row;
      this.toasts.tell(`Saved ${row.name}: ${next_text ? `next ${next_text} (${timezone})` : when}`);
    });
  }

  async #delete() {
    if (await deleteSchedules(this, [this.shown.row])) this.place.go({ view: "schedules" });
  }
}
