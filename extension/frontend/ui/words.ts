/** Words for statuses, origins, times and durations. */

import type { Execution, ExecutionBrief, Origin, Status } from "../api/types";

/** Every status, in the order of an execution's life. */
export const STATUSES: Record<Status, string> = {
  PENDING: "Pending",
  RUNNING: "Running",
  WAITING: "Waiting",
  PAUSED: "Paused",
  ENDED_SUCCESS: "Success",
  ENDED_ERROR: "Error",
  ENDED_CANCELLED: "Cancelled",
};

const ORIGINS: Record<Origin, string> = {
  ui: "dashboard",
  api: "REST",
  cell: "notebook cell",
  cli: "command line",
  webhook: "webhook",
  schedule: "schedule",
  flow: "flow",
};

/** The word for how an execution was started. */
export const originOf = (origin: Origin): string => ORIGINS[origin] ?? origin;

export const isEnded = (status: string): boolean => status.startsWith("ENDED_");

type HasStatus = Pick<Execution, "status">;

/** The actions on an execution, and whether its status allows them. */
export const ALLOWS = {
  pause: ({ status }: HasStatus) => status === "PENDING" || status === "RUNNING" || status === "WAITING",
  resume: ({ status }: HasStatus) => status === "PAUSED",
  cancel: ({ status }: HasStatus) => !isEnded(status),
  retry: ({ status }: HasStatus) => isEnded(status),
  delete: ({ status }: HasStatus) => isEnded(status),
};

export type Action = keyof typeof ALLOWS;

/** Milliseconds by which the server's clock is ahead of the browser's. */
const clock = { ahead: 0 };

/** Set the clock by the `Date` header of a reply. */
export function setClock(date: string | undefined): void {
  const ahead = date ? Date.parse(date) - Date.now() : 0;
  // The header has whole seconds: a smaller difference says nothing.
  clock.ahead = Math.abs(ahead) > 2000 ? ahead : 0;
}

/** The server's time, in milliseconds. */
export const now = (): number => Date.now() + clock.ahead;

const two = (number: number): string => String(Math.floor(number)).padStart(2, "0");

/** "0.4 s", "12 s", "3 min 05 s", "2 h 04 min", "3 d 4 h". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** How long an execution ran, or has been running, in whole seconds; empty before its start. */
export function runTime({ started_at, ended_at }: Pick<Execution, "started_at" | "ended_at">): string {
  if (!started_at) return "";
  if (ended_at) return duration(Date.parse(ended_at) - Date.parse(started_at));
  const soFar = Math.max(0, now() - Date.parse(started_at));
  return soFar < 10_000 ? `${Math.floor(soFar / 1000)} s` : duration(soFar);
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 7],
  ["week", 4.35],
  ["month", 12],
  ["year", Infinity],
];

/** "just now", "3 minutes ago", "yesterday", "in 2 hours". */
export function ago(time: string): string {
  let amount = (Date.parse(time) - now()) / 1000;
  if (Math.abs(amount) < 10) return amount > 1 ? "in a moment" : "just now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return "";
}

/** Date and time in full, in the viewer's zone. */
export function moment(time: string | null | undefined): string {
  return time ? new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : "";
}

/** "1 flow", "3 flows". */
export const count = (number: number, noun: string): string =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** "512 B", "48 kB", "5.2 MB". */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** `text`, or its beginning with an ellipsis. */
export const cut = (text: string, longest = 300): string =>
  text.length <= longest ? text : `${text.slice(0, longest)}…`;

/** The message of an execution, else its error in one line. */
export function messageOf({ message, error }: Pick<Execution, "message" | "error">): string {
  return cut(message ?? (error ? `${error.name}: ${error.value}` : ""));
}

/** The later of two executions first: ids grow with time. */
export const byAge = (one: Pick<ExecutionBrief, "id">, other: Pick<ExecutionBrief, "id">): number =>
  one.id < other.id ? 1 : -1;

/** What an error says, without the name of its class. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
