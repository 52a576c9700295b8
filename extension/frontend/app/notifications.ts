/**
 * Notifications of the browser about the user's own runs, while no tab of the dashboard is in sight. Fetched when they
 * are turned on.
 *
 * One tab tells: the one that holds a Web Lock. A tab in sight holds another one. Browsers have both locks and
 * notifications only over https and on localhost.
 */

import type { Execution, Message } from "../api/types";
import { STATUSES, isEnded, messageOf, now } from "../ui/words";
import type { App } from "./context";

export const CHOICE = "cloudo-notifications";
/** Older ends are no news: an event may come late, after an outage. */
const FRESH_MS = 60_000;
const MAX_QUESTIONS = 3;

export type Choice = "on" | "off" | "denied" | "impossible";

export function choice(): Choice {
  if (!("Notification" in globalThis) || !navigator.locks) return "impossible";
  if (Notification.permission === "denied") return "denied";
  return Notification.permission === "granted" && localStorage.getItem(CHOICE) ? "on" : "off";
}

/** Ask the browser, and begin. */
export async function turnOn(app: App): Promise<Choice> {
  if ((await Notification.requestPermission()) === "granted") localStorage.setItem(CHOICE, "on");
  followRuns(app);
  return choice();
}

export function turnOff(): Choice {
  localStorage.removeItem(CHOICE);
  return choice();
}

let isFollowing = false;

/** Tell of runs from now on. The tab asks again before each one whether it is wanted. */
export function followRuns(app: App): void {
  if (isFollowing || choice() !== "on") return;
  isFollowing = true;
  const scope = app.api.transport.baseUrl ?? "";
  const [leading, seen] = [`${CHOICE} ${scope}`, `${CHOICE} seen ${scope}`];
  holdWhileVisible(seen);
  const told = new Told(leading);
  void navigator.locks.request(leading, () => {
    const teller = new Teller(app, told, async () => {
      const { held } = await navigator.locks.query();
      return choice() === "on" && !held?.some(({ name }) => name === seen);
    });
    app.executions.follow((changed) => void teller.tellEnds(changed));
    app.live.follow({
      news: (news) => {
        const created = [...news.of("message")].filter(([, types]) => types.has("MessageCreated"));
        if (created.length > 0) void teller.tellQuestions(created.map(([id]) => id));
      },
    });
    return new Promise(() => {}); // for as long as the tab lives
  });
}

/** Hold a lock, shared with other tabs, while this one is in sight. */
function holdWhileVisible(name: string): void {
  let leave: (() => void) | null = null;
  const follow = () => {
    if (document.visibilityState === "hidden") {
      leave?.();
      leave = null;
    } else if (!leave) {
      const hidden = new Promise<void>((resolve) => (leave = resolve));
      void navigator.locks.request(name, { mode: "shared" }, () => hidden);
    }
  };
  document.addEventListener("visibilitychange", follow);
  follow();
}

/** What any tab has told: the tab that takes over may get the same news late. */
class Told {
  private readonly ids = new Set<string>();
  private readonly channel: BroadcastChannel;

  constructor(name: string) {
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = ({ data }) => this.ids.add(String(data));
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  add(id: string): void {
    this.ids.add(id);
    this.channel.postMessage(id);
  }
}

/** Makes the notifications. */
class Teller {
  private user: Promise<string> | null = null;

  constructor(
    private readonly app: App,
    private readonly told: Told,
    private readonly isWanted: () => Promise<boolean>,
  ) {}

  async tellEnds(changed: readonly Execution[]): Promise<void> {
    for (const one of changed) {
      const { id, name, status, ended_at, parent_id, trigger } = one;
      const isFresh = isEnded(status) && ended_at !== null && now() - Date.parse(ended_at) < FRESH_MS;
      // Schedules and webhooks succeed all day long; that they fail is news.
      const isAutomatic = trigger === "schedule" || trigger === "webhook";
      if (!isFresh || parent_id || this.told.has(id) || (isAutomatic && status !== "ENDED_ERROR")) continue;
      this.told.add(id);
      if (!(await this.isOwn(one)) || !(await this.isWanted())) continue;
      this.show(`${STATUSES[status]}: ${name}`, messageOf(one), id, "execution");
    }
  }

  async tellQuestions(ids: readonly string[]): Promise<void> {
    const { api } = this.app;
    for (const id of ids.slice(0, MAX_QUESTIONS)) {
      if (this.told.has(id)) continue;
      this.told.add(id);
      const message = await api.get<Message>(`message/${id}`).catch(() => null);
      if (message?.state !== "OPEN" || !message.execution_id) continue;
      const asking = await api.get<Execution>(`execution/${message.execution_id}`).catch(() => null);
      if (!asking || !(await this.isOwn(asking)) || !(await this.isWanted())) continue;
      this.show(message.subject, `${asking.name} waits for an answer.`, id, "message");
    }
  }

  private async isOwn({ user_name }: Execution): Promise<boolean> {
    this.user ??= this.app.api.get<{ name: string }>("user/me").then(({ name }) => name);
    return user_name === (await this.user.catch(() => (this.user = null)));
  }

  private show(title: string, body: string, id: string, view: string): void {
    const notification = new Notification(title, { body, tag: id });
    notification.onclick = () => {
      focus();
      this.app.place.go(view, id);
      notification.close();
    };
  }
}
