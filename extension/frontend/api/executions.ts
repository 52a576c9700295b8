/** Changed executions: fetched once for all views that follow them. */

import type { Api } from "./client";
import type { Live, News } from "./live";
import { Pace } from "./pace";
import type { Execution, Page } from "./types";

/** Maximum number of ids in one request: proxies refuse addresses above 8 kB. */
const MAX_IDS = 150;
/** Interval between two fetches while executions keep changing. */
const PACE_MS = 200;

/** Fetch executions by their ids. Missing ones are left out. */
export async function fetchExecutions(api: Api, ids: readonly string[]): Promise<Execution[]> {
  if (ids.length === 0) return [];
  const page = await api.get<Page<Execution>>("execution", { ids: ids.slice(0, MAX_IDS), limit: MAX_IDS });
  return page.items;
}

export interface ExecutionFollower {
  /** Called with changed and new executions, and the ids of deleted ones. */
  (changed: readonly Execution[], deleted: readonly string[]): void;
}

/** Follows the executions of the whole store. It fetches nothing while nobody listens. */
export class ExecutionNews {
  private readonly followers = new Set<ExecutionFollower>();
  private readonly wanted = new Set<string>();
  private deleted: string[] = [];
  private readonly pace: Pace;

  constructor(
    private readonly api: Api,
    live: Live,
  ) {
    this.pace = new Pace(() => this.fetch(), PACE_MS);
    live.follow({ news: (news) => this.take(news) });
  }

  follow(follower: ExecutionFollower): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }

  private take(news: News): void {
    if (this.followers.size === 0) return;
    for (const [id, types] of news.of("execution")) {
      if (types.has("ExecutionDeleted")) {
        this.deleted.push(id);
        this.wanted.delete(id);
      } else if (types.size > 1 || !types.has("ExecutionLogged")) {
        this.wanted.add(id);
      }
    }
    if (this.wanted.size + this.deleted.length > 0) this.pace.want();
  }

  private async fetch(): Promise<void> {
    // The newest first: they are the ones on the page.
    const ids = [...this.wanted].sort().reverse().slice(0, MAX_IDS);
    for (const id of ids) this.wanted.delete(id);
    const deleted = this.deleted.splice(0);
    const changed = await fetchExecutions(this.api, ids).catch(() => []);
    for (const follower of [...this.followers]) follower(changed, deleted);
    if (this.wanted.size > 0) this.pace.want();
  }
}
