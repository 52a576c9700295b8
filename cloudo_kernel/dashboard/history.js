/**
 * What became of the times of a schedule: a word and a shape for each, and the small picture of the last ones.
 */

import { draw, h, put } from "./dom.js";
import { time } from "./marks.js";

/** Shapes differ, so that colour only helps. */
const KINDS = {
  well: { word: "ended well", strokes: ["#M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z"] },
  late: { word: "started late", strokes: ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M8 4.8V8.2l2.4 1.4"] },
  failed: { word: "failed", strokes: ["M3.5 3.5l9 9M12.5 3.5l-9 9"] },
  running: { word: "under way", strokes: ["M8 2a6 6 0 1 1-6 6"] },
  skipped: { word: "skipped", strokes: ["M3 8h10"] },
  missed: { word: "missed", strokes: ["M8 2a6 6 0 0 1 4.2 1.8M14 8a6 6 0 0 1-1.8 4.2M8 14a6 6 0 0 1-4.2-1.8M2 8a6 6 0 0 1 1.8-4.2"] },
  coalesced: { word: "done with a later one", strokes: ["#M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5Z"] },
};

const LEGEND = "The last 20 times, the newest at the right. Disc: ended well. Clock: started late. Cross: failed. Arc: under way. Dash: skipped. Broken ring: missed. Dot: done with a later one.";

/** What became of one time, in words. */
export function outcomeWords({ kind, status, outcome, lateness_seconds }) {
  const isForgotten = outcome === "STARTED" && status === null;
  const late = kind === "late" && `started ${Math.round(lateness_seconds)} s late`;
  return late || (isForgotten ? "started" : status === "ENDED_CANCELLED" ? "cancelled" : (KINDS[kind]?.word ?? kind));
}

const shape = ({ kind }) => draw(KINDS[kind]?.strokes ?? []);

/** The shape beside its word. */
export function outcomeMark(row) {
  return h("span.outcome", { "data-kind": row.kind }, shape(row), h("span", outcomeWords(row)));
}

/** The last times as a row of shapes; each says in words what it is. */
export function fillPicture(cell, rows) {
  if (!rows) return put(cell);
  if (rows.length === 0) return put(cell, h("span.muted", "no run yet"));
  const marks = rows.map((row) => {
    const words = [`${row.text}: ${outcomeWords(row)}`, row.reason].filter(Boolean).join(", ");
    return h("span.mark", { role: "img", "aria-label": words, title: words, "data-kind": row.kind }, shape(row));
  });
  const last = rows.at(-1);
  return put(cell, h("div.picture", { role: "group", "aria-label": "Past runs", title: LEGEND }, ...marks), h("div.muted", `last ${outcomeWords(last)}, `, time(last.due)));
}
