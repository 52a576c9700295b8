/** The executions that one execution started, newest first, live, each with its bar on one time axis. */

import { useState } from "preact/hooks";
import type { Execution, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Link, Panel } from "../../ui/controls";
import { Duration, StatusMark, Time, useSeconds } from "../../ui/marks";
import { byAge, cut, duration, now } from "../../ui/words";
import { merged, rowsOf, type Rows } from "./rows";
import { axisOf, barsOf, type Axis, type Bar } from "./timeline";

const PAGE = 50;

/** A panel of them; nothing while there are none. */
export function Children({ execution }: { execution: Execution }) {
  const { api, notices } = useApp();
  const { id } = execution;
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
  useSeconds(rows.some(({ ended_at }) => !ended_at) || !execution.ended_at);
  if (rows.length === 0) return null;
  const hasMore = Boolean(resource.value?.next);
  const running = rows.filter(({ ended_at }) => !ended_at).length;
  return (
    <Panel title="Children" count={`${rows.length}${hasMore ? "+" : ""}${running > 0 ? `, ${running} running` : ""}`}>
      <Timeline own={execution} rows={rows} />
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

/** The list of children with their bars. The execution's own bar is above it. */
function Timeline({ own, rows }: { own: Execution; rows: readonly Execution[] }) {
  const time = now();
  const axis = axisOf(own, rows, time);
  return (
    <div class="cloudo-timeline">
      <div class="cloudo-timeline-row cloudo-timeline-own">
        <StatusMark status={own.status} />
        <span>This execution</span>
        <Bars of={own} axis={axis} time={time} />
        <span class="cloudo-muted">
          <Duration of={own} />
        </span>
      </div>
      <ul aria-label="Timeline">
        {rows.map((row) => (
          <li key={row.id} class="cloudo-timeline-row">
            <StatusMark status={row.status} />
            <Link view="execution" id={row.id}>
              {cut(row.name)}
            </Link>
            <Bars of={row} axis={axis} time={time} />
            <span class="cloudo-muted">
              <span class="cloudo-unseen">{`${startOf(row, axis.from, time)}. `}</span>
              {row.started_at ? <Duration of={row} /> : <Time at={row.created_at} />}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The bars for the eye; words beside them say the same. */
function Bars({ of, axis, time }: { of: Execution; axis: Axis; time: number }) {
  const { wait, run } = barsOf(of, axis, time);
  const style = ({ left, width }: Bar) => ({ left: `${left}%`, width: `${width}%` });
  return (
    <span class="cloudo-track" aria-hidden="true" title={startOf(of, axis.from, time)}>
      <span class="cloudo-track-wait" style={style(wait)} />
      <span class="cloudo-track-run" data-status={of.status} style={style(run)} />
    </span>
  );
}

function startOf({ created_at, started_at, ended_at }: Execution, from: number, time: number): string {
  if (started_at) return `Started after ${duration(Date.parse(started_at) - from)}`;
  return ended_at ? "Not started" : `Waiting for ${duration(time - Date.parse(created_at))}`;
}
