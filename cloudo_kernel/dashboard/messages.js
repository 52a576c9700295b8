/**
 * The messages that wait for an answer: how many, who asks, and a form in place.
 */

import { h, icon, iconButton, put, say } from "./dom.js";
import { importLater } from "./later.js";
import { time } from "./marks.js";
import { count, isEnded, moment } from "./words.js";

/** States of a message: the word, the icon, and the status of executions whose colour it has. */
export const MESSAGE_STATES = {
  OPEN: ["Open", "WAITING", "WAITING"],
  ANSWERED: ["Answered", "ENDED_SUCCESS", "ENDED_SUCCESS"],
  EXPIRED: ["Expired", "ENDED_CANCELLED", null],
  WITHDRAWN: ["Withdrawn", "ENDED_CANCELLED", null],
  INFO: ["Info", "info", null],
};

/** Icon and word of a message's state. */
export function messageState({ state }) {
  const [word, drawn, tone] = MESSAGE_STATES[state];
  return h("span.status", { "data-status": tone }, icon(drawn), h("span", word));
}

/** Who answered a message, and when; nothing where nobody did. */
export const answeredBy = ({ answered_by, answered_at }) => (answered_at ? h("span.muted", `${answered_by}, `, time(answered_at)) : null);

/** The messages that one execution made, each a link to itself. */
export function messagesPanel(rows, place) {
  const lines = rows.map((row) => h("li", messageState(row), place.link({ view: "message", id: row.id }, ".link", row.subject), answeredBy(row) ?? h("span.muted", time(row.created_at))));
  return h("section.panel", h("header", h("h2", "Messages")), h("ul.told-list", ...lines));
}

const GONE = "This is no longer open: it was answered, has expired or was withdrawn.";

/** One message; its form is fetched when it is opened first. */
class MessageItem {
  constructor(row, { line, place, onanswered }) {
    Object.assign(this, { row, line, place, onanswered });
    this.body = h("div.message-body");
    const until = row.expires_at && h("span.muted", ` · until ${moment(row.expires_at)}`);
    this.summary = h("summary", h("span.subject", row.subject), h("span.muted", time(row.created_at), until));
    this.details = h("details", this.summary, this.body);
    this.details.addEventListener("toggle", () => this.details.open && !this.form && this.#open());
    this.element = h("li.message", { "data-level": row.level }, this.details);
  }

  /** Whether somebody may be typing in it. */
  get isOpen() {
    return this.details.open;
  }

  /** Show the form, and go into it. */
  open() {
    this.summary.focus();
    this.details.open = true;
    this.details.scrollIntoView({ block: "nearest" });
  }

  async #open() {
    try {
      const fetched = this.line.call("message", { message_id: this.row.id });
      const [{ body, asked_by, execution_id }, { AnswerForm }] = await Promise.all([fetched, importLater(this.line, "answers")]);
      const asker = execution_id && h("p.muted", "Asked by ", this.place.toOne(execution_id, ".link", asked_by ?? "an execution"));
      this.form = new AnswerForm(body, (response) => this.#send(response), this.line);
      put(this.body, asker, this.form.element);
      if (this.details.contains(document.activeElement)) this.form.focus();
    } catch (problem) {
      put(this.body, h("p.field-error", { role: "alert" }, problem.message));
    }
  }

  async #send(response) {
    await this.line.call("answer_message", { message_id: this.row.id, response });
    this.onanswered(this);
  }
}

/** The panel of them; hidden while there are none. */
export class Messages {
  constructor({ line, place, toasts, launches }) {
    Object.assign(this, { line, place, toasts, launches, items: new Map() });
    this.heading = h("h2", { tabindex: -1 });
    this.expected = new Map();
    this.waiting = h("div", { role: "status" });
    this.list = h("ul.message-list");
    this.element = h("section.panel.messages", { "aria-label": "Messages", hidden: true }, h("header", this.heading, this.place.link({ view: "messages" }, ".link", "All messages")), this.waiting, this.list);
  }

  /** Somebody waits for what the execution `id` asks: say so until it is there, and open it then. */
  expect({ id }, words) {
    const forget = () => this.#forget(id);
    const close = iconButton("close", "Do not wait for it", { onclick: forget });
    const line = h("p.expected", h("span.status", { "data-status": "RUNNING" }, icon("RUNNING"), h("span", words)), this.place.toOne(id, ".link", "Show execution"), close);
    this.expected.set(id, line);
    this.waiting.append(line);
    this.#tell(this.items.size, true);
    this.load().catch(() => {});
  }

  /** Take news of executions: one that has ended asks nothing any more. */
  async follow({ rows, messages }) {
    const ended = rows.filter(({ id, status }) => this.expected.has(id) && isEnded(status));
    if (messages || ended.length > 0) await this.load();
    for (const { id } of ended) this.#forget(id);
  }

  /** Fetch the list again; what is being typed stays. */
  async load() {
    const { rows, is_all } = await this.line.call("messages");
    const open = new Set(rows.map(({ id }) => id));
    for (const [id, item] of this.items) {
      if (open.has(id)) continue;
      if (item.isOpen && item.form) item.form.close(GONE);
      else this.#remove(item);
    }
    const fresh = rows.filter(({ id }) => !this.items.has(id)).reverse();
    for (const row of fresh) {
      const item = new MessageItem(row, { line: this.line, place: this.place, onanswered: (answered) => this.#answered(answered) });
      this.items.set(row.id, item);
      this.list.prepend(item.element);
      this.#forget(row.execution_id);
    }
    this.#tell(rows.length, is_all);
    for (const row of fresh) if (this.launches.isToOpen(row)) this.items.get(row.id).open();
  }

  #tell(number, isAll) {
    this.element.hidden = this.items.size + this.expected.size === 0;
    say(this.heading, this.items.size === 0 ? "Messages" : isAll ? count(number, "unanswered message") : `More than ${number} unanswered messages`);
  }

  /** Stop waiting for an execution to ask. */
  #forget(id) {
    this.expected.get(id)?.remove();
    if (this.expected.delete(id)) this.#tell(this.items.size, true);
  }

  #remove(item) {
    item.element.remove();
    this.items.delete(item.row.id);
  }

  #answered(item) {
    const next = (item.element.nextElementSibling ?? item.element.previousElementSibling)?.querySelector("summary");
    this.#remove(item);
    this.#tell(this.items.size, true);
    this.toasts.tell(`Answered: ${item.row.subject}`);
    (next ?? document.querySelector(".cloudo h1"))?.focus();
    this.load().catch(() => {});
  }
}
