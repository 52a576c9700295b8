/** Which view is open. In the page it is the address; elsewhere it is kept in memory. */

import { signal, type Signal } from "@preact/signals";
import { formatRoute, listOf, parseRoute, type Route } from "./route";

export { formatRoute, listOf, parseRoute, type Route };

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
