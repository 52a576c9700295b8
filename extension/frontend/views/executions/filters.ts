/** The filters of the list of executions, as the address holds them and as REST takes them. */

import type { Query } from "../../api/client";
import type { Status } from "../../api/types";
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

type Place = Readonly<Record<string, string>>;

/** The statuses that the address names; unknown ones are left out. */
export function statusesOf({ status = "" }: Place): Status[] {
  return status.split(",").filter((word): word is Status => word in STATUSES);
}

/** Filters other than status and text, for chips. */
export function chipsOf(query: Place): { name: string; text: string }[] {
  return Object.entries(NAMES).flatMap(([name, { word }]) => {
    const value = query[name];
    if (!value) return [];
    const isTime = (name === "since" || name === "until") && !Number.isNaN(Date.parse(value));
    return [{ name, text: `${word}: ${isTime ? moment(value) : value}` }];
  });
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

/** The query without its filters. */
export const cleared = (query: Place): Record<string, string> =>
  Object.fromEntries(Object.keys(query).map((name) => [name, ""]));
