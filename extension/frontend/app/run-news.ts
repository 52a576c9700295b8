/** News about the user's own runs, for notifications: how they ended, and what they ask. Each is told once. */

import type { Execution, Message, Page, Status } from "../api/types";
import { STATUSES, isEnded, messageOf, now } from "../ui/words";
import type { App } from "./context";

/** Older ends are no news: an event may come late, after an outage. */
const FRESH_MS = 60_000;
const MAX_QUESTIONS = 3;
/** Maximum number of runs that are looked at after an outage. */
const MAX_MISSED = 20;

/** A notification. */
export interface Story {
  title: string;
  body: string;
  /** The view of the execution or message, and its id. */
  view: "execution" | "message";
  id: string;
  /** Of the run. Null for a question. */
  status: Status | null;
}

interface Options {
  /** Ids that were told. */
  told: { has(id: string): boolean; add(id: string): unknown };
  isWanted(): Promise<boolean>;
  tell(story: Story): void;
}

export class RunNews {
  private user: Promise<string> | null = null;

  constructor(
    private readonly app: Pick<App, "api" | "executions" | "live">,
    private readonly options: Options,
  ) {}

  /** Tell of runs from now on. */
  follow(): void {
    const { executions, live } = this.app;
    executions.follow((changed) => void this.tellEnds(changed));
    live.follow({
      news: (news) => {
        const created = [...news.of("message")].filter(([, types]) => types.has("MessageCreated"));
        if (created.length > 0) void this.tellQuestions(created.map(([id]) => id));
      },
    });
  }

  /** Tell what has happened since a moment, in milliseconds. */
  async catchUp(since: number): Promise<void> {
    const { api } = this.app;
    const [runs, questions] = await Promise.all([
      api.get<Page<Execution>>("execution", { limit: MAX_MISSED }),
      api.get<Page<Message>>("message", { unanswered: true, limit: MAX_QUESTIONS }),
    ]).catch(() => [{ items: [] }, { items: [] }]);
    await this.tellEnds(runs.items.filter(({ ended_at }) => Date.parse(ended_at ?? "") > since));
    const created = questions.items.filter(({ created_at }) => Date.parse(created_at) > since);
    await this.tellQuestions(created.map(({ id }) => id));
  }

  private async tellEnds(changed: readonly Execution[]): Promise<void> {
    const { told, isWanted, tell } = this.options;
    for (const one of changed) {
      const { id, name, status, type, ended_at, parent_id, trigger } = one;
      const isFresh = isEnded(status) && ended_at !== null && now() - Date.parse(ended_at) < FRESH_MS;
      // Schedules and webhooks succeed all day long; that they fail is news.
      const isAutomatic = trigger === "schedule" || trigger === "webhook";
      const isRun = type !== "INTERACTIVE" && !parent_id;
      if (!isFresh || !isRun || told.has(id) || (isAutomatic && status !== "ENDED_ERROR")) continue;
      told.add(id);
      if (!(await this.isOwn(one)) || !(await isWanted())) continue;
      tell({ title: `${STATUSES[status]}: ${name}`, body: messageOf(one), view: "execution", id, status });
    }
  }

  private async tellQuestions(ids: readonly string[]): Promise<void> {
    const { told, isWanted, tell } = this.options;
    const { api } = this.app;
    for (const id of ids.slice(0, MAX_QUESTIONS)) {
      if (told.has(id)) continue;
      told.add(id);
      const message = await api.get<Message>(`message/${id}`).catch(() => null);
      if (message?.state !== "OPEN" || !message.execution_id) continue;
      const asking = await api.get<Execution>(`execution/${message.execution_id}`).catch(() => null);
      if (!asking || !(await this.isOwn(asking)) || !(await isWanted())) continue;
      const body = `${asking.name} waits for an answer.`;
      tell({ title: message.subject, body, view: "message", id, status: null });
    }
  }

  private async isOwn({ user_name }: Execution): Promise<boolean> {
    this.user ??= this.app.api.get<{ name: string }>("user/me").then(({ name }) => name);
    return user_name === (await this.user.catch(() => (this.user = null)));
  }
}
