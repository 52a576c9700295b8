/**
 * Words for statuses, doors, times and durations.
 */

/** Every status, in the order of an execution's life. */
export const STATUSES = {
  PENDING: "Pending",
  RUNNING: "Running",
  WAITING: "Waiting",
  PAUSED: "Paused",
  ENDED_SUCCESS: "Success",
  ENDED_ERROR: "Error",
  ENDED_CANCELLED: "Cancelled",
};

const DOORS = {
  ui: "dashboard",
  api: "REST",
  cell: "notebook cell",
  cli: "command line",
  webhook: "webhook",
  schedule: "schedule",
  flow: "flow",
};

/** The word for the door through which an execution was started. */
export const doorOf = (trigger) => DOORS[trigger] ?? String(trigger);

export const isEnded = (status) => String(status).startsWith("ENDED_");

export const RETRY = "Start a new execution with the same inputs";

/** What can be done with an execution: the verb, and whether its status allows it. */
export const ALLOWS = {
  pause: ({ status }) => status === "PENDING" || status === "RUNNING" || status === "WAITING",
  resume: ({ status }) => status === "PAUSED",
  cancel: ({ status }) => !isEnded(status),
  retry: ({ status }) => isEnded(status),
  delete: ({ status }) => isEnded(status),
};

/** Milliseconds by which the server's clock is ahead of the browser's; durations of running ones need it. */
const clock = { ahead: 0 };

/** Set the clock by the server's time. */
export function setClock(serverTime) {
  clock.ahead = Date.parse(serverTime) - Date.now() || 0;
}

export const now = () => Date.now() + clock.ahead;

/** "0.4 s", "12 s", "3 min 05 s", "2 h 04 min", "3 d 4 h". */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** How long an execution ran, or runs; empty before its start. Whole seconds while it ticks. */
export function ran(row) {
  if (!row.started_at) return "";
  if (row.ended_at) return duration(Date.parse(row.ended_at) - Date.parse(row.started_at));
  const sofar = Math.max(0, now() - Date.parse(row.started_at));
  return sofar < 10000 ? `${Math.floor(sofar / 1000)} s` : duration(sofar);
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 7],
  ["week", 4.35],
  ["month", 12],
  ["year", Infinity],
];

/** "just now", "3 minutes ago", "yesterday", "in 2 hours". */
export function ago(time) {
  let amount = (Date.parse(time) - now()) / 1000;
  if (Math.abs(amount) < 10) return amount > 1 ? "in a moment" : "just now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return "";
}

/** The moment in full, in the reader's zone. */
export function moment(time) {
  return time ? new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : "";
}

/** "1 flow", "3 flows". */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** "512 B", "48 KB", "5.2 MB". */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} KB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
