/**
 * The dashboard's frame: header, navigation, the view in turn, and what is said across views.
 * Joined with the other modules of this folder it is the widget that anywidget loads.
 */

import { button, h, iconButton, put } from "./dom.js";
import { ExecutionView } from "./execution.js";
import { ExecutionsView } from "./executions.js";
import { FlowsView } from "./flows.js";
import { importLater } from "./later.js";
import { Launches } from "./launches.js";
import { Line } from "./line.js";
import { refreshTimes } from "./marks.js";
import { Banners, Toasts } from "./notices.js";
import { Place, baseUrl, explorerLink, kernelId, listOf } from "./place.js";
import { nothing, skeleton } from "./table.js";
import { count, setClock } from "./words.js";

const VIEWS = { flows: FlowsView, executions: ExecutionsView, execution: ExecutionView };
/** Views that come later: in which part, and what they are called there. */
const LATER_VIEWS = {
  schedules: ["schedule", "SchedulesView"],
  schedule: ["schedule", "ScheduleView"],
  messages: ["message", "MessagesView"],
  message: ["message", "MessageView"],
  webhooks: ["webhook", "WebhooksView"],
  webhook: ["webhook", "WebhookView"],
  tokens: ["tokens", "TokensView"],
};
const TABS = { flows: "Flows", executions: "Executions", schedules: "Schedules", messages: "Messages", webhooks: "Webhooks", tokens: "Tokens" };
const MINUTE = 60000;
const WORKERS_EVERY = 4000;

class DashboardApp {
  constructor(model, root) {
    this.root = root;
    this.line = new Line(model);
    this.place = new Place();
    this.banners = new Banners();
    this.toasts = new Toasts(this.place);
    this.main = h("main.main");
    this.launches = new Launches(this);
    this.tabs = Object.fromEntries(Object.entries(TABS).map(([view, word]) => [view, this.place.link({ view }, ".tab", word)]));
    const isPage = this.place.root !== null;
    root.classList.add("cloudo", isPage ? "cloudo-page" : "cloudo-output");
    // Or JupyterLab takes "d", "d" on a row for "delete the cell"; it looks at the focused element before its parents.
    root.addEventListener("focusin", ({ target }) => (target.dataset.lmSuppressShortcuts = "true"));
    put(root, this.#header(isPage), this.banners.element, this.main, this.toasts.element, this.toasts.voice);
    this.place.onchange = () => this.#show({ isMoved: true });
    this.line.onpush = (news) => this.#take(news);
    this.line.onalive = (isAlive) => this.#hearBeat(isAlive);
    this.onkey = (event) => this.#key(event);
    root.addEventListener("keydown", this.onkey);
    if (isPage) document.addEventListener("keydown", this.onkey);
    this.onback = () => document.hidden || this.view?.load();
    document.addEventListener("visibilitychange", this.onback);
    this.resizer = new ResizeObserver(() => this.#measure());
    for (const measured of [root, this.banners.element]) this.resizer.observe(measured);
    this.minutes = setInterval(() => this.#halfMinute(), MINUTE / 2);
  }

  async start() {
    await this.#show({ isMoved: false });
    document.getElementById("cloudo-shell")?.remove();
    try {
      const { now } = await this.line.call("ping");
      setClock(now);
      this.#checkWorkers();
    } catch (problem) {
      this.banners.set("connection", problem.message);
    }
  }

  close() {
    clearInterval(this.minutes);
    clearTimeout(this.workersTimer);
    this.resizer.disconnect();
    document.removeEventListener("keydown", this.onkey);
    document.removeEventListener("visibilitychange", this.onback);
    this.view?.close();
    this.place.close();
    this.line.close();
  }

  /** A page has the brand and the choice of light or dark; inside JupyterLab both are JupyterLab's. */
  #header(isPage) {
    const base = baseUrl();
    const nav = h("nav.tabs", { "aria-label": "Views" }, ...Object.values(this.tabs));
    if (!isPage) return h("header.header", nav);
    const brand = document.querySelector("#cloudo-shell .cloudo-brand")?.cloneNode(true) ?? "Cloudo";
    const theme = iconButton("theme", "Light or dark", { "data-cloudo-theme": true });
    const links = base ? [explorerLink(".header-link", "REST"), h("a.header-link", { href: `${base}lab` }, "JupyterLab")] : [];
    return h("header.header", brand, nav, h("span.header-end", ...links, theme));
  }

  async #show({ isMoved }) {
    const { view } = this.place.route;
    const turn = (this.turn = Symbol("the newest wish to see a view"));
    const Shown = VIEWS[view] ?? (await this.#fetchView(view, { isMoved }));
    if (!Shown || turn !== this.turn) return;
    this.view?.close();
    const { line, place, toasts, banners, launches, root: host } = this;
    this.view = new Shown({ line, place, toasts, banners, launches, host });
    this.view.ontitle = () => this.#title();
    for (const cause of ["view", "start", "act"]) this.banners.set(cause, "");
    put(this.main, this.view.element);
    for (const [name, link] of Object.entries(this.tabs)) {
      if (name === listOf(view)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#reachTab();
    this.#title();
    if (!isMoved) return;
    if (this.place.root) scrollTo(0, 0);
    this.main.querySelector("h1").focus({ preventScroll: true });
  }

  /** What sticks below the header sticks below the banners, too. */
  #measure() {
    this.root.style.setProperty("--banners", `${this.banners.element.offsetHeight}px`);
    this.#reachTab();
  }

  /** In a narrow window the tabs scroll: bring the current one to sight. */
  #reachTab() {
    const tab = this.root.querySelector(".cloudo-tab[aria-current]");
    const row = tab?.parentElement;
    if (row) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
  }

  /** Fetch what shows a view; promises null after saying why there is nothing. */
  async #fetchView(view, again) {
    if (!this.view) put(this.main, h("section.view", h("div.body", skeleton())));
    try {
      const [part, name] = LATER_VIEWS[view];
      return (await importLater(this.line, part))[name];
    } catch (problem) {
      this.view?.close();
      this.view = null;
      put(this.main, nothing("This view could not be loaded", problem.message, button("Try again", { icon: "again", onclick: () => this.#show(again) })));
      return null;
    }
  }

  #halfMinute() {
    refreshTimes(this.root);
    if (!document.hidden) this.#checkWorkers();
  }

  #title() {
    if (this.place.root) document.title = `${this.view.title()} · Cloudo`;
  }

  #take(news) {
    if (news.push === "connection") {
      this.banners.set("connection", news.lost ? `Connection lost, retrying. ${news.lost}` : "");
    } else if (news.push === "resync") {
      this.banners.set("connection", "");
      this.view?.load();
    } else if (news.push === "news") {
      this.toasts.follow(news.rows);
      this.launches.follow(news);
      this.view?.follow(news);
      if (news.workers) this.#checkWorkers();
    }
  }

  /** Warn when nobody would run what is played; a worker that is just starting gets a moment. */
  async #checkWorkers({ isSecond = false } = {}) {
    clearTimeout(this.workersTimer);
    // Of a server that nobody has used yet all is well too: its worker comes with the first use.
    const { status, overdue_schedules: overdue } = await this.line.call("health").catch(() => ({ status: "ok" }));
    const late = overdue && `${count(overdue, "schedule")} ${overdue === 1 ? "is" : "are"} overdue`;
    const words = `No worker is running: ${late || "what is played stays Pending"}. Start one with: cloudo worker`;
    if (status === "ok") this.banners.set("workers", "");
    else if (isSecond) this.banners.set("workers", words, { kind: "warning" });
    if (status !== "ok") this.workersTimer = setTimeout(() => this.#checkWorkers({ isSecond: true }), WORKERS_EVERY);
  }

  /** The kernel fell silent, or is back. In a page the server is asked what became of it. */
  async #hearBeat(isAlive) {
    if (isAlive) {
      if (this.isSilent) this.view?.load();
      this.isSilent = false;
      this.banners.set("kernel", "");
      return;
    }
    this.isSilent = true;
    const reload = { word: "Reload", act: () => location.reload() };
    if (!this.place.root) {
      this.banners.set("kernel", "The kernel is busy or has ended. If this stays, run the cell again.", { kind: "warning" });
      return;
    }
    const reply = await fetch(`${baseUrl()}api/kernels/${kernelId()}`).catch(() => null);
    this.banners.set("connection", "");
    if (reply === null) this.banners.set("kernel", "The server cannot be reached. This page keeps trying.");
    else if (reply.status === 403) this.banners.set("kernel", "You are no longer signed in. Reload to sign in again.", reload);
    else this.banners.set("kernel", "This page's kernel has ended; your executions have not. Reload to get a new one.", reload);
  }

  #key(event) {
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey || this.root.querySelector("dialog")) return;
    const filter = this.main.querySelector(".cloudo-filter-input");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select();
  }
}

/** What anywidget calls for each view of the widget. */
function render({ model, el }) {
  const app = new DashboardApp(model, el);
  app.start();
  return () => app.close();
}

export default { render };
