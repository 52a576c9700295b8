/**
 * The event stream of a browser, shared by all its tabs: each stream occupies one of the six connections that a browser
 * allows per server.
 *
 * A shared worker holds it. Browsers without shared workers let one tab hold it, by a Web Lock; without those (plain
 * HTTP), each tab has its own stream, and only while it is visible.
 */

import { Connection, type Report } from "./connection";
import { trustedUrl } from "../ui/trusted";
import type { Listener } from "./transport";

const NAME = "cloudo-events";

export interface Stream {
  url: string;
  /** URL of the shared worker's script, if there is one. */
  workerUrl: string | null;
  /** Only events with a higher id; null for those from now on. */
  after: number | null;
}

/** Subscribe to events. Returns the function that ends it. */
export function listenToEvents({ url, workerUrl, after }: Stream, listener: Listener): () => void {
  const take = (report: Report) => {
    if (report.kind === "events") listener.events(report.events);
    else if (report.kind === "opened") listener.opened(report.isComplete);
    else listener.lost();
  };
  const absolute = new URL(url, location.href).href;
  if (workerUrl && "SharedWorker" in globalThis) return bySharedWorker(absolute, workerUrl, after, take);
  if (navigator.locks && "BroadcastChannel" in globalThis) return byLeader(absolute, take);
  return byVisibleTab(absolute, after, take);
}

function bySharedWorker(
  url: string,
  workerUrl: string,
  after: number | null,
  take: (report: Report) => void,
): () => void {
  const { port } = new SharedWorker(trustedUrl(workerUrl), { name: NAME });
  port.onmessage = ({ data }: MessageEvent<Report>) => take(data);
  port.postMessage({ url, after });
  const close = () => port.postMessage({ closed: true });
  // A page that comes back from the browser's cache connects again.
  const show = ({ persisted }: PageTransitionEvent) => persisted && port.postMessage({ url });
  addEventListener("pagehide", close);
  addEventListener("pageshow", show);
  return () => {
    removeEventListener("pagehide", close);
    removeEventListener("pageshow", show);
    close();
    port.close();
  };
}

function byLeader(url: string, take: (report: Report) => void): () => void {
  const channel = new BroadcastChannel(`${NAME} ${url}`);
  const ended = new AbortController();
  channel.onmessage = ({ data }: MessageEvent<Report>) => take(data);
  void navigator.locks
    .request(`${NAME} ${url}`, { signal: ended.signal }, () => {
      const tell = (report: Report) => {
        channel.postMessage(report);
        take(report);
      };
      // A tab that takes over does not know what the last one has seen.
      const connection = new Connection(url, tell, null);
      return new Promise<void>((leave) =>
        ended.signal.addEventListener("abort", () => {
          connection.close();
          leave();
        }),
      );
    })
    .catch(() => {}); // aborted while it waited
  return () => {
    ended.abort();
    channel.close();
  };
}

function byVisibleTab(url: string, after: number | null, take: (report: Report) => void): () => void {
  let connection: Connection | null = null;
  let start = after;
  const follow = () => {
    if (document.hidden) {
      connection?.close();
      connection = null;
    } else {
      connection ??= new Connection(url, take, start);
      start = null;
    }
  };
  document.addEventListener("visibilitychange", follow);
  follow();
  return () => {
    document.removeEventListener("visibilitychange", follow);
    connection?.close();
  };
}
