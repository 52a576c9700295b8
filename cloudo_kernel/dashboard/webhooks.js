/**
 * The webhooks: what each starts, where it is called, and when it was called last.
 */

import { copyable } from "./copy.js";
import { confirm } from "./dialogs.js";
import { button, h, icon, put } from "./dom.js";
import { actOn } from "./executions.js";
import { refreshTimes, time } from "./marks.js";
import { webhookUrl } from "./place.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { newWebhook } from "./webhookform.js";
import { count } from "./words.js";

const MOST_WEBHOOKS = 500;
const RECALL = 15000;

/** How callers prove who they are, in words. */
export const PROOFS = {
  "standard-webhooks": "Standard Webhooks signature",
  github: "GitHub signature",
  "hmac-sha256": "HMAC-SHA256 signature",
};
export const proofOf = ({ signature, has_key }) => (signature ? PROOFS[signature] ?? `Signature of ${signature}` : has_key ? "Key" : "None: anybody may call");

/** Icon and word of whether a webhook takes calls. */
export const switchPill = ({ enabled }) =>
  h("span.status", { "data-status": enabled ? "ENDED_SUCCESS" : "PAUSED" }, icon(enabled ? "ENDED_SUCCESS" : "PAUSED"), h("span", enabled ? "Enabled" : "Disabled"));

/** The status code of a reply, and whether that was good. */
export function replyMark({ status_code: code }) {
  if (code === null) return h("span.muted", "no reply yet");
  return h("span.status", { "data-status": code < 400 ? "ENDED_SUCCESS" : "ENDED_ERROR" }, icon(code < 400 ? "ENDED_SUCCESS" : "ENDED_ERROR"), h("span", String(code)));
}

/** Delete webhooks after asking; promises whether it was done. */
export async function deleteWebhooks(view, rows) {
  const what = rows.length === 1 ? rows[0].name : count(rows.length, "webhook");
  const text = "Whoever calls it gets 404 from then on, and the record of its deliveries is removed. Its executions stay.";
  const isSure = await confirm(view.host, { title: `Delete ${what}?`, text, word: "Delete" });
  if (isSure) await actOn(view, "delete_webhooks", rows.map((row) => row.name));
  return isSure;
}

function fillLast(cell, { last }) {
  if (last === undefined) return put(cell);
  return last ? put(cell, replyMark(last), h("div.muted", time(last.received_at))) : put(cell, h("span.muted", "never"));
}

const webhookColumns = ({ place, toasts }) => [
  { name: "state", label: "State", of: (row) => row.enabled, fill: (cell, row) => put(cell, switchPill(row)) },
  { name: "name", label: "Webhook", of: (row) => [row.name, row.flow_name], fill: (cell, row) => put(cell, place.link({ view: "webhook", id: row.name }, ".title.plain-link", row.name), h("div.path", row.flow_name)), sortBy: (row) => row.name.toLowerCase() },
  { name: "address", label: "Address", of: (row) => row.name, fill: (cell, row) => put(cell, copyable(webhookUrl(row.name), `Copy the address of ${row.name}`, toasts)) },
  { name: "proof", label: "Proof", of: (row) => [row.signature, row.has_key], fill: (cell, row) => put(cell, proofOf(row)), sortBy: proofOf },
  { name: "last", label: "Last call", of: (row) => row.last, fill: fillLast, sortBy: (row) => row.last?.received_at ?? "", isLatestFirst: true },
  { name: "by", label: "Runs as", of: (row) => row.user_name, fill: (cell, row) => put(cell, row.user_name) },
];

/** The view of all webhooks. */
export class WebhooksView extends ListView {
  constructor(shared) {
    const make = button("New webhook…", { icon: "plus", kind: ".primary", onclick: () => this.#make() });
    const actions = {
      enable: button("Enable", { icon: "play", onclick: () => this.#switch("enable_webhooks") }),
      disable: button("Disable", { icon: "pause", onclick: () => this.#switch("disable_webhooks") }),
      delete: button("Delete", { icon: "trash", onclick: () => this.#delete() }),
    };
    super(shared, {
      title: "Webhooks",
      actions: [make, ...Object.values(actions)],
      table: {
        columns: webhookColumns(shared),
        keyOf: (row) => row.name,
        wordOf: (row) => row.name,
        onopen: (row) => this.place.go({ view: "webhook", id: row.name }),
        onsort: (name) => this.sortBy(name),
      },
    });
    Object.assign(this, { rows: new Map(), actions, usualSort: "name" });
    this.ticker = setInterval(() => refreshTimes(this.body), 1000);
    // Calls that start nothing are told by no event.
    this.recaller = setInterval(() => document.hidden || this.#recall().catch(() => {}), RECALL);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearInterval(this.recaller);
  }

  /** Fetch the webhooks again. */
  load() {
    return this.guarded("The webhooks could not be listed", async () => {
      const page = await this.line.call("webhooks", { limit: MOST_WEBHOOKS });
      const before = this.rows;
      this.rows = new Map(page.rows.map((row) => [row.name, { ...row, last: before.get(row.name)?.last }]));
      this.isLoaded = true;
      this.#show();
      await this.#recall();
    });
  }

  /** Take news of webhooks, and of executions that they started. */
  follow({ rows, webhooks = [] }) {
    if (!this.isLoaded || document.hidden) return;
    if (webhooks.length > 0) this.load();
    else if (rows.some((row) => this.rows.has(row.webhook_name))) this.#recall().catch(() => {});
  }

  refine(filter) {
    this.place.refine(filter);
    this.#show();
  }

  sortBy(name) {
    super.sortBy(name);
    this.#show();
  }

  update() {
    super.update();
    const chosen = this.#chosen();
    this.actions.enable.disabled = !chosen.some(({ enabled }) => !enabled);
    this.actions.disable.disabled = !chosen.some(({ enabled }) => enabled);
    this.actions.delete.disabled = chosen.length === 0;
  }

  /** Fetch when they were called last. */
  async #recall() {
    const names = [...this.rows.keys()];
    if (names.length === 0) return;
    const results = await this.line.call("last_deliveries", { names });
    results.forEach(({ row, error }, at) => {
      const before = this.rows.get(names[at]);
      if (before && !error) this.rows.set(names[at], { ...before, last: row });
    });
    if (!this.isClosed) this.#show();
  }

  #show() {
    const q = (this.place.route.q ?? "").toLowerCase();
    const fits = (row) => [row.name, row.flow_name].some((text) => text.toLowerCase().includes(q));
    this.table.retain(new Set(this.rows.keys()));
    const none = () => (q ? this.noneFits("No webhook fits the filter", "None has these words in its name or in that of its flow.") : this.#none());
    this.showRows(this.sorted([...this.rows.values()].filter(fits)), none);
    this.table.markSort(this.sort);
  }

  #none() {
    const example = h("pre.curl", { tabindex: 0 }, `curl ${webhookUrl("deploy")} \\\n  -H "X-Cloudo-Key: $KEY" \\\n  -H "Content-Type: application/json" -d '{"ref": "main"}'`);
    const text = "A webhook is a public address at which a call starts a flow: from a code host, a shop, a chat or a script. Make one, and call it like this:";
    return nothing("No webhooks yet", h("p", text), example, button("New webhook…", { icon: "plus", kind: ".primary", onclick: () => this.#make() }));
  }

  #chosen() {
    return [...this.table.selected].map((name) => this.rows.get(name)).filter(Boolean);
  }

  #make() {
    newWebhook(this, (row) => this.place.go({ view: "webhook", id: row.name }));
  }

  async #switch(verb) {
    const chosen = this.#chosen().filter(({ enabled }) => enabled === (verb === "disable_webhooks"));
    for (const row of await actOn(this, verb, chosen.map(({ name }) => name))) this.rows.set(row.name, { ...row, last: this.rows.get(row.name)?.last });
    this.#show();
  }

  async #delete() {
    if (await deleteWebhooks(this, this.#chosen())) this.load();
  }
}
