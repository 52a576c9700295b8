/** Small marks that several views show: status, progress, times. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Execution } from "../api/types";
import { Icon } from "./icons";
import { STATUSES, ago, isEnded, moment, runTime } from "./words";

/** Ticks every second while a component that shows a running duration is mounted, and every half minute otherwise. */
const second = signal(0);
const halfMinute = signal(0);
let tickers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

function useTick(): void {
  useEffect(() => {
    tickers += 1;
    timer ??= setInterval(() => {
      second.value += 1;
      if (second.peek() % 30 === 0) halfMinute.value += 1;
    }, 1000);
    return () => {
      tickers -= 1;
      if (tickers === 0) {
        clearInterval(timer);
        timer = undefined;
      }
    };
  }, []);
}

const wordOf = (status: string): string => STATUSES[status as keyof typeof STATUSES] ?? status;

/** Icon and word of a status: shape and text say it, colour only helps. */
export function StatusMark({ status }: { status: string }) {
  return (
    <span class="cloudo-status" data-status={status}>
      <Icon name={status} />
      <span>{wordOf(status)}</span>
    </span>
  );
}

/** The icon alone. Its words are for screen readers, and its tooltip. */
export function StatusDot({ status, more = "" }: { status: string; more?: string }) {
  const words = [wordOf(status), more].filter(Boolean).join(", ");
  return (
    <span class="cloudo-status cloudo-dot" data-status={status} role="img" aria-label={words} title={words}>
      <Icon name={status} />
    </span>
  );
}

/** A time as "3 minutes ago", in full as its tooltip. */
export function Time({ at }: { at: string | null | undefined }) {
  useTick();
  void halfMinute.value;
  return at ? (
    <time dateTime={at} title={moment(at)}>
      {ago(at)}
    </time>
  ) : null;
}

/** How long an execution ran, or has been running. */
export function Duration({ of }: { of: Pick<Execution, "started_at" | "ended_at"> }) {
  if (of.started_at && !of.ended_at) return <RunningDuration of={of} />;
  return <span>{runTime(of)}</span>;
}

/** Draw the component anew every second while `isRunning`. */
export function useSeconds(isRunning: boolean): void {
  useTick();
  if (isRunning) void second.value;
}

function RunningDuration({ of }: { of: Pick<Execution, "started_at" | "ended_at"> }) {
  useTick();
  void second.value;
  return <span>{runTime(of)}</span>;
}

/** A bar of the cells that are done. */
export function ProgressBar({ of: { status, progress } }: { of: Pick<Execution, "status" | "progress"> }) {
  const { done = 0, total = 0, cell } = progress;
  if (total === 0) return status === "RUNNING" ? <span class="cloudo-muted">starting</span> : null;
  return (
    <div class="cloudo-progress-line">
      <div
        class="cloudo-progress"
        role="progressbar"
        aria-label="Cells done"
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={done}
        data-status={status}
        title={isEnded(status) ? "" : (cell ?? "")}
      >
        <div class="cloudo-progress-bar" style={{ transform: `scaleX(${Math.min(1, done / total)})` }} />
      </div>
      <span class="cloudo-progress-words">
        {done}/{total}
      </span>
    </div>
  );
}
