/**
 * A plain table to read, which scrolls sideways by itself where it is too wide.
 */

import { h } from "./dom.js";

export function simpleTable(label, heads, rows) {
  const head = h("tr", ...heads.map((word) => h("th", { scope: "col" }, word)));
  return h("div.scroll", { tabindex: 0, role: "region", "aria-label": label }, h("table.simple", h("thead", head), h("tbody", ...rows)));
}
