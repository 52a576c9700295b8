/** The item of the status bar: how many executions run, and how many questions are open. Each opens its list. */

import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import type { Counts } from "../../frontend/app/lab";
import type { Desk } from "./desk";

export class StatusItem extends Widget {
  private readonly running: HTMLButtonElement;
  private readonly questions: HTMLButtonElement;
  private readonly dot = document.createElement("span");
  private counts: Counts = { running: 0, questions: 0 };

  constructor(
    private readonly trans: TranslationBundle,
    desk: Desk,
  ) {
    super();
    this.addClass("cloudo-status-bar");
    this.running = button(trans.__("Show the running executions"), () =>
      desk.open({ view: "executions", query: { status: "RUNNING" } }),
    );
    this.questions = button(trans.__("Show the open questions"), () =>
      desk.open({ view: "messages", query: { state: "OPEN" } }),
    );
    this.dot.textContent = "·";
    this.node.append(this.running, this.dot, this.questions);
  }

  /** Whether there is something to count. The status bar hides the item if not. */
  get isActive(): boolean {
    return this.counts.running + this.counts.questions > 0;
  }

  take(counts: Counts): void {
    const { trans } = this;
    const { running, questions } = counts;
    this.counts = counts;
    this.running.textContent = trans.__("%1 running", running);
    this.questions.textContent = trans._n("%1 question", "%1 questions", questions, questions);
    this.running.hidden = running === 0;
    this.questions.hidden = questions === 0;
    this.dot.hidden = running === 0 || questions === 0;
    this.setHidden(!this.isActive);
  }
}

function button(caption: string, open: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.title = caption;
  made.onclick = open;
  return made;
}
