/** Which view is open. In the page it is the address; elsewhere it is kept in memory. */

import { signal, type Signal } from "@preact/signals";

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

export interface Place {
  readonly route: Signal<Route>;
  /** Whether the view moved, rather than being the first one: then the new heading takes the focus. */
  readonly hasMoved: boolean;
  go(view: string, id?: string, query?: Record<string, string>): void;
  /** Change filters without a step in the history. */
  refine(query: Record<string, string>): void;
  /** The address of a route, or null where there are no addresses. */
  href(route: Route): string | null;
  close(): void;
  /** In a widget: the route that it shows by itself. */
  readonly home?: Route;
}

abstract class AnyPlace {
  abstract readonly route: Signal<Route>;
  hasMoved = false;

  go(view: string, id?: string, query: Record<string, string> = {}): void {
    this.hasMoved = true;
    this.route.value = { view, id, query };
    this.entered(false);
  }

  refine(query: Record<string, string>): void {
    const { view, id, query: old } = this.route.peek();
    this.route.value = { view, id, query: { ...old, ...query } };
    this.entered(true);
  }

  /** The route has changed; `isRefined` says that only its filters have. */
  protected abstract entered(isRefined: boolean): void;
}

/** The place of a page: the address bar. */
export class AddressPlace extends AnyPlace implements Place {
  readonly route: Signal<Route>;

  /** `root` is the path of the dashboard, ending in `/`. */
  constructor(private readonly root: string) {
    super();
    this.route = signal(this.read());
    addEventListener("popstate", this.popped);
  }

  href(route: Route): string {
    return this.root + formatRoute(route);
  }

  close(): void {
    removeEventListener("popstate", this.popped);
  }

  protected override entered(isRefined: boolean): void {
    history[isRefined ? "replaceState" : "pushState"](null, "", this.href(this.route.peek()));
    if (!isRefined) scrollTo(0, 0);
  }

  private readonly popped = () => {
    this.hasMoved = true;
    this.route.value = this.read();
  };

  private read(): Route {
    return parseRoute(location.pathname.slice(this.root.length), location.search);
  }
}

/** The place of a widget or a panel, which has no address. */
export class MemoryPlace extends AnyPlace implements Place {
  readonly route: Signal<Route>;

  /** The route that the widget shows by itself; links lead away from it. */
  home: Route;

  constructor(view = "flows", id?: string) {
    super();
    this.home = { view, id, query: {} };
    this.route = signal(this.home);
  }

  /** Show another route by itself. */
  reset(route: Route): void {
    this.home = route;
    this.route.value = route;
  }

  href(): null {
    return null;
  }

  close(): void {}

  protected override entered(): void {}
}
