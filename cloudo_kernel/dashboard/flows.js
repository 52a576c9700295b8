/**
 * The flows: choose one or more, and play.
 */

import { breakable, button, h, icon, newId, put, say } from "./dom.js";
import { importLater } from "./later.js";
import { PLANNERS } from "./launches.js";
import { statusDot, statusPill, time } from "./marks.js";
import { MenuButton } from "./menu.js";
import { Messages } from "./messages.js";
import { labLink, labUrl } from "./place.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { ago, count } from "./words.js";

const RELIST = 30000;
const SOON = 2000;

/** Whether the flow has inputs without a default, so that Play has to ask. */
const mustAsk = (flow) => (flow.input_schema.required ?? []).length > 0;

function fillFlow(cell, flow) {
  const open = labLink(flow.path, ".icon-button.quiet", { "aria-label": `Open ${flow.name} in JupyterLab`, title: "Open in JupyterLab" }, icon("open"));
  put(
    cell,
    h("div.title", h("span", flow.title), open),
    h("div.path", ...breakable(flow.name)),
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
  { name: "runs", label: "Last run", fill: (cell, flow) => fillRuns(cell, flow, place), sortBy: (flow) => flow.last_executions[0]?.created_at ?? "", isLatestFirst: true },
  { name: "next", label: "Next run", fill: (cell, flow) => put(cell, flow.next_run && time(flow.next_run)), sortBy: (flow) => flow.next_run ?? "~" },
  { name: "modified", label: "Modified", fill: (cell, flow) => put(cell, time(flow.modified_at)), sortBy: (flow) => flow.modified_at, isLatestFirst: true },
  { name: "tags", label: "Tags", fill: (cell, flow) => put(cell, ...flow.tags.map((tag) => h("span.tag", tag))), sortBy: (flow) => flow.tags.join() },
];

/** The view of all flows. */
export class FlowsView extends ListView {
  constructor(shared) {
    const columns = flowColumns(shared.place);
    const play = button("Play", { icon: "play", kind: ".primary", title: "Run the checked flows now, with their defaults", onclick: () => this.#play() });
    const arrow = new MenuButton("Schedule or customise", () => this.#offers());
    const messages = new Messages(shared);
    const playWith = button("Run with inputs…", { icon: "form", title: "Ask for the inputs of the checked flows, then run them", onclick: () => this.#playWithInputs() });
    super(shared, {
      title: "Flows",
      more: [messages.element],
      actions: [h("span.button-group", play, ...arrow.elements), playWith],
      hint: "Check one or more flows to run them.",
      table: { columns, keyOf: (flow) => flow.name, wordOf: (flow) => flow.name, isSelectable: (flow) => !flow.broken, onsort: (name) => this.sortBy(name) },
    });
    Object.assign(this, { flows: [], columns, messages, arrow, buttons: [play, playWith], usualSort: "name" });
    this.refresher = setInterval(() => document.hidden || this.load(), RELIST);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.refresher);
    clearTimeout(this.relisting);
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
  follow({ rows, flows, messages, schedules = [] }) {
    if (flows) this.load();
    else if (schedules.length > 0 || rows.some((row) => row.schedule_id)) this.#loadSoon();
    this.messages.follow({ rows, messages }).catch(() => {});
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
    const isNone = this.table.selected.size === 0;
    for (const action of this.buttons) action.disabled = isNone;
    // It stays in reach, as copying a library flow takes no selection, but does not outshine Play.
    this.arrow.button.classList.toggle("cloudo-primary", !isNone);
  }

  /** When a flow runs next changes with each run of a schedule: list again, but not for each of many at once. */
  #loadSoon() {
    this.relisting ??= setTimeout(() => {
      this.relisting = undefined;
      if (!document.hidden) this.load();
    }, SOON);
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
    return this.sorted(this.flows.filter(fits));
  }

  sortBy(name) {
    super.sortBy(name);
    this.#show();
  }

  /** What the arrow beside Play offers. */
  #offers() {
    const names = [...this.table.selected].sort();
    const isOff = names.length === 0;
    const plans = PLANNERS.map(([word, planner]) => ({ word, isOff, act: () => this.#plan(planner, names) }));
    const copies = PLANNERS.map(([, planner]) => ({ word: `Customise ${planner}…`, act: () => this.#customise(planner) }));
    const title = isOff ? "Check one or more flows first" : names.length === 1 ? names[0] : count(names.length, "flow");
    return [{ title, items: plans }, { title: "Flows that ask for the time", items: copies }];
  }

  /** Start the flow that asks for the time, and go to its question as soon as it is there. */
  async #plan(planner, names) {
    const started = await this.launches.start(planner, names);
    if (started && !this.isClosed) this.messages.expect(started, `${planner} is asking for the time…`);
  }

  /** Open the workspace's own copy of a library flow in JupyterLab. */
  async #customise(planner) {
    // Only what a click opens is no pop-up: the tab is opened now and led there when the copy is made.
    const tab = labUrl("x") && window.open("", "_blank");
    try {
      const { name, path, is_new } = await this.line.call("customise", { flow_name: planner });
      const words = is_new ? `${name} was copied into the workspace: the button runs your copy now.` : `${name} is in the workspace already.`;
      this.toasts.tell(labUrl(path) ? words : `${words} It is ${path}.`, labLink(path, ".link", {}, "Open"));
      if (tab) {
        tab.opener = null;
        tab.location = labUrl(path);
      }
    } catch (problem) {
      tab?.close();
      this.banners.fail("start", problem);
    }
  }

  async #play() {
    const flows = await this.#checked();
    if (!flows) return;
    const asking = flows.filter(mustAsk);
    const others = flows.filter((flow) => !mustAsk(flow)).map((flow) => ({ flow_name: flow.name, inputs: {} }));
    const start = this.#starter();
    if (asking.length > 0) await this.#ask({ flows: asking, others, isBrief: true, start });
    else await start(others).catch((problem) => this.banners.fail("start", problem));
  }

  async #playWithInputs() {
    const flows = await this.#checked();
    if (flows) await this.#ask({ flows, isBrief: false, start: this.#starter() });
  }

  async #ask(what) {
    try {
      const { askInputs } = await importLater(this.line, "inputs");
      if (!this.isClosed) askInputs(this.host, what);
    } catch (problem) {
      this.banners.fail("start", problem);
    }
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
