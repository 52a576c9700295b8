/**
 * The log of one execution: its tail first, earlier lines on demand, new ones as they come.
 */

import { h, put, say } from "./dom.js";
import { count } from "./words.js";

const LOG_PAGE = 500;
/** While following, lines above this many leave at the top; "earlier lines" brings them back. */
const MOST_LINES = 3000;
const AT_END = 24;

const clockTime = (at) => new Date(at).toLocaleTimeString("en-GB");

function logLine({ time, level, text }) {
  const isPlain = level === "info";
  return h(
    "div",
    { "data-level": level },
    h("time", { title: new Date(time).toLocaleString() }, clockTime(time)),
    h("span.log-text", isPlain ? null : h("b", `${level} `), text),
  );
}

/** Lines are numbered from 0; `first` is the number of the topmost one shown, `end` of the first one not read yet. */
export class Log {
  constructor(line, id) {
    Object.assign(this, { line, id, first: 0, end: 0, isReading: false, isStale: false });
    this.lines = h("div.log", { tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log" });
    this.earlier = h("button.link", { onclick: () => this.#showEarlier() });
    this.words = h("span.count");
    this.element = h("section.panel", h("header", h("h2", "Log", this.words), this.earlier), this.lines);
    this.earlier.hidden = true;
  }

  /** Show the last lines of a log of `length` lines. */
  async open(length) {
    this.first = this.end = Math.max(0, length - LOG_PAGE);
    await this.read();
  }

  /** Read what is new. Called while reading, it reads once more afterwards. */
  async read() {
    this.isStale = true;
    if (this.isReading) return;
    this.isReading = true;
    try {
      while (this.isStale) {
        this.isStale = false;
        const { lines, is_last } = await this.line.call("log", { execution_id: this.id, after: this.end, limit: LOG_PAGE });
        this.#append(lines);
        this.isStale ||= !is_last;
      }
    } finally {
      this.isReading = false;
    }
  }

  #append(lines) {
    const isAtEnd = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight < AT_END;
    this.end += lines.length;
    this.lines.append(...lines.map(logLine));
    while (isAtEnd && this.lines.childElementCount > MOST_LINES) {
      this.lines.firstElementChild.remove();
      this.first += 1;
    }
    if (isAtEnd) this.lines.scrollTop = this.lines.scrollHeight;
    this.#tell();
  }

  async #showEarlier() {
    const from = Math.max(0, this.first - LOG_PAGE);
    const { lines } = await this.line.call("log", { execution_id: this.id, after: from, limit: this.first - from });
    const height = this.lines.scrollHeight;
    this.lines.prepend(...lines.map(logLine));
    // What was in sight stays in sight.
    this.lines.scrollTop += this.lines.scrollHeight - height;
    this.first = from;
    this.#tell();
    this.lines.focus();
  }

  #tell() {
    say(this.words, this.end > 0 ? count(this.end, "line") : "");
    this.earlier.hidden = this.first === 0;
    say(this.earlier, `Show earlier lines (${this.first})`);
    this.lines.classList.toggle("cloudo-empty", this.end === 0);
    if (this.end === 0) put(this.lines, h("div.muted", "Nothing logged."));
    else this.lines.querySelector(".cloudo-muted")?.remove();
  }
}
