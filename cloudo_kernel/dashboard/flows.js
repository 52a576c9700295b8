/**
 * The flows: choose one or more, and play.
 */

import { askInputs } from "./dialogs.js";
import { button, h, icon, newId, put, say } from "./dom.js";
import { mustAsk } from "./form.js";
import { statusDot, statusPill, time } from "./marks.js";
import { Messages } from "./messages.js";
import { labLink } from "./place.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { ago, count } from "./words.js";

const RELIST = 30000;

function fillFlow(cell, flow) {
  const open = labLink(flow.path, ".icon-button.quiet", { "aria-label": `Open ${flow.name} in JupyterLab`, title: "Open in JupyterLab" }, icon("open"));
  put(
    cell,
    h("div.title", h("span", flow.title), open),
    h("div.path", flow.name),
    flow.broken ? h("div.broken", icon("alert"), h("span", `Broken: ${flow.broken}`)) : flow.description && h("div.note", flow.description),
  );
}

function fillRuns(cell, flow, place) {
  const [last, ...older] = flow.last_executions;
  if (!last) return put(cell, h("span.muted", "never"));
  const link = (brief, ...children) => place.toOne(brief.id, ".plain-link", ...children);
  const dots = older.map((brief) => link(brief, statusDot(brief.status, ago(brief.created_at))));
  return put(cell, link(last, statusPill(last.status)), h("div.runs", time(last.created_at), h("span.dots", ...dots.reverse())));
}

const flowColumns = (place) => [
  { name: "name", label: "Flow", fill: (cell, flow) => fillFlow(cell, flow), sortBy: (flow) => flow.title.toLowerCase() },
  { name: "runs", label: "Last run", fill: (cell, flow) => fillRuns(cell, flow, place), sortBy: (flow) => flow.last_executions[0]?.created_at ?? "" },
  { name: "modified", label: "Modified", fill: (cell, flow) => put(cell, time(flow.modified_at)), sortBy: (flow) => flow.modified_at },
  { name: "tags", label: "Tags", fill: (cell, flow) => put(cell, ...flow.tags.map((tag) => h("span.tag", tag))), sortBy: (flow) => flow.tags.join() },
];

/** The view of all flows. */
export class FlowsView extends ListView {
  constructor(shared) {
    const columns = flowColumns(shared.place);
    const play = button("Play", { icon: "play", kind: ".primary", title: "Run the checked flows now, with their defaults", onclick: () => this.#play() });
    const messages = new Messages(shared);
    const playWith = button("Run with inputs…", { icon: "form", title: "Ask for the inputs of the checked flows, then run them", onclick: () => this.#playWithInputs() });
    super(shared, {
      title: "Flows",
      more: [messages.element],
      // The group keeps room for the arrow beside Play that will open "Schedule run" and "Run recurring".
      actions: [h("span.button-group", play), playWith],
      table: { columns, keyOf: (flow) => flow.name, wordOf: (flow) => flow.name, isSelectable: (flow) => !flow.broken, onsort: (name) => this.#sortBy(name) },
    });
    Object.assign(this, { flows: [], columns, messages, buttons: [play, playWith], sort: { name: "name", isDescending: false } });
    this.refresher = setInterval(() => document.hidden || this.load(), RELIST);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.refresher);
  }

  /** Fetch the flows again. */
  load() {
    return this.guarded("The flows could not be listed", async () => {
      const [listed] = await Promise.all([this.line.call("flows"), this.messages.load()]);
      Object.assign(this, listed, { isLoaded: true });
      this.#show();
    });
  }

  /** Take news of executions into the marks of their flows, and of messages into their list. */
  follow({ rows, flows, messages }) {
    if (flows) this.load();
    else if (messages) this.messages.load().catch(() => {});
    const news = rows.filter((row) => row.flow_name);
    for (const row of news) this.#note(row);
    if (this.isLoaded && news.length > 0) this.#show();
  }

  /** Show only flows that hold `q`. */
  refine({ q }) {
    this.place.refine({ q });
    if (this.isLoaded) this.#show();
  }

  update() {
    super.update();
    for (const action of this.buttons) action.disabled = this.table.selected.size === 0;
  }

  #note(row) {
    const at = this.flows.findIndex((flow) => flow.name === row.flow_name);
    if (at < 0) return;
    const known = this.flows[at].last_executions.filter(({ id }) => id !== row.id);
    const last = [...known, row].sort((one, other) => (one.id < other.id ? 1 : -1)).slice(0, 5);
    const briefs = last.map(({ id, status, created_at }) => ({ id, status, created_at }));
    this.flows[at] = { ...this.flows[at], last_executions: briefs };
  }

  #show() {
    this.table.retain(new Set(this.flows.filter((flow) => !flow.broken).map((flow) => flow.name)));
    say(this.count, String(this.flows.length || ""));
    this.showRows(this.#shown(), () => (this.flows.length > 0 ? this.#noneFits() : this.#none()));
    this.table.markSort(this.sort);
  }

  #noneFits() {
    return this.noneFits("No flow fits the filter", `None of ${count(this.flows.length, "flow")} has “${this.place.route.q}” in its name, title, description or tags.`);
  }

  #none() {
    const where = h("p", "Put a notebook into ", h("code", this.folder ?? "flows/"), " and it shows up here. A cell tagged ", h("code", "parameters"), " declares its inputs.");
    return nothing("No flows yet", where);
  }

  #shown() {
    const q = (this.place.route.q ?? "").toLowerCase();
    const fits = (flow) => [flow.name, flow.title, flow.description, ...flow.tags].some((text) => text.toLowerCase().includes(q));
    const { sortBy } = this.columns.find(({ name }) => name === this.sort.name);
    const turn = this.sort.isDescending ? -1 : 1;
    const compare = (one, other) => (one < other ? -turn : one > other ? turn : 0);
    return this.flows.filter(fits).sort((one, other) => compare(sortBy(one), sortBy(other)) || compare(one.name, other.name) * turn);
  }

  #sortBy(name) {
    const isSame = this.sort.name === name;
    this.sort = { name, isDescending: isSame ? !this.sort.isDescending : ["runs", "modified"].includes(name) };
    this.#show();
  }

  async #play() {
    const flows = await this.#checked();
    if (!flows) return;
    const asking = flows.filter(mustAsk);
    const others = flows.filter((flow) => !mustAsk(flow)).map((flow) => ({ flow_name: flow.name, inputs: {} }));
    const start = this.#starter();
    if (asking.length > 0) askInputs(this.host, { flows: asking, others, isBrief: true, start });
    else await start(others).catch((problem) => this.banners.fail("start", problem));
  }

  async #playWithInputs() {
    const flows = await this.#checked();
    if (flows) askInputs(this.host, { flows, isBrief: false, start: this.#starter() });
  }

  /** The checked flows as they are now: a notebook may have been edited since the list was made. */
  async #checked() {
    if (this.isAsking) return null;
    this.isAsking = true;
    this.banners.set("start", "");
    try {
      return await this.line.call("forms", { names: [...this.table.selected].sort() });
    } catch (problem) {
      this.banners.fail("start", problem);
      return null;
    } finally {
      this.isAsking = false;
    }
  }

  /**
   * What starts items `{flow_name, inputs, isAsked}`. Pressed again after a failure it starts nothing twice:
   * the keys are those of the first time. An error of an item without a form shows above the table.
   */
  #starter() {
    const attempt = newId();
    return async (items) => {
      const keyed = items.map(({ flow_name, inputs }) => ({ flow_name, inputs, key: `${attempt} ${flow_name}` }));
      const results = await this.line.call("start", { items: keyed });
      const rows = results.filter(({ row }) => row).map(({ row }) => row);
      if (rows.length > 0) {
        this.toasts.started(rows);
        this.follow({ rows });
      }
      const failed = items.map(({ flow_name, isAsked }, at) => !isAsked && results[at].error && `${flow_name}: ${results[at].error.message}`);
      this.banners.set("start", failed.filter(Boolean).join("\n"), { isClosable: true });
      return results;
    };
  }
}
