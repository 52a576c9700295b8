/** The transport of a page: `fetch` with the page's own cookie and XSRF token, and the event stream of the browser. */

import { listenToEvents } from "./stream";
import type { Listener, Reply, Request, Transport } from "./transport";

export class FetchTransport implements Transport {
  constructor(
    readonly baseUrl: string,
    private readonly workerUrl: string | null,
    /** The newest event when the page was made. */
    private readonly lastEvent: number | null = null,
  ) {}

  async request({ method, path, body, headers = {}, signal }: Request): Promise<Reply> {
    const isChange = method !== "GET";
    const reply = await fetch(`${this.baseUrl}cloudo/api/1/${path}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        "X-Cloudo-Trigger": "ui",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(isChange ? { "X-XSRFToken": xsrfToken() } : {}),
        ...headers,
      },
      credentials: "same-origin",
      redirect: "error",
      signal,
    });
    const text = await reply.text();
    const isJson = reply.headers.get("Content-Type")?.startsWith("application/json");
    return {
      status: reply.status,
      headers: Object.fromEntries(reply.headers),
      body: isJson && text ? JSON.parse(text) : text || null,
    };
  }

  listen(listener: Listener): () => void {
    const url = `${this.baseUrl}cloudo/api/1/event`;
    return listenToEvents({ url, workerUrl: this.workerUrl, after: this.lastEvent }, listener);
  }
}

function xsrfToken(): string {
  return /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}
