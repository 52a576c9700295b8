/** The views of the dashboard, and their addresses. Without any library: the extension for JupyterLab has it, too. */

export interface Route {
  view: string;
  /** The id or name of the one object that the view shows. */
  id?: string;
  /** Filters and order of a list. */
  query: Record<string, string>;
}

/** The views of single objects, and the lists they belong to, which are also their addresses. */
const LISTS: Record<string, string> = {
  flow: "flows",
  execution: "executions",
  schedule: "schedules",
  message: "messages",
  webhook: "webhooks",
};
const SINGLES = Object.fromEntries(Object.entries(LISTS).map(([single, list]) => [list, single]));
const VIEWS = new Set(["home", "tokens", "settings", "workers", ...Object.values(LISTS)]);

/** The list that a view belongs to, which may be itself. */
export const listOf = (view: string): string => LISTS[view] ?? view;

/** Read a route from a path below the dashboard's root, and a query. */
export function parseRoute(path: string, search: string): Route {
  const query = Object.fromEntries(new URLSearchParams(search));
  const [list = "", ...rest] = path.split("/");
  if (!VIEWS.has(list)) return { view: "flows", query };
  const single = SINGLES[list];
  const id = rest.map(decodeURIComponent).join("/");
  return single && id ? { view: single, id, query } : { view: list, query };
}

/** Return path and query of a route, below the dashboard's root. */
export function formatRoute({ view, id, query }: Route): string {
  const path = id ? `${listOf(view)}/${id.split("/").map(encodeURIComponent).join("/")}` : view;
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  return search.size > 0 ? `${path}?${search}` : path;
}
