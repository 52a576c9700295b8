/**
 * The messages that wait for an answer: how many, who asks, and a form in place.
 */

import { AnswerForm } from "./answers.js";
import { h, put, say } from "./dom.js";
import { time } from "./marks.js";
import { count, moment } from "./words.js";

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

  async #open() {
    try {
      const { body, asked_by, execution_id } = await this.line.call("message", { message_id: this.row.id });
      const asker = execution_id && h("p.muted", "Asked by ", this.place.toOne(execution_id, ".link", asked_by ?? "an execution"));
      this.form = new AnswerForm(body, (response) => this.#send(response));
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
  constructor({ line, place, toasts }) {
    Object.assign(this, { line, place, toasts, items: new Map() });
    this.heading = h("h2", { tabindex: -1 });
    this.list = h("ul.message-list");
    this.element = h("section.panel.messages", { "aria-label": "Messages", hidden: true }, h("header", this.heading), this.list);
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
    for (const row of rows.filter(({ id }) => !this.items.has(id)).reverse()) {
      const item = new MessageItem(row, { line: this.line, place: this.place, onanswered: (answered) => this.#answered(answered) });
      this.items.set(row.id, item);
      this.list.prepend(item.element);
    }
    this.#tell(rows.length, is_all);
  }

  #tell(number, isAll) {
    this.element.hidden = this.items.size === 0;
    say(this.heading, isAll ? count(number, "unanswered message") : `More than ${number} unanswered messages`);
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
