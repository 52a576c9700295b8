/**
 * Notifications of the browser about the user's own runs, while no tab of the dashboard is in sight. Fetched when they
 * are turned on.
 *
 * One tab tells: the one that holds a Web Lock. A tab in sight holds another one. Browsers have both locks and
 * notifications only over https and on localhost.
 */

import type { App } from "./context";
import { RunNews, type Story } from "./run-news";

export const CHOICE = "cloudo-notifications";

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
    const isWanted = async () => {
      const { held } = await navigator.locks.query();
      return choice() === "on" && !held?.some(({ name }) => name === seen);
    };
    new RunNews(app, { told, isWanted, tell: (story) => show(story, app) }).follow();
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

function show({ title, body, id, view }: Story, { place }: App): void {
  const notification = new Notification(title, { body, tag: id });
  notification.onclick = () => {
    focus();
    place.go(view, id);
    notification.close();
  };
}
