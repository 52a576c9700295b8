/** Actions on executions: each is one request, for one execution or many. */

import type { ApiError, Query } from "../../api/client";
import { fetchExecutions } from "../../api/executions";
import type { Execution, Status } from "../../api/types";
import type { App } from "../../app/context";
import { ALLOWS, count, now, type Action } from "../../ui/words";
import { filterOf, statusesOf } from "./filters";
import type { Count } from "./rows";

/** Maximum number of executions in one request. */
const MAX_IDS = 500;

export const WORDS: Record<Action, { word: string; icon: string; title?: string }> = {
  pause: { word: "Pause", icon: "pause" },
  resume: { word: "Resume", icon: "play" },
  cancel: { word: "Cancel", icon: "stop" },
  retry: { word: "Run again", icon: "again", title: "Run the current version of the flow with the same inputs" },
  delete: { word: "Delete", icon: "trash" },
};
export const ACTIONS = Object.keys(WORDS) as Action[];

type Target = Pick<Execution, "id" | "name" | "status">;

interface Item {
  id: string | null;
  execution: { id: string } | null;
  error: Pick<ApiError, "message"> | null;
}

interface Outcome {
  done: number;
  failed: number;
  items: Item[];
}

/** Whether an action can be applied to these executions. Delete needs all of them to have ended. */
export const isOffered = (action: Action, rows: readonly Target[]): boolean =>
  rows.length > 0 && (action === "delete" ? rows.every(ALLOWS.delete) : rows.some(ALLOWS[action]));

/**
 * Apply an action to those of `rows` that allow it. Asks before it deletes. Shows errors in a banner.
 * Resolves to the executions as they are afterwards: for `retry` the new ones, for `delete` none. Null if the reader
 * has cancelled it.
 */
export async function apply(app: App, action: Action, rows: readonly Target[]): Promise<readonly Execution[] | null> {
  const wanted = rows.filter(ALLOWS[action]);
  if (action === "delete" && !(await isSureToDelete(app, wanted))) return null;
  const done: string[] = [];
  const problems = new Set<string>();
  app.notices.set("act", "");
  try {
    for (let from = 0; from < wanted.length; from += MAX_IDS) {
      const ids = wanted.slice(from, from + MAX_IDS).map(({ id }) => id);
      const { items } = await app.api.post<{ items: Item[] }>("execution/bulk", { action, ids });
      for (const { execution, error } of items) {
        if (error) problems.add(error.message);
        else if (execution) done.push(execution.id);
      }
    }
    if (problems.size > 0) app.notices.fail("act", [...problems].join("\n"));
    const changed = await fetchExecutions(app.api, done);
    tell(app, action, changed);
    return changed;
  } catch (error) {
    app.notices.fail("act", error);
    return [];
  }
}

/** Actions that REST applies to everything that matches a filter. */
const FILTERED: readonly Action[] = ["cancel", "retry", "delete"];
/** REST applies an action to at most as many. */
const MAX_MATCHING = 10_000;

export const isOfferedForAll = (action: Action): boolean => FILTERED.includes(action);

/**
 * Apply an action to every execution that matches, the ones that are not loaded included. Asks before, with their
 * number. Executions created after the question are left alone. Resolves to whether it was done.
 */
export async function applyToMatching(app: App, action: Action, query: Record<string, string>): Promise<boolean> {
  const { api, notices, dialogs } = app;
  const filter: Query = { ...filterOf(query), until: query.until || new Date(now()).toISOString() };
  const wanted = statusesOf(query);
  notices.set("act", "");
  try {
    const { by_status } = await api.get<Count>("execution/count", filter);
    const statuses = (Object.keys(by_status) as Status[]).filter(
      (status) => ALLOWS[action]({ status }) && (wanted.length === 0 || wanted.includes(status)),
    );
    const number = statuses.reduce((sum, status) => sum + by_status[status], 0);
    if (number === 0) throw new Error(`None of the matching executions allows this action: ${WORDS[action].word}.`);
    if (!(await dialogs.confirm(question(action, number)))) return false;
    notices.set("act", `${DOING[action]} ${count(Math.min(number, MAX_MATCHING), "execution")}…`, { kind: "warning" });
    const body = { action, filter: { ...filter, status: statuses } };
    const { done, failed, items } = await api.post<Outcome>("execution/bulk", body);
    notices.set("act", "");
    const problems = new Set(items.flatMap(({ error }) => error?.message ?? []));
    if (failed > 0) notices.fail("act", [`${count(failed, "execution")} failed.`, ...problems].join("\n"));
    notices.tell(`${WORDS[action].word}: ${count(done, "execution")}`);
    return true;
  } catch (error) {
    notices.fail("act", error);
    return false;
  }
}

const DOING: Partial<Record<Action, string>> = { cancel: "Cancelling", retry: "Starting", delete: "Deleting" };

function question(action: Action, number: number): { title: string; text: string; word: string } {
  const { word } = WORDS[action];
  const what = count(Math.min(number, MAX_MATCHING), "execution");
  const more = number > MAX_MATCHING ? ` ${count(number, "execution")} match; the newest come first.` : "";
  const texts: Partial<Record<Action, string>> = {
    cancel: "They stop, and so do their children.",
    retry: "Each runs the current version of its flow again, with the same inputs.",
    delete: "Their records, logs and executed notebooks are deleted. This cannot be undone.",
  };
  // The other button says Cancel.
  const button = action === "cancel" ? `Cancel ${what}` : word;
  return { title: `${word} ${what}?`, text: `${texts[action]}${more}`, word: button };
}

function isSureToDelete(app: App, rows: readonly Target[]): Promise<boolean> {
  const what = rows.length === 1 ? (rows[0]?.name ?? "") : count(rows.length, "execution");
  const text = "The record, its log and the executed notebook are deleted. This cannot be undone.";
  return app.dialogs.confirm({ title: `Delete ${what}?`, text, word: "Delete" });
}

function tell({ notices }: App, action: Action, changed: readonly Execution[]): void {
  if (action === "retry") notices.started(changed);
  if (action === "pause" && changed.some(({ status }) => status === "RUNNING"))
    notices.tell("Pausing after the current cell.");
}
