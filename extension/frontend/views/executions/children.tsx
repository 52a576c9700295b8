/** The executions below one execution, live, as a tree, each with its bar on one time axis. */

import { useState } from "preact/hooks";
import type { Execution, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Link, Panel } from "../../ui/controls";
import { Duration, StatusMark, Time, useSeconds } from "../../ui/marks";
import { cut, duration, now } from "../../ui/words";
import { merged, rowsOf, type Rows } from "./rows";
import { axisOf, barsOf, nested, type Axis, type Bar } from "./timeline";

const PAGE = 200;
/** Deeper executions are indented no further. */
const MAX_INDENT = 6;

/** The oldest ones come first, so that no page lacks a parent. */
const ASKED = { tree: true, order: "oldest", limit: PAGE };

/** A panel of them; nothing while there are none. */
export function Children({ execution }: { execution: Execution }) {
  const { api, notices } = useApp();
  const { id } = execution;
  const path = `execution/${id}/children`;
  const resource = useResource<Rows>(`children ${id}`, async (signal) => {
    const page = await api.get<Page<Execution>>(path, ASKED, signal);
    return rowsOf(page.items, page.next, "oldest");
  });
  const [isBusy, setBusy] = useState(false);
  useExecutionNews((changed, deleted) => {
    const ours = resource.value ? inTree(resource.value, id, changed) : [];
    if (ours.length + deleted.length > 0) resource.set((known) => merged(known, ours, deleted, () => true));
  });
  const more = async () => {
    setBusy(true);
    try {
      const page = await api.get<Page<Execution>>(path, { ...ASKED, cursor: resource.value?.next });
      resource.set(({ byId }) => rowsOf([...byId.values(), ...page.items], page.next, "oldest"));
    } catch (error) {
      notices.fail("act", error);
    } finally {
      setBusy(false);
    }
  };
  const rows = [...(resource.value?.byId.values() ?? [])];
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

/** Those of `changed` that are below the execution. */
function inTree({ byId }: Rows, top: string, changed: readonly Execution[]): Execution[] {
  const ids = new Set([top, ...byId.keys()]);
  const isBelow = ({ id, parent_id }: Execution) => Boolean(parent_id && ids.has(parent_id) && ids.add(id));
  return [...changed].sort((one, other) => (one.id < other.id ? -1 : 1)).filter(isBelow);
}

/** The tree with its bars. The execution's own bar is above it. */
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
        {nested(rows, own.id).map(({ row, depth }) => (
          <li key={row.id} class="cloudo-timeline-row">
            <StatusMark status={row.status} />
            <span style={{ paddingLeft: `${Math.min(depth, MAX_INDENT) * 14}px` }}>
              {depth > 0 && <span class="cloudo-unseen">{`Level ${depth + 1}: `}</span>}
              <Link view="execution" id={row.id}>
                {cut(row.name)}
              </Link>
            </span>
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
