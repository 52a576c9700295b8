/** Marks and actions that the list and the page of one webhook share. */

import { segment } from "../../api/client";
import type { Webhook } from "../../api/types";
import type { App } from "../../app/context";
import { Icon } from "../../ui/icons";
import { count } from "../../ui/words";

/** Whether a webhook accepts calls. */
export const EnabledMark = ({ enabled }: { enabled: boolean }) => (
  <span class="cloudo-status" data-status={enabled ? "ENDED_SUCCESS" : "PAUSED"}>
    <Icon name={enabled ? "ENDED_SUCCESS" : "PAUSED"} />
    <span>{enabled ? "Enabled" : "Disabled"}</span>
  </span>
);

/** The status code of a reply, and whether that is a success. */
export function ReplyMark({ code }: { code: number | null }) {
  if (code === null) return <span class="cloudo-muted">no reply yet</span>;
  const status = code < 400 ? "ENDED_SUCCESS" : "ENDED_ERROR";
  return (
    <span class="cloudo-status" data-status={status}>
      <Icon name={status} />
      <span>{code}</span>
    </span>
  );
}

/** Call `change` for each of `rows`. Shows in a banner which errors there were. Resolves to the results. */
async function each<T>(app: App, rows: readonly Webhook[], change: (row: Webhook) => Promise<T>): Promise<T[]> {
  app.notices.set("act", "");
  const results = await Promise.allSettled(rows.map(change));
  const errors = results.flatMap((result) => (result.status === "rejected" ? [String(result.reason.message)] : []));
  if (errors.length > 0) app.notices.fail("act", [...new Set(errors)].join("\n"));
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

/** Enable or disable webhooks. */
export const switchWebhooks = (app: App, rows: readonly Webhook[], enabled: boolean): Promise<Webhook[]> =>
  each(app, rows, ({ name }) => app.api.patch<Webhook>(`webhook/${segment(name)}`, { enabled }));

/** Delete webhooks after asking. Resolves to whether all of them were deleted. */
export async function deleteWebhooks(app: App, rows: readonly Webhook[]): Promise<boolean> {
  const what = rows.length === 1 ? (rows[0]?.name ?? "") : count(rows.length, "webhook");
  const text = "Callers get 404 from then on. The record of its deliveries is deleted, too. Its executions stay.";
  if (!(await app.dialogs.confirm({ title: `Delete ${what}?`, text, word: "Delete" }))) return false;
  const done = await each(app, rows, async ({ name }) => {
    await app.api.delete(`webhook/${segment(name)}`);
    return true;
  });
  return done.length === rows.length;
}
