/** The keys of the page and of its lists: the tables that bind them, and that the help shows. */

import type { App } from "../app/context";

interface PageKey {
  word: string;
  act: (app: App, root: HTMLElement) => void;
}

/** Keys that work wherever nobody types. */
export const PAGE_KEYS: Record<string, PageKey> = {
  "/": { word: "Search in the list", act: (_, root) => focusFilter(root) },
  "?": {
    word: "Show this help",
    act: (app, root) => void import("../app/help").then(({ showHelp }) => showHelp(app, root)),
  },
};

/** After `g`: the view to go to. */
export const GO_KEYS: Record<string, string> = {
  h: "home",
  f: "flows",
  e: "executions",
  s: "schedules",
  m: "messages",
  w: "webhooks",
};

/** Keys of a row that has the focus. `to` is the row to move to, of `count`. */
export const ROW_KEYS: Record<
  string,
  { word: string; to?: (at: number, count: number) => number; does?: "select" | "open" | "expand" | "collapse" }
> = {
  ArrowDown: { word: "Next row", to: (at) => at + 1 },
  ArrowUp: { word: "Row above", to: (at) => at - 1 },
  Home: { word: "First row", to: () => 0 },
  End: { word: "Last row", to: (_, count) => count - 1 },
  " ": { word: "Select the row; with Shift, all from the one selected before", does: "select" },
  Enter: { word: "Open the row", does: "open" },
  ArrowRight: { word: "Show the rows below it", does: "expand" },
  ArrowLeft: { word: "Hide the rows below it, or go to the row that it is below", does: "collapse" },
};

const GO_MS = 1_500;

/** Return a handler of keys for an app, which is drawn in `root`. */
export function pageKeys(app: App, root: () => HTMLElement | null): (event: KeyboardEvent) => void {
  let wentAt = -GO_MS;
  return (event) => {
    const target = event.target as HTMLElement;
    const isTyping =
      /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && (target as HTMLInputElement).type !== "checkbox";
    const element = root();
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !element || element.querySelector("dialog"))
      return;
    const view = event.timeStamp - wentAt < GO_MS ? GO_KEYS[event.key] : undefined;
    wentAt = event.key === "g" ? event.timeStamp : -GO_MS;
    const known = PAGE_KEYS[event.key];
    if (!view && !known) return;
    event.preventDefault();
    if (view) app.place.go(view);
    else known?.act(app, element);
  };
}

function focusFilter(root: HTMLElement): void {
  const filter = root.querySelector<HTMLInputElement>("main .cloudo-filter-input");
  filter?.focus();
  filter?.select();
}
