/**
 * One message in full: its form while it is open, and what was answered.
 */

import { button, h, put, say } from "./dom.js";
import { valuesPanel } from "./execution.js";
import { importLater } from "./later.js";
import { refreshTimes, time } from "./marks.js";
import { deleteMessages, untilWhen } from "./messagelist.js";
import { messageState } from "./messages.js";
import { nothing } from "./table.js";
import { View } from "./view.js";

const LEVELS = { success: "Success", info: "Info", warning: "Warning", error: "Error" };
const WHY = { EXPIRED: "Nobody answered in time.", WITHDRAWN: "It was withdrawn when the execution that asked had ended." };

/** The view of one message. */
export class MessageView extends View {
  constructor(shared) {
    super(shared);
    Object.assign(this, { id: this.place.route.id, shown: null, form: null });
    this.heading = h("h1", { tabindex: -1 }, "Message");
    this.state = h("span.status-place");
    this.actions = h("div.bar.bar-inline", { role: "toolbar", "aria-label": "Actions", hidden: true }, button("Delete", { icon: "trash", onclick: () => this.#delete() }));
    this.facts = h("dl.facts");
    this.content = h("div.detail");
    this.whole = h("div.detail", { hidden: true }, this.facts, this.content);
    const back = this.place.link({ view: "messages" }, ".link.back", "Messages");
    const title = h("div.heading", h("div.heading-title", this.heading, this.state), this.actions);
    this.element = h("section.view", { "aria-label": "Message" }, h("nav", { "aria-label": "Back" }, back), title, this.body, this.whole);
    this.ticker = setInterval(() => refreshTimes(this.facts), 1000);
    this.load();
  }

  title() {
    return this.shown?.subject ?? "Message";
  }

  close() {
    super.close();
    clearInterval(this.ticker);
  }

  /** Fetch the message again. */
  load() {
    return this.guarded("The message could not be opened", async () => {
      try {
        const [message, { AnswerForm }] = await Promise.all([this.line.call("message", { message_id: this.id }), importLater(this.line, "answers")]);
        this.isLoaded = true;
        this.#show(message, AnswerForm);
      } catch (problem) {
        if (problem.code !== "message_not_found") throw problem;
        this.#gone();
      }
    });
  }

  /** Take news of messages. */
  follow({ messages }) {
    if (messages) this.load();
  }

  #gone() {
    this.whole.hidden = true;
    this.body.hidden = false;
    this.actions.hidden = true;
    put(this.state);
    const all = this.place.link({ view: "messages" }, ".link", "Show messages");
    put(this.body, nothing("There is no such message", "It was deleted, has expired, or the address is mistyped.", h("p", all)));
  }

  #show(message, AnswerForm) {
    const before = this.shown;
    this.shown = message;
    put(this.body);
    this.body.hidden = true;
    this.whole.hidden = false;
    this.actions.hidden = false;
    say(this.heading, message.subject);
    if (before?.state !== message.state) {
      put(this.state, messageState(message));
      this.#showFacts(message);
      this.#showContent(message, AnswerForm);
    }
    this.ontitle?.();
  }

  #showFacts({ execution_id, asked_by, created_at, state, expires_at, answered_by, answered_at, level }) {
    const facts = [
      ["From", execution_id && this.place.toOne(execution_id, ".link", asked_by ?? "an execution")],
      ["Made", time(created_at)],
      ["Waits", state === "OPEN" ? (untilWhen({ state, expires_at }) ?? "as long as it takes") : null],
      ["Expired", state === "EXPIRED" && expires_at && time(expires_at)],
      ["Answered by", answered_by],
      ["Answered", answered_at && time(answered_at)],
      ["Level", level !== "info" && LEVELS[level]],
    ];
    put(this.facts, ...facts.filter(([, value]) => value).map(([name, value]) => h("div", h("dt", name), h("dd", value))));
  }

  #showContent({ state, body, answers }, AnswerForm) {
    const told = Object.values(body?.properties ?? {}).filter(({ element, preview }) => element === "markdown" && !preview).map(({ description, label }) => h("p.told", description || label));
    if (state === "OPEN") {
      this.form = new AnswerForm(body, (response) => this.#send(response), this.line);
      put(this.content, h("section.panel.messages", h("header", h("h2", "Answer")), this.form.element));
    } else if (state === "ANSWERED") put(this.content, told.length > 0 && h("section.panel", ...told), valuesPanel("Answer", answers, "It was answered without any value."));
    else put(this.content, (told.length > 0 || WHY[state]) && h("section.panel", ...told, WHY[state] && h("p.muted", WHY[state])));
  }

  async #send(response) {
    await this.line.call("answer_message", { message_id: this.id, response });
    this.toasts.tell(`Answered: ${this.shown.subject}`);
    await this.load();
    this.heading.focus({ preventScroll: true });
  }

  async #delete() {
    if (await deleteMessages(this, [this.shown])) this.place.go({ view: "messages" });
  }
}
