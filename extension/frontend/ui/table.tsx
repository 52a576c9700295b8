/**
 * A table of records with checkboxes. One row at a time takes the Tab key, and the arrows move it. Only the rows near the
 * window are in the page, so that thousands of them stay fluid.
 */

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useApp } from "../app/context";
import { Icon } from "./icons";
import { ROW_KEYS } from "./keys";
import { SelectAll, type Selection } from "./selection";
import { useVirtualRows } from "./virtual";

export interface Column<Row> {
  name: string;
  label: string;
  cell: (row: Row) => ComponentChildren;
  /** The value to sort by. A column without it cannot be sorted by. */
  sortBy?: (row: Row) => string | number;
  /** Whether the first click sorts the largest value first, as for times. */
  isLargestFirst?: boolean;
}

/** The order of a list: a column's name, with `-` in front if it is descending. */
export interface Sort {
  name: string;
  isDescending: boolean;
  /** The order without a choice; `-` if it is that of no column. */
  usual: string;
}

export interface TableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  /** What a screen reader calls the row. */
  wordOf: (row: Row) => string;
  /** Without it the table has no checkboxes. */
  selection?: Selection;
  isSelectable?: (row: Row) => boolean;
  /** What a click on a row does; without it, the click selects. */
  onOpen?: (row: Row) => void;
  sort?: Sort;
  onSort?: (name: string) => void;
  /** For a table whose rows have rows below them. */
  tree?: TreeOf<Row>;
  /** The name of a row that is only a heading for those below it; null for all others. */
  headingOf?: (row: Row) => ComponentChildren | null;
}

interface TreeOf<Row> {
  /** 0 for a row at the top. */
  depthOf: (row: Row) => number;
  /** Whether the rows below it are shown; null if it has none. */
  isOpen: (row: Row) => boolean | null;
  toggle: (row: Row) => void;
}

const INTERACTIVE = "a, button, input, label, select";

export function Table<Row>(props: TableProps<Row>) {
  const { label, columns, rows, keyOf, selection, isSelectable = () => true, sort, onSort } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const [turn, setTurn] = useState<string | null>(null);
  // Scrolling draws the table with the same `props`: what follows from them stays, so that its rows are not drawn again.
  const keys = useMemo(() => rows.filter(isSelectable).map(keyOf), [props]);
  const turnAt = useMemo(
    () =>
      Math.max(
        0,
        rows.findIndex((row) => keyOf(row) === turn),
      ),
    [props, turn],
  );
  const shown = useVirtualRows(rows.length, body);
  const focusAt = useRef<number | null>(null);

  // A row whose turn it was may have left: the focus goes to the one in its place.
  const lastAt = useRef(0);
  const hadFocus = useRef(false);
  useLayoutEffect(() => {
    const inside = body.current?.contains(document.activeElement) ?? false;
    if (hadFocus.current && !inside && document.activeElement === document.body && rows.length > 0) {
      focusRow(body.current, Math.min(lastAt.current, rows.length - 1));
    }
    hadFocus.current = body.current?.contains(document.activeElement) ?? false;
  }, [rows]);
  useEffect(() => {
    if (focusAt.current === null) return;
    focusRow(body.current, focusAt.current);
    focusAt.current = null;
  });

  const move = (to: number) => {
    const at = Math.min(Math.max(to, 0), rows.length - 1);
    const row = rows[at];
    if (row === undefined) return;
    setTurn(keyOf(row));
    if (focusRow(body.current, at)) return;
    focusAt.current = at;
    shown.scrollTo(at);
  };
  const toggle = useCallback(
    (row: Row, isRange: boolean) => {
      if (selection && isSelectable(row)) selection.choose(keyOf(row), keys, isRange, !selection.has(keyOf(row)));
    },
    [props],
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const line = (event.target as HTMLElement).closest<HTMLElement>("tr[data-at]");
    if (!line) return;
    const at = Number(line.dataset.at);
    const row = rows[at];
    const { to, does } = ROW_KEYS[event.key] ?? {};
    if (to) move(to(at, rows.length));
    else if (event.target !== line || row === undefined) return;
    else if (does === "select") toggle(row, event.shiftKey);
    else if ((does === "expand" || does === "collapse") && props.tree) walk(props.tree, rows, at, does, move);
    else if (does === "open" && props.onOpen) props.onOpen(row);
    else if (does === "open") line.querySelector<HTMLElement>("a, button")?.click();
    else return;
    event.preventDefault();
  };

  return (
    <table
      class="cloudo-table"
      role={props.tree ? "treegrid" : "table"}
      aria-label={label}
      aria-rowcount={rows.length + 1}
    >
      <thead role="rowgroup">
        <tr role="row">
          {selection && (
            <th class="cloudo-check" role="columnheader">
              <SelectAll selection={selection} keys={keys} />
            </th>
          )}
          {columns.map((column) => (
            <Head key={column.name} column={column} sort={sort} onSort={onSort} />
          ))}
          {sort && (
            <th class="cloudo-sort" role="columnheader">
              <SortChoice columns={columns} sort={sort} />
            </th>
          )}
        </tr>
      </thead>
      <tbody
        ref={body}
        role="rowgroup"
        onKeyDown={onKeyDown}
        onMouseDown={(event) => event.shiftKey && event.preventDefault()}
        onFocusIn={(event) => {
          const line = (event.target as HTMLElement).closest<HTMLElement>("tr[data-at]");
          if (!line) return;
          hadFocus.current = true;
          lastAt.current = Number(line.dataset.at);
          const row = rows[lastAt.current];
          if (row !== undefined) setTurn(keyOf(row));
        }}
        onFocusOut={(event) => {
          if (event.relatedTarget) hadFocus.current = false;
        }}
      >
        {shown.before > 0 && <Spacer height={shown.before} />}
        {shown.indexes.map((at) => {
          const row = rows[at] as Row;
          return (
            <Line
              key={keyOf(row)}
              {...props}
              row={row}
              at={at}
              keys={keys}
              isInTurn={at === turnAt}
              toggle={toggle}
              measure={shown.measure}
            />
          );
        })}
        {shown.after > 0 && <Spacer height={shown.after} />}
      </tbody>
    </table>
  );
}

/** Open or close a row of a tree, or move: down from an open row, and up from a closed one. */
function walk<Row>(
  { depthOf, isOpen, toggle }: TreeOf<Row>,
  rows: readonly Row[],
  at: number,
  does: "expand" | "collapse",
  move: (to: number) => void,
): void {
  const row = rows[at] as Row;
  if (isOpen(row) === (does === "collapse")) return toggle(row);
  if (does === "expand") return void (isOpen(row) && move(at + 1));
  const above = rows.slice(0, at).findLastIndex((one) => depthOf(one) < depthOf(row));
  if (above >= 0) move(above);
}

function focusRow(body: HTMLElement | null, at: number): boolean {
  const line = body?.querySelector<HTMLElement>(`tr[data-at="${at}"]`);
  line?.focus();
  return Boolean(line);
}

const Spacer = ({ height }: { height: number }) => (
  <tr class="cloudo-spacer" aria-hidden="true">
    <td style={{ height: `${height}px` }} />
  </tr>
);

function Head<Row>({ column, sort, onSort }: { column: Column<Row>; sort?: Sort; onSort?: (name: string) => void }) {
  const isSorted = sort?.name === column.name;
  const order = isSorted ? (sort.isDescending ? "descending" : "ascending") : "none";
  return (
    <th
      class={`cloudo-col-${column.name}`}
      role="columnheader"
      scope="col"
      aria-sort={column.sortBy ? order : undefined}
    >
      {column.sortBy && onSort ? (
        <button type="button" onClick={() => onSort(column.name)}>
          {column.label}
          <span class="cloudo-arrow">{isSorted && <Icon name={sort.isDescending ? "down" : "up"} />}</span>
        </button>
      ) : (
        column.label
      )}
    </th>
  );
}

/** The order as a choice, for a narrow window, in which no other heads are shown. */
function SortChoice<Row>({ columns, sort }: { columns: readonly Column<Row>[]; sort: Sort }) {
  const { place } = useApp();
  const orders = columns
    .filter(({ sortBy }) => sortBy)
    .flatMap(({ name, label, isLargestFirst }) => {
      const both = [
        [name, `${label} ↑`],
        [`-${name}`, `${label} ↓`],
      ] as const;
      return isLargestFirst ? [both[1], both[0]] : both;
    });
  const known = sort.usual === "-" ? [["-", "Newest first"] as const, ...orders] : orders;
  return (
    <select
      class="cloudo-chip"
      aria-label="Sort"
      value={`${sort.isDescending ? "-" : ""}${sort.name}`}
      onChange={({ currentTarget }) => place.refine({ sort: currentTarget.value })}
    >
      {known.map(([value, words]) => (
        <option key={value} value={value}>
          {words}
        </option>
      ))}
    </select>
  );
}

type LineProps<Row> = TableProps<Row> & {
  row: Row;
  at: number;
  keys: readonly string[];
  isInTurn: boolean;
  toggle: (row: Row, isRange: boolean) => void;
  measure: (element: HTMLElement | null) => void;
};

function Line<Row>(props: LineProps<Row>) {
  const {
    row,
    at,
    keys,
    columns,
    keyOf,
    wordOf,
    selection,
    isSelectable = () => true,
    onOpen,
    isInTurn,
    toggle,
    measure,
    tree,
    headingOf,
  } = props;
  const heading = headingOf?.(row) ?? null;
  const cell = tree ? "gridcell" : "cell";
  const element = useRef<HTMLTableRowElement>(null);
  const isSelected = selection?.has(keyOf(row)) ?? false;
  useLayoutEffect(() => measure(element.current));
  // Tab reaches only the controls of the row in turn.
  useLayoutEffect(() => {
    for (const control of element.current?.querySelectorAll<HTMLElement>("a:not(.cloudo-run-bar), button, input") ??
      []) {
      control.tabIndex = isInTurn ? 0 : -1;
    }
  });
  const click = (event: MouseEvent) => {
    const target = event.target as HTMLElement;
    if (target.closest(INTERACTIVE) || String(getSelection())) return;
    if (heading !== null) return tree?.toggle(row);
    if (onOpen && !target.closest(".cloudo-check")) onOpen(row);
    else toggle(row, event.shiftKey);
  };
  return (
    <tr
      ref={element}
      role="row"
      data-at={at}
      data-index={at}
      aria-rowindex={at + 2}
      aria-level={tree && tree.depthOf(row) + 1}
      aria-expanded={tree?.isOpen(row) ?? undefined}
      tabIndex={isInTurn ? 0 : -1}
      class={heading !== null ? "cloudo-folder" : isSelected ? "cloudo-selected" : undefined}
      onClick={click}
    >
      {heading !== null && (
        <td role={cell} colSpan={columns.length + (selection ? 1 : 0)}>
          <button type="button" aria-expanded={tree?.isOpen(row) ?? undefined} onClick={() => tree?.toggle(row)}>
            <Icon name="down" />
            {heading}
          </button>
        </td>
      )}
      {heading === null && selection && (
        <td class="cloudo-check" role={cell}>
          <input
            type="checkbox"
            aria-label={`Select ${wordOf(row)}`}
            checked={isSelected}
            disabled={!isSelectable(row)}
            onClick={(event) => selection.choose(keyOf(row), keys, event.shiftKey, event.currentTarget.checked)}
          />
        </td>
      )}
      {heading === null &&
        columns.map((column) => (
          <td key={column.name} class={`cloudo-col-${column.name}`} role={cell} data-label={column.label}>
            {column.cell(row)}
          </td>
        ))}
    </tr>
  );
}
