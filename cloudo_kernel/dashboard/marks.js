/**
 * Small marks that several views show: status, progress, times.
 */

import { h, icon, put, say } from "./dom.js";
import { STATUSES, ago, moment } from "./words.js";

const wordOf = (status) => STATUSES[status] ?? String(status);

/** Icon and word of a status: shape and text tell it, colour only helps. */
export function statusPill(status) {
  return h("span.status", { "data-status": status }, icon(status), h("span", wordOf(status)));
}

/** The icon alone, its word for screen readers and as a tooltip. */
export function statusDot(status, more = "") {
  const words = [wordOf(status), more].filter(Boolean).join(", ");
  return h("span.status.dot", { "data-status": status, role: "img", "aria-label": words, title: words }, icon(status));
}

/** A moment as "3 minutes ago", in full as its tooltip. `refreshTimes` keeps it true. */
export function time(at) {
  return h("time", { datetime: at, title: moment(at) }, at ? ago(at) : "");
}

export function refreshTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) say(element, ago(element.dateTime));
}

/** Fill `cell` with a bar of done/total cells; a bar that is there already moves. */
export function fillProgress(cell, row) {
  const { done = 0, total = 0, cell: word } = row.progress ?? {};
  if (total === 0) {
    put(cell, row.status === "RUNNING" && h("span.muted", "starting"));
    return;
  }
  let bar = cell.querySelector(".cloudo-progress");
  if (!bar) {
    bar = h("div.progress", { role: "progressbar", "aria-label": "Cells done", "aria-valuemin": 0 }, h("div.progress-bar"));
    put(cell, h("div.progress-line", bar, h("span.progress-words")));
  }
  bar.dataset.status = row.status;
  bar.setAttribute("aria-valuemax", total);
  bar.setAttribute("aria-valuenow", done);
  bar.firstChild.style.transform = `scaleX(${Math.min(1, done / total)})`;
  bar.title = word ?? "";
  say(cell.querySelector(".cloudo-progress-words"), `${done}/${total}`);
}
