/**
 * One execution in full: what it is, what went in, what came out, what it said, and its notebook.
 */

import { Children } from "./children.js";
import { copyable } from "./copy.js";
import { breakable, button, h, put, say } from "./dom.js";
import { actOn, deleteAfterAsking, doorLink, pause, retry } from "./executions.js";
import { Log } from "./log.js";
import { fillProgress, statusPill } from "./marks.js";
import { messagesPanel } from "./messages.js";
import { Notebook } from "./notebook.js";
import { labLink } from "./place.js";
import { nothing } from "./table.js";
import { View } from "./view.js";
import { ALLOWS, RETRY, STATUSES, isEnded, moment, ran, size } from "./words.js";

const REREAD = 1000;
const COUNTERPART = { Pause: "Resume", Resume: "Pause" };
const WIDE = new Set(["Message", "Cell", "Notebook", "Id"]);

/** A value of the inputs or outputs: text as it is, anything else as JSON; long ones are cut by the kernel. */
function valueEntry({ name, text, size: bytes, is_cut }) {
  const cut = is_cut && h("p.muted", `Shown in part: the whole has ${size(bytes)}.`);
  return h("div.value", h("dt", name), h("dd", h("pre", { tabindex: text.length > 400 ? 0 : null }, text), cut));
}

export function valuesPanel(title, entries, none) {
  const body = entries.length > 0 ? h("dl.values", ...entries.map(valueEntry)) : h("p.muted", none);
  return h("section.panel", h("header", h("h2", title)), body);
}

function errorPanel({ name, value, cell, traceback }) {
  const where = cell === null ? null : h("p.muted", `In cell ${cell + 1} of the notebook.`);
  const trace = traceback.length > 0 && h("details", { open: traceback.length < 40 }, h("summary", "Traceback"), h("pre.trace", { tabindex: 0 }, traceback.join("\n")));
  return h("section.panel.error", { "aria-label": "Error" }, h("header", h("h2", name)), h("p.error-value", value), where, trace);
}

/** The view of one execution. */
export class ExecutionView extends View {
  constructor(shared) {
    super(shared);
    const { line, place } = shared;
    Object.assign(this, { id: place.route.id, shown: null });
    this.heading = h("h1", { tabindex: -1 }, "Execution");
    this.status = h("span.status-place");
    this.progress = h("div.detail-progress");
    this.facts = h("dl.facts");
    this.actions = h("div.bar.bar-inline", { role: "toolbar", "aria-label": "Actions" });
    this.error = h("div", { role: "alert" });
    this.values = h("div.columns");
    this.messages = h("div");
    this.children = new Children(shared, this.id);
    this.log = new Log(line, this.id);
    this.notebook = new Notebook(this.id);
    const back = place.toAll(".link.back", "Executions");
    this.whole = h("div.detail", { hidden: true }, this.progress, this.facts, this.error, this.messages, this.children.element, this.values, this.log.element, this.notebook.element);
    const title = h("div.heading", h("div.heading-title", this.heading, this.status), this.actions);
    this.element = h("section.view", { "aria-label": "Execution" }, h("nav", { "aria-label": "Back" }, back), title, this.body, this.whole);
    this.ticker = setInterval(() => this.#tick(), 1000);
    this.load();
  }

  title() {
    return this.shown?.row.name ?? "Execution";
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearTimeout(this.rereading);
    this.notebook.close();
  }

  /** Fetch the execution again. */
  load() {
    return this.guarded("The execution could not be opened", async () => {
      const execution = await this.line.call("execution", { execution_id: this.id }).catch((problem) => this.#missing(problem));
      if (!execution) return;
      const isFirst = !this.isLoaded;
      this.isLoaded = true;
      this.#show(execution);
      await Promise.all([this.children.load(), isFirst ? this.log.open(execution.log_length) : this.log.read()]);
    });
  }

  /** Take news of this execution. */
  follow({ rows, deleted = [], logged = [], changed = [], messages = false }) {
    if (deleted.includes(this.id)) return this.#gone();
    if (!this.shown) return undefined;
    const row = rows.find(({ id }) => id === this.id);
    const isMoved = row && row.status !== this.shown.row.status;
    if (row) this.#show({ ...this.shown, row });
    this.children.follow(rows, deleted);
    if (logged.includes(this.id)) this.log.read().catch(() => {});
    if (changed.includes(this.id) || isMoved || messages) this.#rereadSoon();
    return undefined;
  }

  /** The whole record may be large: read it at most once a second, however often it changes. */
  #rereadSoon() {
    this.rereading ??= setTimeout(() => {
      this.rereading = undefined;
      this.load();
    }, this.lastRead && Date.now() - this.lastRead < REREAD ? REREAD : 0);
    this.lastRead = Date.now();
  }

  #missing(problem) {
    if (problem.code !== "execution_not_found") throw problem;
    this.#gone();
  }

  #gone() {
    this.whole.hidden = true;
    this.body.hidden = false;
    put(this.actions);
    const all = this.place.toAll(".link", "Show executions");
    put(this.body, nothing("There is no such execution", "It was deleted, has expired, or the address is mistyped.", h("p", all)));
  }

  #show(execution) {
    const { row } = execution;
    const before = this.shown;
    this.shown = execution;
    put(this.body);
    this.body.hidden = true;
    this.whole.hidden = false;
    if (this.heading.textContent !== row.name) put(this.heading, ...breakable(row.name));
    if (before?.row.status !== row.status) {
      put(this.status, statusPill(row.status));
      this.#showActions(row);
      if (before) this.toasts.announce(`${row.name}: ${STATUSES[row.status]}`);
    }
    fillProgress(this.progress, row);
    this.#showFacts(execution);
    if (before === null || execution.inputs !== before.inputs) this.#showValues(execution);
    this.notebook.show(execution);
    this.ontitle?.();
  }

  #showValues({ inputs, outputs, error, messages }) {
    put(this.values, valuesPanel("Outputs", outputs, "No outputs."), valuesPanel("Inputs", inputs, "No inputs: the defaults apply."));
    put(this.error, error && errorPanel(error));
    put(this.messages, messages.length > 0 && messagesPanel(messages, this.place));
  }

  #showFacts({ row, error, notebook, parent_id, retry_of }) {
    const flow = row.flow_name && this.place.link({ view: "executions", q: row.flow_name, status: [] }, ".link", row.flow_name);
    const parent = parent_id && this.place.toOne(parent_id, ".link", "its parent");
    const first = retry_of && this.place.toOne(retry_of, ".link", "an earlier one");
    this.duration = h("span", ran(row));
    const facts = [
      ["Flow", flow || (row.type === "SCRIPT" ? "script" : null)],
      ["Message", error ? null : row.message],
      ["Duration", row.started_at && this.duration],
      ["Created", moment(row.created_at)],
      [row.attempt > 0 ? "Next attempt" : "Not before", !row.started_at && !isEnded(row.status) && row.scheduled_for ? moment(row.scheduled_for) : null],
      ["Started", moment(row.started_at)],
      ["Ended", row.ended_at && moment(row.ended_at)],
      ["Started by", h("span", `${row.user_name}, `, doorLink(row, this.place), parent && ", ", parent)],
      ["Retry of", first],
      ["Attempt", row.attempt > 1 ? String(row.attempt) : null],
      ["Cell", row.started_at && !isEnded(row.status) && row.progress.cell],
      ["Notebook", notebook && h("code", ...breakable(notebook))],
      ["Id", copyable(this.id, "Copy the id", this.toasts)],
    ];
    const signature = JSON.stringify([row, notebook, parent_id]);
    if (signature === this.factsShown) return;
    this.factsShown = signature;
    put(this.facts, ...facts.filter(([, value]) => value).map(([name, value]) => h(WIDE.has(name) ? "div.wide" : "div", h("dt", name), h("dd", value))));
  }

  #showActions(row) {
    const offer = (verb, word, icon, onclick, more = {}) => ALLOWS[verb](row) && button(word, { icon, onclick, ...more });
    const buttons = [
      offer("pause", "Pause", "pause", () => this.#pause()),
      offer("resume", "Resume", "play", () => this.#act("resume")),
      offer("cancel", "Cancel", "stop", () => this.#act("cancel")),
      offer("retry", "Retry", "again", () => retry(this, [this.shown.row]), { title: RETRY }),
      offer("delete", "Delete", "trash", () => this.#delete()),
    ];
    const focused = this.actions.contains(document.activeElement) ? document.activeElement.textContent : null;
    put(this.actions, ...buttons, labLink(this.shown.notebook, ".button", {}, "Open in JupyterLab"));
    // Who stood on a button stands on it again, and who pressed Pause on Resume.
    [...this.actions.children].find(({ textContent: word }) => focused && [focused, COUNTERPART[focused]].includes(word))?.focus();
  }

  #tick() {
    const row = this.shown?.row;
    if (row?.started_at && !row.ended_at) say(this.duration, ran(row));
  }

  async #act(verb) {
    this.follow({ rows: await actOn(this, verb, [this.id]) });
  }

  async #pause() {
    this.follow({ rows: await pause(this, [this.shown.row]) });
  }

  async #delete() {
    if (await deleteAfterAsking(this, [this.shown.row])) this.place.go({ view: "executions" });
  }
}
