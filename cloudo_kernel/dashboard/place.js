/**
 * Where the reader is: the page's own address below `cloudo/` when the server shows the dashboard as a page,
 * a value in memory when it is one output among others in a notebook.
 */

import { h } from "./dom.js";

const EXECUTION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether `id` has the form of an execution's id; only then it may become part of an address. */
export const isId = (id) => typeof id === "string" && EXECUTION_ID.test(id);

/** The server's base URL as Jupyter's pages tell it, or null outside of them. */
export function baseUrl() {
  try {
    const told = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    return told.baseUrl && new URL(told.baseUrl, location.href).pathname.replace(/\/*$/, "/");
  } catch {
    return null;
  }
}

/** The id of this page's kernel, which Voila tells its page. */
export function kernelId() {
  try {
    return JSON.parse(document.getElementById("jupyter-config-data").textContent).kernelId ?? null;
  } catch {
    return null;
  }
}

/** The address that opens the file at `path` below the workspace in JupyterLab, or null where there is none. */
export function labUrl(path) {
  const base = baseUrl();
  if (!base || !path || path.startsWith("/")) return null;
  return `${base}lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** A link to it, or null. */
export function labLink(path, classes, attributes, ...children) {
  const href = labUrl(path);
  return href && h(`a${classes}`, { href, target: "_blank", ...attributes }, ...children);
}

/** A link to the page that shows REST and tries it, or null where there is none. */
export function explorerLink(classes, ...children) {
  const base = baseUrl();
  return base && h(`a${classes}`, { href: `${base}cloudo/explorer` }, ...children);
}

/** Where others call a webhook. Outside of a server's page only the path is known. */
export function webhookUrl(name) {
  const base = baseUrl();
  return `${base ? location.origin + base : "/"}cloudo/webhook/${name}`;
}

/** The executed notebook as sanitised HTML, or null when no server's page shows the dashboard. */
export function notebookUrl(id) {
  const base = baseUrl();
  return base && isId(id) ? `${base}cloudo/api/1/execution/${id}/notebook?format=html` : null;
}

/** The lists with views of single ones below them. */
const BELOW = { executions: "execution", schedules: "schedule", messages: "message", webhooks: "webhook" };
/** The names of webhooks, which stand in the place of an id in the address. */
const WEBHOOK_NAME = /^[\w-][\w.-]{0,99}$/;

/** Whether something can be the last part of the address of a view. */
const fitsAddress = (view, id) => (view === "webhook" ? WEBHOOK_NAME.test(id) : isId(id));

/** The list that a view belongs to, which may be itself. */
export const listOf = (view) => Object.keys(BELOW).find((list) => BELOW[list] === view) ?? view;

/** Read a route from an address below the dashboard's own. */
function parseRoute(path, query) {
  const [view = "", id = ""] = path.split("/");
  const asked = new URLSearchParams(query);
  const status = (asked.get("status") ?? "").split(",").filter(Boolean);
  const filter = { q: asked.get("q") ?? "", status, sort: asked.get("sort") ?? "" };
  if (view === "tokens") return { view, ...filter };
  if (!Object.hasOwn(BELOW, view)) return { view: "flows", ...filter };
  return fitsAddress(BELOW[view], id) ? { view: BELOW[view], id } : { view, ...filter };
}

/** The current route, and the ways to another one. */
export class Place {
  constructor() {
    /** The dashboard's own address, ending in "cloudo/", when it is a page. */
    this.root = document.body.dataset.cloudoRoot ?? null;
    this.route = this.root ? parseRoute(location.pathname.slice(this.root.length), location.search) : parseRoute("", "");
    /** Called with the new route. */
    this.onchange = () => {};
    this.popped = () => {
      this.route = parseRoute(location.pathname.slice(this.root.length), location.search);
      this.onchange(this.route);
    };
    if (this.root) addEventListener("popstate", this.popped);
  }

  close() {
    removeEventListener("popstate", this.popped);
  }

  /** The address of a route. */
  href(route) {
    if (!this.root) return "#";
    const query = new URLSearchParams();
    if (route.q) query.set("q", route.q);
    if (route.status?.length) query.set("status", route.status.join(","));
    if (route.sort) query.set("sort", route.sort);
    const list = listOf(route.view);
    const path = list === route.view ? list : `${list}/${fitsAddress(route.view, route.id) ? route.id : ""}`;
    return this.root + path + (query.size ? `?${query}` : "");
  }

  go(route) {
    this.route = route;
    if (this.root) history.pushState(null, "", this.href(route));
    this.onchange(route);
  }

  /** Note a changed filter in the address, without a step in the history. */
  refine(filter) {
    this.route = { ...this.route, ...filter };
    if (this.root) history.replaceState(null, "", this.href(this.route));
  }

  /** A link to a route: an ordinary one for the browser's menus, followed here without a new page. */
  link(route, classes, ...children) {
    const follow = (event) => {
      if (this.root && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      event.stopPropagation();
      this.go(route);
    };
    return h(`a${classes}`, { href: this.href(route), onclick: follow }, ...children);
  }

  /** A link to all executions. */
  toAll(classes, ...children) {
    return this.link({ view: "executions" }, classes, ...children);
  }

  /** A link to one execution. */
  toOne(id, classes, ...children) {
    return this.link({ view: "execution", id }, classes, ...children);
  }

  /** A link to one schedule. */
  toSchedule(id, classes, ...children) {
    return this.link({ view: "schedule", id }, classes, ...children);
  }
}
