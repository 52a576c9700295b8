/** The executions that one execution started, newest first, live. */

import { useState } from "preact/hooks";
import type { Execution, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Link, Panel } from "../../ui/controls";
import { Duration, StatusMark, Time } from "../../ui/marks";
import { byAge, cut } from "../../ui/words";
import { merged, rowsOf, type Rows } from "./rows";

const PAGE = 50;

/** A panel of them; nothing while there are none. */
export function Children({ id }: { id: string }) {
  const { api, notices } = useApp();
  const path = `execution/${id}/children`;
  const resource = useResource<Rows>(`children ${id}`, async (signal) => {
    const page = await api.get<Page<Execution>>(path, { limit: PAGE }, signal);
    return rowsOf(page.items, page.next);
  });
  const [isBusy, setBusy] = useState(false);
  useExecutionNews((changed, deleted) => {
    const ours = changed.filter(({ parent_id }) => parent_id === id);
    if (ours.length + deleted.length > 0) resource.set((rows) => merged(rows, ours, deleted, () => true));
  });
  const more = async () => {
    setBusy(true);
    try {
      const page = await api.get<Page<Execution>>(path, { limit: PAGE, cursor: resource.value?.next });
      resource.set(({ byId }) => rowsOf([...byId.values(), ...page.items], page.next));
    } catch (error) {
      notices.fail("act", error);
    } finally {
      setBusy(false);
    }
  };
  const rows = [...(resource.value?.byId.values() ?? [])].sort(byAge);
  if (rows.length === 0) return null;
  const hasMore = Boolean(resource.value?.next);
  const running = rows.filter(({ ended_at }) => !ended_at).length;
  return (
    <Panel title="Children" count={`${rows.length}${hasMore ? "+" : ""}${running > 0 ? `, ${running} running` : ""}`}>
      <ul class="cloudo-told-list cloudo-children">
        {rows.map((row) => (
          <li key={row.id}>
            <StatusMark status={row.status} />
            <Link view="execution" id={row.id}>
              {cut(row.name)}
            </Link>
            <span class="cloudo-muted">{row.ended_at ? <Duration of={row} /> : <Time at={row.created_at} />}</span>
          </li>
        ))}
      </ul>
      {hasMore && (
        <div class="cloudo-more">
          <Button icon="down" kind="small" disabled={isBusy} onClick={() => void more()}>
            Load more
          </Button>
        </div>
      )}
    </Panel>
  );
}
