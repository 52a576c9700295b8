/** The list of executions: the newest ones, and live changes merged into them. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Api, ApiError, Query } from "../../api/client";
import type { Execution, Page, Status } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { byAge, now } from "../../ui/words";
import { filterOf, statusesOf } from "./filters";

const PAGE = 100;
/** REST counts at most once a second, too. */
const COUNT_MS = 1_000;
/** Proxies refuse longer addresses. */
const MAX_IDS = 150;

export interface Count {
  total: number;
  by_status: Record<Status, number>;
}

/** Which come first. */
export type Order = "newest" | "oldest" | "longest" | "shortest";

/** Rows by id, their order, and the cursor of the further ones. */
export interface Rows {
  byId: ReadonlyMap<string, Execution>;
  next: string | null;
  order: Order;
}

/** Return the rows of `pages`, the later ones winning. */
export const rowsOf = (items: readonly Execution[], next: string | null, order: Order = "newest"): Rows => ({
  byId: new Map(items.map((one) => [one.id, one])),
  next,
  order,
});

/** How long an execution ran, or has been running; null before its start. */
function durationOf({ started_at, ended_at }: Execution): number | null {
  return started_at ? (ended_at ? Date.parse(ended_at) : now()) - Date.parse(started_at) : null;
}

/** Compare rows as the server sorts them. */
function comparing(order: Order): (one: Execution, other: Execution) => number {
  if (order === "newest") return byAge;
  if (order === "oldest") return (one, other) => byAge(other, one);
  const turn = order === "longest" ? -1 : 1;
  return (one, other) => turn * ((durationOf(one) ?? 0) - (durationOf(other) ?? 0)) || byAge(one, other);
}

/** Whether a row belongs before the last one shown, rather than to the next page or to none. */
function isWithin({ byId, next, order }: Rows): (row: Execution) => boolean {
  const compare = comparing(order);
  const last = next === null ? undefined : [...byId.values()].sort(compare).at(-1);
  const isSorted = (row: Execution) => order === "newest" || order === "oldest" || durationOf(row) !== null;
  return (row) => isSorted(row) && (!last || compare(row, last) < 0);
}

/**
 * Return `rows` with changes merged in. `matches` tells which of `changed` match the filter. Rows beyond the last one
 * shown come with the next page.
 */
export function merged(
  rows: Rows,
  changed: readonly Execution[],
  deleted: readonly string[],
  matches: (row: Execution) => boolean,
): Rows {
  const byId = new Map(rows.byId);
  const fits = isWithin(rows);
  let isChanged = false;
  for (const id of deleted) isChanged = byId.delete(id) || isChanged;
  for (const row of changed) {
    if (matches(row) && (byId.has(row.id) || fits(row))) {
      byId.set(row.id, row);
      isChanged = true;
    } else isChanged = byId.delete(row.id) || isChanged;
    const parent = byId.get(row.parent_id ?? "");
    if (parent && !parent.has_children) {
      byId.set(parent.id, { ...parent, has_children: true });
      isChanged = true;
    }
  }
  return isChanged ? { ...rows, byId } : rows;
}

/** Ids of those of `changed` that match `filter`, which the server decides. */
async function matching(api: Api, filter: Query, changed: readonly Execution[]): Promise<Set<string>> {
  const ids = changed.map(({ id }) => id).slice(0, MAX_IDS);
  const page = await api.get<Page<Execution>>("execution", { ...filter, ids, limit: MAX_IDS });
  return new Set(page.items.map(({ id }) => id));
}

const isEmpty = (filter: Query): boolean =>
  Object.values(filter).every((value) => !value || (Array.isArray(value) && value.length === 0));

export interface ExecutionRows {
  rows: readonly Execution[] | null;
  error: ApiError | null;
  hasMore: boolean;
  more: () => Promise<void>;
  refresh: () => void;
  /** Merge executions that a reply has already shown. */
  take: (changed: readonly Execution[], deleted?: readonly string[]) => void;
}

/** The executions that match a filter, in order, kept up to date. */
export function useExecutionRows(query: Readonly<Record<string, string>>, order: Order): ExecutionRows {
  const { api } = useApp();
  const filter = filterOf(query);
  const statuses = statusesOf(query);
  // Without a filter, children are below their parents only; a filter finds them, too.
  const isTree = statuses.length === 0 && isEmpty(filter);
  // Without the usual order, so that the first page is the one that came with the page.
  const full: Query = {
    status: statuses,
    ...filter,
    top_level: isTree || null,
    order: order === "newest" ? null : order,
  };
  const key = JSON.stringify(full);
  const extra = useRef({ key, pages: 1 });
  if (extra.current.key !== key) extra.current = { key, pages: 1 };

  const fetch = async (signal: AbortSignal): Promise<Rows> => {
    const items: Execution[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < extra.current.pages; page++) {
      const found: Page<Execution> = await api.get<Page<Execution>>(
        "execution",
        { ...full, limit: PAGE, cursor },
        signal,
      );
      items.push(...found.items);
      cursor = found.next;
      if (cursor === null) break;
    }
    return rowsOf(items, cursor, order);
  };
  const resource = useResource<Rows>(`executions ${key}`, fetch, {
    // The message of a pending execution may say that no worker has its labels.
    concerns: (news) => news.has("worker"),
    paceMs: COUNT_MS,
  });

  const take = (changed: readonly Execution[], deleted: readonly string[] = []) => {
    // The children of a deleted execution move up.
    if (isTree && deleted.some((id) => resource.value?.byId.get(id)?.has_children)) resource.refresh();
    if (isEmpty(filter)) {
      const isMatch = ({ status, parent_id }: Execution) => (isTree ? !parent_id : statuses.includes(status));
      return resource.set((rows) => merged(rows, changed, deleted, isMatch));
    }
    // Only the server knows what matches a text, a tag or a pattern.
    const merge = (found: ReadonlySet<string>) =>
      resource.set((rows) => merged(rows, changed, deleted, ({ id }) => found.has(id)));
    if (changed.length === 0) merge(new Set());
    else void matching(api, full, changed).then(merge, () => resource.refresh());
  };
  useExecutionNews(take);

  const more = async () => {
    const cursor = resource.value?.next;
    if (!cursor) return;
    const page = await api.get<Page<Execution>>("execution", { ...full, limit: PAGE, cursor });
    extra.current.pages += 1;
    resource.set((rows) => ({
      ...rows,
      byId: new Map([...rows.byId, ...page.items.map((one) => [one.id, one] as const)]),
      next: page.next,
    }));
  };
  const rows = useMemo(() => {
    return resource.value && [...resource.value.byId.values()].sort(comparing(order));
  }, [resource.value]);
  const hasMore = Boolean(resource.value?.next);
  // All that were shown are gone, and the server has more.
  const isStale = hasMore && rows?.length === 0;
  useEffect(() => {
    if (isStale) resource.refresh();
  }, [isStale, resource.value]);
  return { rows: isStale ? null : rows, error: resource.error, hasMore, more, refresh: resource.refresh, take };
}

/** How many executions match the filter, in all and by status. The statuses of the filter do not limit it. */
export function useExecutionCount(query: Readonly<Record<string, string>>): Count | null {
  const { api } = useApp();
  const filter = filterOf(query);
  const key = `count ${JSON.stringify(filter)}`;
  const { value } = useResource<Count>(key, (signal) => api.get("execution/count", filter, signal), {
    concerns: (news) =>
      [...news.of("execution").values()].some((types) => types.size > 1 || !types.has("ExecutionLogged")),
    paceMs: COUNT_MS,
  });
  return value;
}

/** A text that follows `text` when it has not changed for a moment: for requests while somebody types. */
export function useSettled(text: string, act: (text: string) => void, delayMs = 250): [string, (text: string) => void] {
  const [typed, setTyped] = useState(text);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  // The address may change by itself, by the browser's buttons for example.
  useEffect(() => {
    if (timer.current === undefined) setTyped(text);
  }, [text]);
  const change = (now: string) => {
    setTyped(now);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = undefined;
      act(now);
    }, delayMs);
  };
  return [typed, change];
}
