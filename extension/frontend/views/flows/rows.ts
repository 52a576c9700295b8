/** The list of flows: fetched page by page, and kept up to date with the executions. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Api } from "../../api/client";
import { Pace } from "../../api/pace";
import type { Execution, Flow, FlowActivity, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource, type Resource } from "../../app/resource";
import { byAge } from "../../ui/words";

/** The page carries so many with it. */
const FIRST = 100;
const NEXT = 500;
/** New files in the folder are found by listing again. */
const RELIST_MS = 30_000;
const MAX_RECENT = 5;
const NEXT_RUNS_MS = 1_000;
/** Proxies refuse addresses above 8 kB, and a name has up to 240 characters. */
const MAX_NAMES = 20;

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
    concerns: (news) => news.has("flow"),
    paceMs: 2_000,
  });
  const planned = useNextRuns(resource);
  useExecutionNews((changed) => {
    if (changed.length > 0) resource.set((flows) => withExecutions(flows, changed));
    // A run of a schedule moves its next one, without an event of the schedule.
    planned(changed.flatMap(({ schedule_id, flow_name }) => (schedule_id && flow_name ? [flow_name] : [])));
  });
  return resource;
}

/** Keep the next runs of flows up to date: only flows whose schedules have changed are asked for. */
function useNextRuns(resource: Resource<Flow[]>): (names: Iterable<string>) => void {
  const { api, live } = useApp();
  const wanted = useRef(new Set<string>());
  const latest = useRef(resource);
  latest.current = resource;
  const pace = useMemo(() => {
    const fetch = async () => {
      const names = [...wanted.current].slice(0, MAX_NAMES);
      for (const name of names) wanted.current.delete(name);
      const query = { recent: 1, limit: MAX_NAMES, names };
      const page = await api.get<Page<FlowActivity>>("flow/activity", query).catch(() => null);
      const found = new Map(page?.items.map(({ flow_name, next_run }) => [flow_name, next_run]));
      const changed = (flow: Flow) =>
        found.has(flow.name) ? { ...flow, next_run: found.get(flow.name) ?? null } : flow;
      latest.current.set((flows) => flows.map(changed));
      if (wanted.current.size > 0) pace.want();
    };
    const pace = new Pace(fetch, NEXT_RUNS_MS);
    return pace;
  }, [api]);
  const want = (names: Iterable<string>) => {
    for (const name of names) wanted.current.add(name);
    if (wanted.current.size > 0) pace.want();
  };
  useEffect(() => {
    const unfollow = live.follow({ news: (news) => want(news.flowsOf("schedule")) });
    return () => {
      pace.stop();
      unfollow();
    };
  }, [live, pace]);
  return want;
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
