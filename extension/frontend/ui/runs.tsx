/** Recent runs as bars: the height is the duration, the colour the outcome, and a click opens the execution. */

import type { ExecutionBrief } from "../api/types";
import { useApp } from "../app/context";
import { STATUSES, byAge, duration, now } from "./words";

type Run = Pick<ExecutionBrief, "id" | "status" | "created_at" | "ended_at"> & { started_at?: string | null };

const MIN_PERCENT = 12;

const lasted = ({ started_at, created_at, ended_at }: Run): number =>
  (ended_at ? Date.parse(ended_at) : now()) - Date.parse(started_at ?? created_at);

/** `runs` in any order; the newest is at the right. `isLarge` is for a page of one flow. */
export function RunBars({ runs, isLarge = false }: { runs: readonly Run[]; isLarge?: boolean }) {
  const { place } = useApp();
  const ordered = [...runs].sort(byAge).reverse();
  const longest = Math.max(1, ...ordered.map(lasted));
  const failures = runs.filter(({ status }) => status === "ENDED_ERROR").length;
  const words = `Recent runs: ${runs.length}, ${failures} failed`;
  return (
    <div class={`cloudo-run-bars ${isLarge ? "cloudo-large" : ""}`.trim()} role="group" aria-label={words}>
      {ordered.map((run) => {
        const words = `${STATUSES[run.status]}, ${duration(lasted(run))}, ${new Date(run.created_at).toLocaleString()}`;
        const height = Math.max(MIN_PERCENT, (100 * lasted(run)) / longest);
        return (
          <a
            key={run.id}
            class="cloudo-run-bar"
            href={place.href({ view: "execution", id: run.id, query: {} }) ?? "#"}
            data-status={run.status}
            aria-label={words}
            // In a list, a dozen of them would stand between one row and the next; the page of the flow has them, too.
            tabIndex={isLarge ? undefined : -1}
            title={words}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              place.go("execution", run.id);
            }}
          >
            <span style={{ height: `${height}%` }} />
          </a>
        );
      })}
    </div>
  );
}
