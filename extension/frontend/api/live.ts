/** What has changed on the server: groups events by subject, and tells the views about it. */

import { signal } from "@preact/signals";
import type { Transport } from "./transport";
import type { ServerEvent } from "./types";

/** Event types by subject id. */
export type Changes = Map<string, Set<string>>;

/** Changes by type of subject, such as `execution`. */
export class News {
  private readonly bySubject = new Map<string, Changes>();

  constructor(private readonly events: readonly ServerEvent[]) {
    for (const { subject_type, subject_id, type } of events) {
      const changes = this.of(subject_type);
      changes.set(subject_id, (changes.get(subject_id) ?? new Set()).add(type));
      this.bySubject.set(subject_type, changes);
    }
  }

  of(subjectType: string): Changes {
    return this.bySubject.get(subjectType) ?? new Map();
  }

  has(subjectType: string): boolean {
    return this.bySubject.has(subjectType);
  }

  /** The flows that events of a type of subject name. */
  flowsOf(subjectType: string): Set<string> {
    const own = this.events.filter(({ subject_type }) => subject_type === subjectType);
    return new Set(own.flatMap(({ data: { flow_name } }) => (typeof flow_name === "string" ? [flow_name] : [])));
  }

  /** Whether a subject has one of these events. Without types: any event. */
  tells(subjectType: string, id: string, ...types: string[]): boolean {
    const found = this.of(subjectType).get(id);
    return found !== undefined && (types.length === 0 || types.some((type) => found.has(type)));
  }
}

export interface Follower {
  /** Something has changed. */
  news?(news: News): void;
  /** Events may have been missed: fetch everything again. */
  resync?(): void;
}

export class Live {
  /** Whether events arrive. `null` before the first connection. */
  readonly isConnected = signal<boolean | null>(null);
  private readonly followers = new Set<Follower>();
  private end: (() => void) | null = null;

  constructor(private readonly transport: Transport) {}

  start(): void {
    this.end = this.transport.listen({
      events: (events) => {
        const news = new News(events);
        for (const follower of [...this.followers]) follower.news?.(news);
      },
      opened: (isComplete) => {
        const wasLost = this.isConnected.value === false;
        this.isConnected.value = true;
        // After an outage views fetch again what they could not fetch during it.
        if (wasLost || !isComplete) this.resync();
      },
      lost: () => {
        this.isConnected.value = false;
      },
    });
  }

  stop(): void {
    this.end?.();
  }

  /** Have the views fetch everything again. */
  resync(): void {
    for (const follower of [...this.followers]) follower.resync?.();
  }

  /** Follow changes. Returns the function that ends it. */
  follow(follower: Follower): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }
}
