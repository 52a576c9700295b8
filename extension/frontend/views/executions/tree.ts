/** The list of executions as a tree: the children of an open row are below it, and are fetched when it is opened. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Execution, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { KeptSet } from "../../app/kept";
import { merged, rowsOf, type Rows } from "./rows";

const PAGE = 100;
/** Ids of open rows. Each of them takes a request when the list is shown again. */
const opened = new KeptSet("cloudo-open-executions", 20);

/** A row of the list. */
export interface Node {
  row: Execution;
  /** The number of rows above it in the tree. */
  depth: number;
  /** Whether its children are shown; null if it has none. */
  isOpen: boolean | null;
  /** Whether it has more children than are shown. */
  hasMore: boolean;
}

/** The children of open rows, by the ids of these. */
type Branches = ReadonlyMap<string, Rows>;

/** Return rows with the children of open ones below them. A row that is below an open one is in no other place. */
export function planted(rows: readonly Execution[], open: Branches): Node[] {
  const below = new Set<string>();
  const children = (id: string) =>
    [...(open.get(id)?.byId.values() ?? [])].sort((one, other) => (one.id < other.id ? -1 : 1));
  const mark = (id: string): void =>
    children(id).forEach((child) => {
      below.add(child.id);
      mark(child.id);
    });
  rows.forEach(({ id }) => mark(id));
  const nodes = (row: Execution, depth: number): Node[] => {
    const { id, has_children } = row;
    const node = { row, depth, isOpen: has_children ? open.has(id) : null, hasMore: Boolean(open.get(id)?.next) };
    return [node, ...children(id).flatMap((child) => nodes(child, depth + 1))];
  };
  return rows.filter(({ id }) => !below.has(id)).flatMap((row) => nodes(row, 0));
}

export interface Tree {
  nodes: readonly Node[] | null;
  /** Show or hide the children of a row. */
  toggle: (id: string) => void;
}

/** Return the tree of `rows`, kept up to date. At first, the rows are open that the reader has left open. */
export function useTree(rows: readonly Execution[] | null): Tree {
  const { api, live, notices } = useApp();
  const [open, setOpen] = useState<Branches>(new Map());
  const latest = useRef(open);
  latest.current = open;

  const load = async (id: string) => {
    const query = { order: "oldest", limit: PAGE };
    const page = await api.get<Page<Execution>>(`execution/${id}/children`, query);
    setOpen((branches) => {
      const known = branches.get(id);
      if (!known) return branches; // closed meanwhile
      return new Map(branches).set(id, rowsOf([...page.items, ...known.byId.values()], page.next, "oldest"));
    });
  };
  const close = (id: string) => {
    opened.remove(id);
    setOpen((branches) => new Map([...branches].filter(([one]) => one !== id)));
  };
  const show = (id: string) => {
    opened.add(id);
    // It is open before its children come, so that no news about them is lost.
    setOpen((branches) => new Map(branches).set(id, rowsOf([], null, "oldest")));
    load(id).catch((error: unknown) => {
      close(id);
      notices.fail("act", error);
    });
  };
  const toggle = (id: string) => (latest.current.has(id) ? close(id) : show(id));
  useExecutionNews((changed, deleted) => {
    const grown = ([id, branch]: [string, Rows]): [string, Rows] => {
      const ours = changed.filter(({ parent_id }) => parent_id === id || branch.byId.has(parent_id ?? ""));
      return [id, merged(branch, ours, deleted, ({ parent_id }) => parent_id === id)];
    };
    if (latest.current.size > 0) setOpen((branches) => new Map([...branches].map(grown)));
  });
  useEffect(
    () => live.follow({ resync: () => latest.current.forEach((_, id) => void load(id).catch(() => close(id))) }),
    [live],
  );
  const nodes = useMemo(() => rows && planted(rows, open), [rows, open]);
  useEffect(() => nodes?.forEach(({ row: { id }, isOpen }) => isOpen === false && opened.has(id) && show(id)), [nodes]);
  return { nodes, toggle };
}
