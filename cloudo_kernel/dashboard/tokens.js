/**
 * The reader's API tokens: what each may, until when, and when it was used last; making and revoking them.
 */

import { copyable, copyableLines } from "./copy.js";
import { confirm, openDialog } from "./dialogs.js";
import { button, h, icon, newId, put, say } from "./dom.js";
import { Entry, Wrong, area, chosen, typed } from "./entry.js";
import { actOn } from "./executions.js";
import { refreshTimes, time } from "./marks.js";
import { baseUrl, explorerLink } from "./place.js";
import { nothing } from "./table.js";
import { ListView } from "./view.js";
import { count, moment } from "./words.js";

const REUSE = 30000;
const DAY = 86400;

/** Every action, in words; those at the end are about more than single flows. */
export const ACTIONS = {
  read: "look at flows, executions, schedules, messages, webhooks, events, settings and files",
  "execution:start": "start flows",
  "execution:write": "cancel, pause, resume, retry and delete executions",
  "schedule:write": "make, change, run and delete schedules",
  "message:write": "make, answer and delete messages",
  "webhook:write": "make, change and delete webhooks, and replay their deliveries",
  "script:run": "run source that is sent along",
  "flow:write": "make, change and delete flows",
  "setting:write": "save and delete settings",
  "file:write": "write and delete files of the workspace",
  "token:write": "list, make and revoke tokens",
  "*": "everything, working on notebooks by hand included",
};
const LIFETIMES = [[String(DAY), "in a day"], [String(7 * DAY), "in a week"], [String(30 * DAY), "in 30 days"], [String(90 * DAY), "in 90 days"], [String(365 * DAY), "in a year"], ["date", "at a moment…"], ["never", "never"]];

const tokenState = ({ is_expired }) =>
  h("span.status", { "data-status": is_expired ? null : "ENDED_SUCCESS" }, icon(is_expired ? "ENDED_CANCELLED" : "ENDED_SUCCESS"), h("span", is_expired ? "Expired" : "Valid"));

function fillUntil(cell, { expires_at, is_expired }) {
  if (expires_at === null) return put(cell, h("span.muted", "never"));
  return put(cell, h(is_expired ? "span.muted" : "span", time(expires_at)));
}

const tokenColumns = [
  { name: "state", label: "State", of: (row) => row.is_expired, fill: (cell, row) => put(cell, tokenState(row)) },
  { name: "name", label: "Token", of: (row) => [row.name, row.prefix], fill: (cell, row) => put(cell, h("div.title", row.name), h("div.path", `${row.prefix}…`)), sortBy: (row) => row.name.toLowerCase() },
  { name: "may", label: "May", of: (row) => row.actions, fill: (cell, row) => put(cell, ...row.actions.map((action) => h("span.tag", { title: ACTIONS[action] }, action === "*" ? "everything" : action))) },
  { name: "for", label: "Flows", of: (row) => row.flows, fill: (cell, row) => put(cell, row.flows === null ? h("span.muted", "all flows") : row.flows.map((flow) => h("div.path", flow))) },
  { name: "until", label: "Expires", of: (row) => [row.expires_at, row.is_expired], fill: fillUntil, sortBy: (row) => row.expires_at ?? "~" },
  { name: "used", label: "Last used", of: (row) => row.last_used_at, fill: (cell, row) => put(cell, row.last_used_at ? time(row.last_used_at) : h("span.muted", "never")), sortBy: (row) => row.last_used_at ?? "", isLatestFirst: true },
];

/** The view of the reader's tokens. */
export class TokensView extends ListView {
  constructor(shared) {
    const make = button("New token…", { icon: "plus", kind: ".primary", onclick: () => this.#make() });
    const revoke = button("Revoke", { icon: "trash", onclick: () => this.#revoke() });
    super(shared, {
      title: "Tokens",
      actions: [make, revoke],
      more: [h("div", explorerLink(".link", "API explorer"))],
      table: { columns: tokenColumns, keyOf: (row) => row.id, wordOf: (row) => `${row.name}, ${row.prefix}`, onsort: (name) => this.sortBy(name) },
    });
    Object.assign(this, { rows: new Map(), revoke, usualSort: "-" });
    this.ticker = setInterval(() => refreshTimes(this.body), 1000);
    // That one was used is told by no event.
    this.relister = setInterval(() => document.hidden || !this.isLoaded || this.load(), REUSE);
    this.update();
    this.load();
  }

  close() {
    super.close();
    clearInterval(this.ticker);
    clearInterval(this.relister);
  }

  /** Fetch the tokens again. */
  load() {
    return this.guarded("The tokens could not be listed", async () => {
      this.rows = new Map((await this.line.call("tokens")).map((row) => [row.id, row]));
      this.isLoaded = true;
      this.#show();
    });
  }

  /** Take news of tokens. */
  follow({ tokens }) {
    if (tokens && this.isLoaded && !document.hidden) this.load();
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
    this.revoke.disabled = this.table.selected.size === 0;
  }

  #show() {
    const q = (this.place.route.q ?? "").toLowerCase();
    const fits = (row) => [row.name, row.prefix, ...row.actions, ...(row.flows ?? [])].some((text) => text.toLowerCase().includes(q));
    this.table.retain(new Set(this.rows.keys()));
    const none = () => (q ? this.noneFits("No token fits the filter", "None has these words in its name, its actions or its flows.") : this.#none());
    this.showRows(this.sorted([...this.rows.values()].filter(fits)), none);
    this.table.markSort(this.sort);
  }

  #none() {
    const text = "A token opens Cloudo to a program, a CI job for example, and only as much of it as it needs. It is shown once, and can be revoked at any time.";
    return nothing("No tokens yet", text, button("New token…", { icon: "plus", kind: ".primary", onclick: () => this.#make() }));
  }

  #make() {
    new TokenDialog(this, (made) => {
      this.rows.set(made.row.id, made.row);
      this.#show();
    });
  }

  async #revoke() {
    const rows = [...this.table.selected].map((id) => this.rows.get(id)).filter(Boolean);
    const what = rows.length === 1 ? rows[0].name : count(rows.length, "token");
    const text = "It opens nothing any more, at once, and neither do the tokens that were made with it. What it started goes on.";
    if (!(await confirm(this.host, { title: `Revoke ${what}?`, text, word: "Revoke" }))) return;
    await actOn(this, "revoke_tokens", rows.map(({ id }) => id));
    this.load();
  }
}

/** The dialog that makes a token. */
class TokenDialog {
  constructor(view, onmade) {
    Object.assign(this, { view, onmade });
    this.boxes = Object.keys(ACTIONS).map((action) => h("input", { type: "checkbox", value: action, id: newId() }));
    const moments = typed("datetime-local", "", { step: 1 });
    this.entries = {
      name: new Entry("Name", typed("text", "", { placeholder: "ci" }), "What it is for, or where it is kept."),
      expires: new Entry("Expires", chosen(LIFETIMES, String(30 * DAY))),
      expires_at: new Entry("At", moments),
      flows: new Entry("Only these flows", area("", { rows: 2, placeholder: "all flows" }), "One name or pattern a line, such as etl/*"),
    };
    this.wrong = h("p.field-error", { role: "alert" });
    this.trouble = h("p.field-error", { role: "alert" });
    const actions = h("fieldset.actions", h("legend.field-name", "It may"), ...this.boxes.map((box) => this.#action(box)), this.wrong);
    const { name, flows, expires, expires_at } = this.entries;
    const form = h("div", name.element, actions, flows.element, h("div.schedule-form", expires.element, expires_at.element));
    this.make = button("Make token", { kind: ".primary" });
    this.make.type = "submit";
    this.dialog = openDialog(view.host, "New token", { body: [this.trouble, form], buttons: [this.make], onsubmit: () => this.#submit() });
    form.addEventListener("input", () => this.#update());
    this.#update();
    name.control.focus();
  }

  #action(box) {
    const note = h("span.field-note", { id: newId() }, ACTIONS[box.value]);
    box.setAttribute("aria-describedby", note.id);
    return h("div.action", box, h("label", { for: box.id }, box.value === "*" ? "everything" : box.value), note);
  }

  /** The right to everything has all others in it. */
  #update() {
    const isAll = this.boxes.at(-1).checked;
    for (const box of this.boxes.slice(0, -1)) box.disabled = isAll;
    this.entries.expires_at.element.hidden = this.entries.expires.control.value !== "date";
  }

  #request() {
    const { name, expires, expires_at, flows } = this.entries;
    const actions = this.boxes.filter(({ checked, disabled }) => checked && !disabled).map(({ value }) => value);
    const patterns = flows.text.split("\n").map((line) => line.trim()).filter(Boolean);
    const request = { name: name.required("Give it a name, to know it again."), actions };
    if (actions.length === 0) throw new Wrong(null, "Choose at least one.");
    if (patterns.length > 0) request.flows = patterns;
    const lasts = expires.control.value;
    if (lasts === "date") request.expires_at = new Date(expires_at.required("Say when, with day and time.")).toISOString();
    else if (lasts !== "never") request.expires_in_seconds = Number(lasts);
    return request;
  }

  async #submit() {
    for (const entry of Object.values(this.entries)) entry.complain("");
    for (const place of [this.wrong, this.trouble]) say(place, "");
    this.make.disabled = true;
    try {
      const made = await this.view.line.call("create_token", { request: this.#request() });
      this.dialog.close();
      this.onmade(made);
      showSecret(this.view, made);
    } catch (problem) {
      this.#tell(problem);
    } finally {
      this.make.disabled = false;
    }
  }

  #tell(problem) {
    const field = String(problem.field ?? "").split(".")[0];
    const entry = problem.entry ?? this.entries[field];
    if (entry) entry.complain(problem.message);
    else say(problem.entry === null || field === "actions" ? this.wrong : this.trouble, problem.message);
    (this.dialog.querySelector("[aria-invalid=true]") ?? this.boxes[0]).focus();
  }
}

/** Show the secret of a new token, this once. */
function showSecret(view, { row, secret }) {
  const done = button("Done", { kind: ".primary" });
  done.type = "submit";
  const end = row.expires_at ? `It expires ${moment(row.expires_at)}.` : "It does not expire.";
  const base = baseUrl();
  const line = `curl -H "Authorization: token $CLOUDO_TOKEN" \\\n  ${base ? location.origin + base : "/"}cloudo/api/1/flow`;
  const body = [
    h("p", `This is the only time that the token is shown: keep it as you keep a password. ${end}`),
    h("div.field", h("div.field-name", "Token"), copyable(secret, "Copy the token", view.toasts)),
    h("div.field", h("div.field-name", "Use it"), copyableLines(line, "Copy the command", view.toasts)),
  ];
  const dialog = openDialog(view.host, `Token ${row.name}`, { body, buttons: [done], onsubmit: () => dialog.close(), isTelling: true });
  dialog.classList.add("cloudo-secret");
  done.focus();
}
