/** One event stream: reconnects by itself, and continues after the last event that it has seen. */

import type { ServerEvent } from "./types";

/** A message from the stream to the tabs. `isComplete`: no event was missed since the id that the tab has named. */
export type Report =
  { kind: "events"; events: ServerEvent[] } | { kind: "opened"; isComplete: boolean } | { kind: "lost" };

/** Delays between attempts after the browser has given up, in milliseconds. */
const BACKOFF = [250, 500, 1000, 1000, 2000];
/** Events of one tick are reported together. */
const BATCH_MS = 30;
/** Events kept for tabs that connect later. */
const MAX_RECENT = 1000;

export class Connection {
  isOpen = false;
  private source: EventSource | null = null;
  private readonly recent: ServerEvent[] = [];
  /** All events above this id are in `recent`. */
  private since: number | null;
  private attempts = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private flush: ReturnType<typeof setTimeout> | undefined;
  private batch: ServerEvent[] = [];

  constructor(
    private readonly url: string,
    private readonly tell: (report: Report) => void,
    /** Only events with a higher id; null for those from now on. */
    private last: number | null,
  ) {
    this.since = last;
    this.connect();
  }

  /** The events since an id, or null if they are not all known. */
  eventsAfter(id: number | null): ServerEvent[] | null {
    if (id === null || this.since === null || id < this.since) return null;
    return this.recent.filter((event) => event.id > id);
  }

  close(): void {
    clearTimeout(this.retry);
    clearTimeout(this.flush);
    this.source?.close();
  }

  private connect(): void {
    const source = new EventSource(this.last === null ? this.url : `${this.url}?after=${this.last}`);
    this.source = source;
    source.onopen = () => {
      this.attempts = 0;
      this.isOpen = true;
      this.tell({ kind: "opened", isComplete: this.since !== null });
    };
    source.onmessage = ({ data }) => this.take(JSON.parse(data) as ServerEvent);
    source.onerror = () => {
      // The browser's own retries take seconds, and it gives up after an HTTP error. Both are too late for a restart.
      source.close();
      if (this.isOpen || this.attempts === 0) this.tell({ kind: "lost" });
      this.isOpen = false;
      this.retry = setTimeout(() => this.connect(), BACKOFF[Math.min(this.attempts, BACKOFF.length - 1)]);
      this.attempts += 1;
    };
  }

  private take(event: ServerEvent): void {
    this.last = event.id;
    this.since ??= event.id - 1;
    this.recent.push(event);
    if (this.recent.length > MAX_RECENT) this.since = this.recent.shift()?.id ?? this.since;
    this.batch.push(event);
    this.flush ??= setTimeout(() => {
      this.flush = undefined;
      const events = this.batch;
      this.batch = [];
      this.tell({ kind: "events", events });
    }, BATCH_MS);
  }
}
