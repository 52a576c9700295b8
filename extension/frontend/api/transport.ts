/** How views reach REST and the event stream. Two kinds exist: `fetch`, and the kernel of a widget. */

import type { ServerEvent } from "./types";

export interface Request {
  method: string;
  /** Path and query below `cloudo/api/1/`. */
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface Reply {
  status: number;
  /** Header names are lower-case. */
  headers: Record<string, string>;
  /** Parsed JSON, text, or null without a body. */
  body: unknown;
}

/** What the event stream reports. */
export interface Listener {
  events(events: ServerEvent[]): void;
  /** The stream is open (again). Unless it is complete, events may have been missed. */
  opened(isComplete: boolean): void;
  /** The stream is interrupted; it reconnects by itself. */
  lost(): void;
}

export interface Transport {
  /** Send a request. Rejects only if there is no reply at all. */
  request(request: Request): Promise<Reply>;
  /** Subscribe to all events since the page was made. Returns the function that ends it. */
  listen(listener: Listener): () => void;
  /** Base URL of the server, ending in `/`, or null where links to it cannot work. */
  readonly baseUrl: string | null;
}
