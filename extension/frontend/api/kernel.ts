/** The transport of a widget whose page cannot reach REST: requests go through the kernel, by custom messages. */

import { ApiError } from "./client";
import type { Listener, Reply, Request, Transport } from "./transport";
import type { ServerEvent } from "./types";

/** The part of anywidget's model that it uses. */
export interface Model {
  send(message: unknown): void;
  on(name: "msg:custom", listener: (message: unknown) => void): void;
  off(name: "msg:custom", listener: (message: unknown) => void): void;
}

type Message =
  | { id: string; status: number; headers?: Record<string, string>; body?: unknown }
  | { id: string; events: ServerEvent[] };

/** A busy kernel answers late; a dead one never. */
const TIMEOUT_MS = 30_000;

export class KernelTransport implements Transport {
  readonly baseUrl = null;
  private readonly waiting = new Map<string, (reply: Reply) => void>();
  private readonly listeners = new Map<string, Listener>();
  /** Several views of one widget share its model, and hear each other's replies. */
  private readonly prefix = crypto.getRandomValues(new Uint32Array(2)).join("-");
  private last = 0;

  constructor(private readonly model: Model) {
    model.on("msg:custom", this.hear);
  }

  request({ method, path, body, headers, signal }: Request): Promise<Reply> {
    const id = this.newId();
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        this.waiting.delete(id);
        clearTimeout(timer);
        act();
      };
      const silent = "The kernel does not answer. It may be busy. Run the cell again if it has ended.";
      const timer = setTimeout(() => end(() => reject(new ApiError(0, "unreachable", silent))), TIMEOUT_MS);
      signal?.addEventListener("abort", () => end(() => reject(signal.reason as Error)));
      this.waiting.set(id, (reply) => end(() => resolve(reply)));
      this.model.send({ id, method, path, body, headers });
    });
  }

  listen(listener: Listener): () => void {
    const id = this.newId();
    this.listeners.set(id, listener);
    this.model.send({ id, events: { after: null } });
    listener.opened(false);
    return () => {
      this.listeners.delete(id);
      this.model.send({ id, close: true });
    };
  }

  close(): void {
    this.model.off("msg:custom", this.hear);
  }

  private newId(): string {
    this.last += 1;
    return `${this.prefix}-${this.last}`;
  }

  private readonly hear = (raw: unknown): void => {
    const message = raw as Message;
    if ("events" in message) {
      if (message.events.length > 0) this.listeners.get(message.id)?.events(message.events);
    } else {
      const { id, status, headers = {}, body = null } = message;
      this.waiting.get(id)?.({ status, headers, body });
    }
  };
}
