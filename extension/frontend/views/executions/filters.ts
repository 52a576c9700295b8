/** The filters of the list of executions, as the address holds them and as REST takes them. */

import type { Query } from "../../api/client";
import type { Origin, Status } from "../../api/types";
import { STATUSES, moment } from "../../ui/words";

/** Names of filters in the address, their names in REST, and their words. */
const NAMES: Record<string, { field: string; word: string }> = {
  flow: { field: "flow_name", word: "Flow" },
  tag: { field: "tag", word: "Tag" },
  user: { field: "user_name", word: "User" },
  trigger: { field: "trigger", word: "Started by" },
  schedule: { field: "schedule_id", word: "Schedule" },
  since: { field: "since", word: "Since" },
  until: { field: "until", word: "Until" },
};

/** Spans of time that the address names; they move with the calendar, so that a saved filter stays true. */
export const RANGES: Record<string, string> = {
  hour: "Last hour",
  today: "Today",
  yesterday: "Yesterday",
  week: "Last 7 days",
  month: "Last 30 days",
};

/** Ways to start an execution, for a choice. */
export const ORIGIN_WORDS: Origin[] = ["ui", "api", "cli", "cell", "flow", "schedule", "webhook"];

type Place = Readonly<Record<string, string>>;

/** The query with its span of time as `since` and `until`, in the viewer's zone. */
export function resolved(query: Place): Record<string, string> {
  const { range = "", ...rest } = query;
  const now = new Date();
  const day = (days: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).toISOString();
  const spans: Record<string, [string, string]> = {
    hour: [new Date(now.getTime() - 3_600_000).toISOString(), ""],
    today: [day(0), ""],
    yesterday: [day(-1), day(0)],
    week: [day(-6), ""],
    month: [day(-29), ""],
  };
  const span = spans[range];
  return span ? { ...rest, since: span[0], until: span[1] } : rest;
}

/** The statuses that the address names; unknown ones are left out. */
export function statusesOf({ status = "" }: Place): Status[] {
  return status.split(",").filter((word): word is Status => word in STATUSES);
}

/** Filters other than status and text, for chips. */
export function chipsOf(query: Place): { name: string; text: string }[] {
  const range = RANGES[query.range ?? ""];
  const span = range ? [{ name: "range", text: range }] : [];
  const others = Object.entries(NAMES).flatMap(([name, { word }]) => {
    const value = query[name];
    if (!value || (range && (name === "since" || name === "until"))) return [];
    const isTime = (name === "since" || name === "until") && !Number.isNaN(Date.parse(value));
    return [{ name, text: `${word}: ${isTime ? moment(value) : value}` }];
  });
  return [...span, ...others];
}

/** The parameters for REST, without the statuses: these also select what is counted. */
export function filterOf(query: Place): Query {
  const filter: Query = { q: query.q };
  for (const [name, { field }] of Object.entries(NAMES)) {
    const value = query[name];
    filter[field] = name === "trigger" && value ? value.split(",") : value;
  }
  return filter;
}

/** Whether any filter is set. */
export const isFiltered = (query: Place): boolean =>
  Boolean(query.q) || statusesOf(query).length > 0 || chipsOf(query).length > 0;

/** The query without its filters; its order stays. */
export const cleared = (query: Place): Record<string, string> =>
  Object.fromEntries(Object.keys(query).flatMap((name) => (name === "sort" ? [] : [[name, ""]])));

/** The filters of a query as a text, always in the same order, for saving. */
export function textOf(query: Place): string {
  const set = Object.entries(query).filter(([name, value]) => value && name !== "sort");
  return new URLSearchParams(set.sort(([one], [other]) => (one < other ? -1 : 1))).toString();
}
