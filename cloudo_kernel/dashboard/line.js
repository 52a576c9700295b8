/**
 * The line to the kernel: calls with replies, and what the kernel pushes by itself.
 */

const SILENCE = 30000;
const PING_EVERY = 10000;
const PING_PATIENCE = 8000;

/** What went wrong, with the cure in its message. */
export class Trouble extends Error {
  constructor({ code = "error", message, field = null }) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** One view's line over the widget's model. Other views of the same model have lines of their own. */
export class Line {
  constructor(model) {
    this.model = model;
    this.view = Math.random().toString(36).slice(2);
    this.waiting = new Map();
    this.last = 0;
    /** Called with what the kernel pushes. */
    this.onpush = () => {};
    /** Called with true when the kernel answers (again), with false when it has fallen silent. */
    this.onalive = () => {};
    this.heard = (message) => this.#hear(message);
    model.on("msg:custom", this.heard);
    this.pinger = setInterval(() => this.#ping(), PING_EVERY);
  }

  /** Ask the kernel for `verb` and promise its result; a failure is a `Trouble`. */
  call(verb, args = {}, { patience = SILENCE } = {}) {
    this.last += 1;
    const id = this.last;
    return new Promise((resolve, reject) => {
      const silent = () => {
        this.waiting.delete(id);
        reject(new Trouble({ code: "silent", message: "The kernel does not answer. Reload the page, or run the cell again." }));
      };
      this.waiting.set(id, { resolve, reject, timer: setTimeout(silent, patience) });
      try {
        this.model.send({ view: this.view, id, call: verb, args });
      } catch {
        silent();
      }
    });
  }

  close() {
    clearInterval(this.pinger);
    this.model.off("msg:custom", this.heard);
    for (const { timer } of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
  }

  #hear(message) {
    if (message.push) {
      this.onpush(message);
      return;
    }
    const waiting = message.view === this.view && this.waiting.get(message.id);
    if (!waiting) return;
    this.waiting.delete(message.id);
    clearTimeout(waiting.timer);
    this.onalive(true);
    if (message.error) waiting.reject(new Trouble(message.error));
    else waiting.resolve(message.result);
  }

  async #ping() {
    try {
      await this.call("ping", {}, { patience: PING_PATIENCE });
    } catch {
      this.onalive(false);
    }
  }
}
