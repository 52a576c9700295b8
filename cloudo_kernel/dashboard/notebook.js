/**
 * The executed notebook, as sanitised HTML in a frame that may do nothing.
 */

import { button, h, put } from "./dom.js";
import { labLink, notebookUrl } from "./place.js";
import { size } from "./words.js";

/** Said twice, as the server says it too: no script, nothing from elsewhere. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";
const NOT_YET = "The notebook appears here when its first cells are done.";
const MOST_CHARACTERS = 30e6;

/** Fetched when it comes near, and again when the execution has ended. */
export class Notebook {
  constructor(id) {
    this.id = id;
    this.path = null;
    this.body = h("div.notebook");
    this.links = h("span.panel-actions");
    this.element = h("section.panel", h("header", h("h2", "Notebook"), this.links), this.body);
    this.watcher = new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && this.#arrive(), { rootMargin: "300px" });
    this.watcher.observe(this.element);
  }

  close() {
    this.watcher.disconnect();
  }

  /** The execution is now this one: fetch the notebook again if it became another. */
  show(execution) {
    const version = [execution.notebook, execution.row.status, execution.row.attempt, execution.row.progress.done > 0].join();
    if (version === this.version) return;
    const { row } = execution;
    const isThere = row.ended_at !== null || row.progress.done > 0;
    Object.assign(this, { version, path: isThere && execution.notebook, isEnded: row.ended_at !== null, isFetched: false });
    const again = this.path && !this.isEnded && button("Refresh", { icon: "again", kind: ".small", onclick: () => this.#fetch() });
    put(this.links, again, labLink(this.path, ".link", {}, "Open in JupyterLab"));
    if (this.isNear) this.#fetch();
  }

  #arrive() {
    this.isNear = true;
    if (this.version && !this.isFetched) this.#fetch();
  }

  async #fetch() {
    this.isFetched = true;
    if (!this.path) return this.#say(this.isEnded ? "This execution left no notebook." : NOT_YET);
    const url = notebookUrl(this.id);
    if (!url) return this.#say(`The executed notebook is ${this.path}.`);
    if (!this.body.firstChild) this.#say("Loading…");
    try {
      const reply = await fetch(url);
      if (reply.status === 404) return this.#say(!this.isEnded ? NOT_YET : `${this.path} is no longer there: it was moved or removed.`);
      if (!reply.ok) return this.#say(`The server could not show the notebook (${reply.status}). Open it in JupyterLab.`);
      const html = await reply.text();
      if (html.length > MOST_CHARACTERS) return this.#say(`${size(html.length)} are too much to show here. Open the notebook in JupyterLab.`);
      return this.#frame(html);
    } catch {
      return this.#say("The server cannot be reached.");
    }
  }

  #frame(html) {
    // The page asks what the system prefers; here the dashboard's own theme decides.
    const isDark = getComputedStyle(this.element).colorScheme.includes("dark");
    const [head, ...rest] = html.split("<body");
    const themed = [head.replaceAll("(prefers-color-scheme: dark)", isDark ? "all" : "not all"), ...rest].join("<body");
    const frame = h("iframe.frame", { sandbox: "", title: "Executed notebook", referrerpolicy: "no-referrer" });
    frame.srcdoc = `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}">${themed}`;
    put(this.body, frame);
  }

  #say(words) {
    put(this.body, h("p.muted", words));
  }
}
