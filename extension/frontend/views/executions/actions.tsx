/** Actions on executions: each is one request, for one execution or many. */

import type { ApiError } from "../../api/client";
import { fetchExecutions } from "../../api/executions";
import type { Execution } from "../../api/types";
import type { App } from "../../app/context";
import { ALLOWS, count, type Action } from "../../ui/words";

/** Maximum number of executions in one request. */
const MAX_IDS = 500;

export const WORDS: Record<Action, { word: string; icon: string; title?: string }> = {
  pause: { word: "Pause", icon: "pause" },
  resume: { word: "Resume", icon: "play" },
  cancel: { word: "Cancel", icon: "stop" },
  retry: { word: "Retry", icon: "again", title: "Start again, with the same source and inputs" },
  delete: { word: "Delete", icon: "trash" },
};
export const ACTIONS = Object.keys(WORDS) as Action[];

type Target = Pick<Execution, "id" | "name" | "status">;

interface Item {
  id: string | null;
  execution: { id: string } | null;
  error: Pick<ApiError, "message"> | null;
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
