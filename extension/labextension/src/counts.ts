/**
 * How many executions run, and how many input requests are open. They are asked for now and then until something
 * happens; then the front end is loaded, which follows the event stream.
 */

import type { Counts } from "../../frontend/app/lab";
import type { Server } from "./server";

const POLL_MS = 15_000;

/** Call `tell` with the counts, now and after each change. Nothing is asked for while the page is hidden. */
export function followCounts(server: Server, tell: (counts: Counts) => void): void {
  if (server.problem) return;
  let isLive = false;
  let last = "";
  const look = async () => {
    if (isLive || document.hidden) return;
    const known = await readCounts(server);
    if (!known || isLive) return;
    tell(known);
    const words = JSON.stringify(known);
    if (known.running > 0 || (last && words !== last)) void server.frontEnd().catch(() => {}); // a panel says why
    last = words;
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
async function readCounts(server: Server): Promise<(Counts & { executions: unknown }) | null> {
  try {
    const [executions, messages] = await Promise.all([
      server.get("execution/count") as Promise<{ by_status: Record<string, number> }>,
      server.get("message?unanswered=true&limit=100") as Promise<{ items: unknown[] }>,
    ]);
    return {
      running: executions.by_status.RUNNING ?? 0,
      questions: messages.items.length,
      executions: executions.by_status,
    };
  } catch {
    return null;
  }
}
