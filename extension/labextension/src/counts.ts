/** How many executions run, and how many input requests are open. Known before any panel is open. */

import type { Counts } from "../../frontend/app/lab";
import type { Server } from "./server";

/** Interval until the front end is loaded, which then follows the event stream. */
const POLL_MS = 15_000;

/** Call `tell` with the counts, now and after each change. Nothing is asked for while the page is hidden. */
export function followCounts(server: Server, tell: (counts: Counts) => void): void {
  if (server.problem) return;
  let isLive = false;
  const look = async () => {
    if (isLive || document.hidden) return;
    const counts = await readCounts(server);
    if (counts && !isLive) tell(counts);
  };
  void look();
  const timer = setInterval(() => void look(), POLL_MS);
  server.onLoaded((frontEnd) => {
    isLive = true;
    clearInterval(timer);
    frontEnd.followCounts(server, tell);
  });
}

/** Null if the server does not answer: a mere count says nothing about that. */
async function readCounts(server: Server): Promise<Counts | null> {
  try {
    const [executions, messages] = await Promise.all([
      server.get("execution/count") as Promise<{ by_status: Record<string, number> }>,
      server.get("message?unanswered=true&limit=100") as Promise<{ items: unknown[] }>,
    ]);
    return {
      running: executions.by_status.RUNNING ?? 0,
      questions: messages.items.length,
    };
  } catch {
    return null;
  }
}
