/**
 * Running the past times of a schedule: which they are is shown while one types, and how far they are afterwards.
 */

import { openDialog } from "./dialogs.js";
import { button, h, put, say } from "./dom.js";
import { Entry, typed } from "./entry.js";
import { TRIED_AFTER, toLocal } from "./reading.js";
import { count, isEnded } from "./words.js";

const WEEK = 7 * 24 * 3600 * 1000;

/** The dialog: `onstarted(ids)` gets the executions. */
class BackfillDialog {
  constructor({ line, host }, { row, local }, onstarted) {
    Object.assign(this, { line, row, onstarted, turn: null, patience: null, number: 0 });
    const today = `${local.now.slice(0, 10)}T00:00:00`;
    const from = `${toLocal(Date.parse(`${local.now.slice(0, 10)}T12:00`) - WEEK).slice(0, 10)}T00:00:00`;
    this.entries = {
      start: new Entry("From", typed("datetime-local", from, { step: 1 })),
      end: new Entry("To, but not at", typed("datetime-local", today, { step: 1 })),
    };
    this.words = h("p");
    this.times = h("ol.backfill-times", { tabindex: 0, "aria-label": "Times to be run" });
    this.trouble = h("p.field-error", { role: "alert" });
    this.go = button("Run", { icon: "play", kind: ".primary" });
    this.go.type = "submit";
    const about = h("p.muted", "Runs the times in this span for which nothing was started, in order, one after another.");
    const fields = h("div.schedule-form", ...Object.values(this.entries).map(({ element }) => element));
    const told = h("div.preview", h("div", { role: "status", "aria-label": "Preview" }, this.words), this.times);
    this.dialog = openDialog(host, `Backfill ${row.name}`, { body: [about, this.trouble, fields, told], buttons: [this.go], onsubmit: () => this.#submit() });
    this.dialog.addEventListener("close", () => clearTimeout(this.patience));
    fields.addEventListener("input", () => {
      clearTimeout(this.patience);
      this.#promise(0);
      this.patience = setTimeout(() => this.#look(), TRIED_AFTER);
    });
    this.entries.start.control.focus();
    this.#promise(0);
    this.#look();
  }

  /** Ask for the times of the span; with `isMeant` run them. */
  #ask(isMeant) {
    const [start, end] = [this.entries.start, this.entries.end].map((entry) => entry.required("Say when, with day and time."));
    return this.line.call("backfill", { schedule_id: this.row.id, start, end, dry_run: !isMeant });
  }

  async #look() {
    const asked = (this.turn = Symbol("the newest question; answers to older ones are dropped"));
    this.#clear();
    try {
      const { times } = await this.#ask(false);
      if (asked !== this.turn) return;
      this.#promise(times.length);
      const none = "Nothing is left to be run in this span: it has no times, or all of them were started.";
      say(this.words, times.length === 0 ? none : `${count(times.length, "time")} (${this.row.timezone}):`);
      put(this.times, ...times.map((text) => h("li", text)));
      this.times.hidden = times.length === 0;
    } catch (problem) {
      if (asked === this.turn) this.#tell(problem);
    }
  }

  /** Say on the button how much it starts. */
  #promise(number) {
    this.number = number;
    say(this.go.lastChild, number > 0 ? `Run ${count(number, "time")}` : "Run");
    this.go.disabled = number === 0;
  }

  #clear() {
    for (const entry of Object.values(this.entries)) entry.complain("");
    say(this.trouble, "");
  }

  #tell(problem) {
    this.#promise(0);
    say(this.words, "");
    put(this.times);
    this.times.hidden = true;
    const entry = problem.entry ?? this.entries[problem.field];
    if (entry) entry.complain(problem.message);
    else say(this.trouble, problem.message);
  }

  async #submit() {
    if (this.number === 0) return;
    clearTimeout(this.patience);
    this.turn = null;
    this.#clear();
    this.go.disabled = true;
    try {
      const { ids } = await this.#ask(true);
      this.dialog.close();
      this.onstarted(ids);
    } catch (problem) {
      this.#tell(problem);
    }
  }
}

/** Open the dialog for a schedule. */
export const openBackfill = (view, whole, onstarted) => new BackfillDialog(view, whole, onstarted);

/** How far the past times are that were started from this page; it stays when all have ended, and says how. */
export class BackfillProgress {
  constructor(toasts) {
    Object.assign(this, { toasts, statuses: new Map() });
    this.words = h("p", { role: "status" });
    this.fill = h("div.progress-bar");
    this.bar = h("div.progress", { role: "progressbar", "aria-label": "Past times run", "aria-valuemin": 0 }, this.fill);
    this.element = h("section.panel.backfill", { "aria-label": "Backfill", hidden: true }, h("header", h("h2", "Backfill"), this.words), this.bar);
  }

  /** Follow these executions. */
  start(ids) {
    this.statuses = new Map(ids.map((id) => [id, "PENDING"]));
    this.element.hidden = ids.length === 0;
    this.#show();
  }

  /** Take news of executions. */
  follow(rows) {
    const ours = rows.filter(({ id }) => this.statuses.has(id));
    for (const { id, status } of ours) this.statuses.set(id, status);
    if (ours.length > 0) this.#show();
  }

  #show() {
    const all = [...this.statuses.values()];
    const done = all.filter(isEnded).length;
    const failed = all.filter((status) => status === "ENDED_ERROR" || status === "ENDED_CANCELLED").length;
    const isOver = done === all.length;
    this.bar.dataset.status = !isOver ? "RUNNING" : failed > 0 ? "ENDED_ERROR" : "ENDED_SUCCESS";
    this.bar.setAttribute("aria-valuemax", all.length);
    this.bar.setAttribute("aria-valuenow", done);
    this.fill.style.transform = `scaleX(${done / Math.max(1, all.length)})`;
    const bad = failed > 0 ? `, ${failed} failed` : "";
    say(this.words, isOver ? `All ${count(all.length, "past time")} done${bad}.` : `${done} of ${count(all.length, "past time")} done${bad}.`);
  }
}
