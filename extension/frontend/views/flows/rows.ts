/** The list of flows: fetched page by page, and kept up to date with the executions. */

import { useRef } from "preact/hooks";
import type { Api } from "../../api/client";
import type { Execution, Flow, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource, type Resource } from "../../app/resource";
import { byAge } from "../../ui/words";

/** The page carries so many with it. */
const FIRST = 100;
const NEXT = 500;
/** New files in the folder are found by listing again. */
const RELIST_MS = 30_000;
const MAX_RECENT = 5;

/** `show` gets the first page early, when there is nothing on the screen yet. */
async function fetchFlows(api: Api, signal: AbortSignal, show: ((flows: Flow[]) => void) | null): Promise<Flow[]> {
  const flows: Flow[] = [];
  let cursor: string | null = null;
  do {
    const query = { brief: true, limit: cursor === null ? FIRST : NEXT, cursor };
    const page: Page<Flow> = await api.get<Page<Flow>>("flow", query, signal);
    flows.push(...page.items);
    cursor = page.next;
    if (cursor !== null && flows.length === FIRST) show?.([...flows]);
  } while (cursor !== null);
  return flows;
}

/** All flows, without their input schemas. */
export function useFlows(): Resource<Flow[]> {
  const { api } = useApp();
  const hasAll = useRef(false);
  const version = useRef<string | null>(null);
  const fetch = async (signal: AbortSignal, show: (flows: Flow[]) => void) => {
    const flows = await fetchFlows(api, signal, hasAll.current ? null : show);
    hasAll.current = true;
    return flows;
  };
  const resource = useResource<Flow[]>("flows", fetch, {
    everyMs: RELIST_MS,
    isCurrent: async () => {
      const last = version.current;
      version.current = await api.version("flow", { brief: true, runs: false, limit: 1 });
      return version.current !== null && version.current === last;
    },
    // The next run of a schedule is in the list, too.
    concerns: (news) => news.has("flow") || news.has("schedule"),
    paceMs: 2_000,
  });
  useExecutionNews((changed) => {
    if (changed.length > 0) resource.set((flows) => withExecutions(flows, changed));
  });
  return resource;
}

/** Return the flows with changed executions among their last ones. */
export function withExecutions(flows: readonly Flow[], changed: readonly Execution[]): Flow[] {
  const byFlow = new Map<string | null, Execution[]>();
  for (const one of changed) byFlow.set(one.flow_name, [...(byFlow.get(one.flow_name) ?? []), one]);
  return flows.map((flow) => {
    const news = byFlow.get(flow.name);
    if (!news) return flow;
    const ids = new Set(news.map(({ id }) => id));
    const briefs = news.map(({ id, status, created_at, ended_at }) => ({ id, status, created_at, ended_at }));
    const known = flow.last_executions.filter(({ id }) => !ids.has(id));
    return { ...flow, last_executions: [...known, ...briefs].sort(byAge).slice(0, MAX_RECENT) };
  });
}
