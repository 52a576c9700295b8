/**
 * One webhook in full: its address and how to call it, what it starts, and what became of its calls.
 */

import { copyable, copyableLines } from "./copy.js";
import { button, h, put, say } from "./dom.js";
import { actOn } from "./executions.js";
import { valuesPanel } from "./execution.js";
import { refreshTimes, statusDot, time } from "./marks.js";
import { webhookUrl } from "./place.js";
import { simpleTable } from "./simpletable.js";
import { nothing } from "./table.js";
import { View } from "./view.js";
import { callLine, editWebhook } from "./webhookform.js";
import { deleteWebhooks, proofOf, replyMark, switchPill } from "./webhooks.js";
import { moment, size } from "./words.js";

const SETTLED = 500;
const RELOOK = 10000;
const TURNED = { Enable: "Disable", Disable: "Enable" };
const GETS = { brief: "status, message and outputs", record: "the whole record" };

/** The view of one webhook. */
export class WebhookView extends View {
  constructor(shared) {
    super(shared);
    Object.assign(this, { name: this.place.route.id, shown: null, past: [], cursor: null });
    this.heading = h("h1", { tabindex: -1 }, "Webhook");
    this.state = h("span.status-place");
    this.actions = h("div.bar.bar-inline", { role: "toolbar", "aria-label": "Actions" });
    this.facts = h("dl.facts");
    this.call = h("section.panel");
    this.inputs = h("div");
    this.calls = h("div");
    this.more = button("Load more", { icon: "down", onclick: () => this.#loadPast(this.cursor) });
    const deliveries = h("section.panel", h("header", h("h2", "Deliveries")), this.calls, h("div.more", this.more));
    this.whole = h("div.detail", { hidden: true }, this.facts, this.call, this.inputs, deliveries);
    const back = this.place.link({ view: "webhooks" }, ".link.back", "Webhooks");
    const title = h("div.heading", h("div.heading-title", this.heading, this.state), this.actions);
    this.element = h("section.view", { "aria-label": "Webhook" }, h("nav", { "aria-label": "Back" }, back), title, this.body, this.whole);
    this.ticker = setInterval(() => refreshTimes(this.whole), 1000);
    // Calls that start nothing are told by no event.
    this.looker = setInterval(() => document.hidden || !this.isLoaded || this.#loadPast(null).catch(() => {}), RELOOK);
    this.load();
  }

  title() {
    return this.name;
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearInterval(this.looker);
    clearTimeout(this.settling);
  }

  /** Fetch the webhook and its last calls again. */
  load() {
    return this.guarded("The webhook could not be opened", async () => {
      const shown = this.shown;
      try {
        const [whole] = await Promise.all([this.line.call("webhook", { name: this.name }), this.#loadPast(null)]);
        this.isLoaded = true;
        if (this.shown !== shown) return this.load(); // what was saved meanwhile may be newer than the reply
        this.#show(whole);
      } catch (problem) {
        if (problem.code !== "webhook_not_found") throw problem;
        this.#gone();
      }
    });
  }

  /** Take news of this webhook and of what it started. */
  follow({ rows, webhooks = [] }) {
    if (document.hidden) return;
    if (!webhooks.includes(this.name) && !rows.some((row) => row.webhook_name === this.name)) return;
    this.settling ??= setTimeout(() => {
      this.settling = undefined;
      this.load();
    }, SETTLED);
  }

  /** Fetch a page of calls. The newest come into the place of those that are there already. */
  async #loadPast(cursor) {
    const page = await this.line.call("deliveries", { name: this.name, cursor });
    const known = new Map(cursor ? this.past.map((row) => [row.id, row]) : []);
    const oldest = page.rows.at(-1)?.id;
    const older = cursor || !page.next ? [] : this.past.filter(({ id }) => id < oldest);
    for (const row of [...page.rows, ...older]) known.set(row.id, row);
    this.past = [...known.values()];
    if (cursor || older.length === 0) this.cursor = page.next;
    this.#showPast();
  }

  #gone() {
    this.whole.hidden = true;
    this.body.hidden = false;
    put(this.actions);
    put(this.state);
    const all = this.place.link({ view: "webhooks" }, ".link", "Show webhooks");
    put(this.body, nothing("There is no such webhook", "It was deleted, or the address is mistyped. What it started is among the executions.", h("p", all)));
  }

  #show(whole) {
    const before = this.shown;
    this.shown = whole;
    put(this.body);
    this.body.hidden = true;
    this.whole.hidden = false;
    say(this.heading, whole.row.name);
    if (before?.row.enabled !== whole.row.enabled) {
      put(this.state, switchPill(whole.row));
      this.#showActions(whole.row);
    }
    if (JSON.stringify(before) === JSON.stringify(whole)) return;
    this.#showFacts(whole);
    const line = callLine(whole.row, whole.options);
    const signed = "The sender signs its calls: give it the address and the key, and it needs nothing else.";
    put(this.call, h("header", h("h2", "Call it")), line ? copyableLines(line, "Copy the command", this.toasts) : h("p.muted", signed));
    put(this.inputs, whole.inputs.length > 0 && valuesPanel("Fixed inputs", whole.inputs, ""));
    this.ontitle?.();
  }

  #showFacts({ row, options, modified_at }) {
    const facts = [
      ["Address", copyable(webhookUrl(row.name), "Copy the address", this.toasts), "wide"],
      ["Flow", this.place.link({ view: "executions", q: row.flow_name, status: [] }, ".link", row.flow_name)],
      ["Proof", row.signature === "hmac-sha256" ? `${proofOf(row)} in ${options.signature_header}` : proofOf(row)],
      ["Key in", !row.signature && row.has_key && row.key_header],
      ["Methods", row.allowed_methods.join(", ")],
      ["From", options.allowed_networks.length > 0 ? options.allowed_networks.join(", ") : "anywhere"],
      ["Calls a minute", options.rate_limit === null ? "any number" : `${options.rate_limit} of one caller`],
      ["Largest body", size(options.max_body_bytes)],
      ["A call waits", `up to ${options.sync_timeout_seconds} s`],
      ["The caller gets", GETS[options.reply]],
      ["Runs as", row.user_name],
      ["Changed", h("span", { title: moment(modified_at) }, time(modified_at))],
    ];
    put(this.facts, ...facts.filter(([, value]) => value).map(([word, value, kind]) => h(kind ? `div.${kind}` : "div", h("dt", word), h("dd", value))));
  }

  #showPast() {
    const line = (row) => {
      const again = row.execution && button("Replay", { icon: "again", kind: ".small", "aria-label": `Replay the call of ${moment(row.received_at)}`, title: "Start it again, with the same inputs", onclick: () => this.#replay(row) });
      return h("tr", h("td", { title: moment(row.received_at) }, time(row.received_at)), h("td", row.source_ip), h("td", replyMark(row)), h("td.why", ...this.#became(row)), h("td", again));
    };
    const table = () => simpleTable("Deliveries", ["Received", "From", "Reply", "What became of it", "Again"], this.past.map(line));
    put(this.calls, this.past.length > 0 ? table() : h("p.muted", "Nobody has called it yet. The command above does."));
    this.more.hidden = !this.cursor;
  }

  #became({ execution, execution_id, reason }) {
    const note = reason && h("div.muted", reason);
    if (execution) return [statusDot(execution.status), " ", this.place.toOne(execution_id, ".link", execution.name), note];
    return [execution_id ? h("span.muted", "Its execution was deleted.") : null, note];
  }

  #showActions({ enabled }) {
    const focused = this.actions.contains(document.activeElement) ? document.activeElement.textContent : null;
    put(
      this.actions,
      enabled ? button("Disable", { icon: "pause", title: "Callers get 404", onclick: () => this.#switch("disable_webhooks") }) : button("Enable", { icon: "play", onclick: () => this.#switch("enable_webhooks") }),
      button("Edit", { icon: "form", onclick: () => this.#edit() }),
      button("Delete", { icon: "trash", onclick: () => this.#delete() }),
    );
    [...this.actions.children].find(({ textContent: word }) => focused && [focused, TURNED[focused]].includes(word))?.focus();
  }

  async #switch(verb) {
    await actOn(this, verb, [this.name]);
    await this.load();
  }

  #edit() {
    editWebhook(this, this.shown, (saved) => {
      this.#show({ row: saved.row, options: saved.options, inputs: saved.inputs, created_at: saved.created_at, modified_at: saved.modified_at });
      this.toasts.tell(`Saved ${this.name}`);
    });
  }

  async #replay({ id }) {
    try {
      this.toasts.started([await this.line.call("replay_delivery", { name: this.name, delivery_id: id })]);
      await this.#loadPast(null);
    } catch (problem) {
      this.banners.fail("act", problem);
    }
  }

  async #delete() {
    if (await deleteWebhooks(this, [this.shown.row])) this.place.go({ view: "webhooks" });
  }
}
