/**
 * What the dashboard says by itself: banners for what is wrong, toasts for what was started, words for screen readers.
 */

import { button, h, icon, iconButton, put, say } from "./dom.js";
import { statusDot } from "./marks.js";
import { STATUSES, count, isEnded } from "./words.js";

const LINGER = 12000;
const MOST_LINKS = 5;

/** Banners above the view, one per cause. */
export class Banners {
  constructor() {
    this.shown = new Map();
    this.element = h("div.banners");
  }

  /** Show `message` for `cause`, with at most one button; an empty message takes the banner back. */
  set(cause, message, { word, act, kind = "error", isClosable = false } = {}) {
    const old = this.shown.get(cause);
    if (old?.message === message) return;
    old?.element.remove();
    this.shown.delete(cause);
    if (!message) return;
    const element = h(
      `div.banner.banner-${kind}`,
      { role: kind === "error" ? "alert" : "status" },
      icon("alert"),
      h("p", message),
      word && button(word, { onclick: act }),
      isClosable && iconButton("close", "Dismiss", { onclick: () => this.set(cause, "") }),
    );
    this.shown.set(cause, { element, message });
    this.element.append(element);
  }

  /** Show why what the reader asked for was not done. */
  fail(cause, problem) {
    this.set(cause, problem.message, { isClosable: true });
  }
}

/** What was started from this page, followed until it has ended. */
export class Toasts {
  constructor(place) {
    this.place = place;
    this.toasts = new Set();
    this.element = h("div.toasts", { popover: "manual" });
    this.voice = h("div.unseen", { role: "status", "aria-live": "polite" });
  }

  /** Have a screen reader say `words`. */
  announce(words) {
    // The same words twice are read twice only if the region was empty in between.
    say(this.voice, "");
    setTimeout(() => say(this.voice, words), 50);
  }

  /** Tell of executions just started, with links to them. */
  started(rows) {
    const words = `Started ${count(rows.length, "execution")}`;
    const toast = { rows: new Map(rows.map((row) => [row.id, row])), lines: new Map() };
    const items = rows.slice(0, MOST_LINKS).map((row) => this.#item(toast, row));
    if (rows.length > MOST_LINKS) items.push(h("li", `and ${rows.length - MOST_LINKS} more`));
    this.#show(toast, words, this.place.toAll(".link", "Show executions"), h("ul", ...items));
  }

  /** Say something that nothing else on the page shows, with a link to it if there is one. */
  tell(words, link = null) {
    const toast = { rows: new Map(), lines: new Map() };
    this.#show(toast, words, link);
    toast.timer = setInterval(() => this.#leave(toast), LINGER);
  }

  #show(toast, words, link = null, list = null) {
    const close = iconButton("close", "Dismiss", { onclick: () => this.#close(toast) });
    toast.element = h("section.toast", { "aria-label": words }, h("header", h("strong", words), link, close), list);
    this.toasts.add(toast);
    this.element.append(toast.element);
    this.element.showPopover();
    for (const old of [...this.toasts].slice(0, -3)) this.#close(old);
    this.announce(words);
  }

  /** Take news of executions: the toasts show their status, and an end is said. */
  follow(rows) {
    for (const toast of this.toasts) {
      for (const row of rows.filter(({ id }) => toast.rows.has(id))) this.#update(toast, row);
    }
  }

  #item(toast, row) {
    const mark = h("span", statusDot(row.status));
    const link = this.place.toOne(row.id, ".link", row.name);
    toast.lines.set(row.id, mark);
    return h("li", mark, link);
  }

  #update(toast, row) {
    const wasEnded = isEnded(toast.rows.get(row.id).status);
    toast.rows.set(row.id, row);
    const mark = toast.lines.get(row.id);
    if (mark && mark.firstChild.dataset.status !== row.status) put(mark, statusDot(row.status));
    if (!wasEnded && isEnded(row.status)) this.announce(`${row.name} has ended: ${STATUSES[row.status]}`);
    const isOver = [...toast.rows.values()].every(({ status }) => isEnded(status));
    if (isOver && !toast.timer) toast.timer = setInterval(() => this.#leave(toast), LINGER);
  }

  /** Go, unless the reader is there. */
  #leave(toast) {
    if (!toast.element.matches(":hover, :focus-within")) this.#close(toast);
  }

  #close(toast) {
    clearInterval(toast.timer);
    toast.element.remove();
    this.toasts.delete(toast);
    if (this.toasts.size === 0) this.element.hidePopover();
  }
}
