/** The frame of a list: heading with count and search field, a bar of actions on the selection, and the table. */

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import { useApp } from "../app/context";
import { Button, Empty, FilterField, Heading, LoadError, Skeleton } from "./controls";
import { SelectedCount, Selection } from "./selection";
import { Table, type Column, type Sort, type TableProps } from "./table";

interface ListProps<Row> {
  title: string;
  /** All rows, or null while they load. */
  rows: readonly Row[] | null;
  /** Why they could not be loaded. */
  error: ApiError | null;
  retry: () => void;
  columns: readonly Column<Row>[];
  keyOf: (row: Row) => string;
  wordOf: (row: Row) => string;
  selection?: Selection;
  isSelectable?: (row: Row) => boolean;
  /** Number of matching rows, where actions can be applied to all of them, loaded or not. */
  total?: number | null;
  onOpen?: (row: Row) => void;
  /** Why there are no rows. It replaces the table when `rows` is empty. */
  empty: ComponentChildren;
  count?: ComponentChildren;
  filter: string;
  onFilter: (text: string) => void;
  /** The button that creates a new item, beside the heading. */
  start?: ComponentChildren;
  /** Elements between the heading and the bar. */
  more?: ComponentChildren;
  actions?: ComponentChildren;
  /** Whether there are too many actions for one line of a phone. */
  hasManyActions?: boolean;
  hint?: string;
  sort?: Sort;
  onSort?: (name: string) => void;
  tree?: TableProps<Row>["tree"];
  headingOf?: TableProps<Row>["headingOf"];
  footer?: ComponentChildren;
}

export function List<Row>(props: ListProps<Row>) {
  const { title, rows, selection, actions, hint, keyOf } = props;
  const hasSelection = selection !== undefined && (selection.isAll.value || selection.keys.value.size > 0);
  return (
    <section class="cloudo-view" aria-label={title}>
      <div class="cloudo-heading">
        <Heading>
          {title}
          <span class="cloudo-count">{props.count}</span>
        </Heading>
        {props.start}
        <FilterField label={`Filter ${title.toLowerCase()}`} value={props.filter} onChange={props.onFilter} />
      </div>
      {props.more}
      {actions && (
        <div
          class={`cloudo-bar ${props.hasManyActions ? "cloudo-bar-many" : ""}`.trim()}
          role="toolbar"
          aria-label="Actions"
          data-idle={selection && !hasSelection ? "true" : undefined}
        >
          {actions}
          {selection && <SelectedCount selection={selection} shown={(rows ?? []).map(keyOf)} total={props.total} />}
          {hint && !hasSelection && <span class="cloudo-hint">{hint}</span>}
        </div>
      )}
      <div class="cloudo-body">
        {rows === null ? (
          props.error ? (
            <LoadError what={`The ${title.toLowerCase()}`} message={props.error.message} retry={props.retry} />
          ) : (
            <Skeleton />
          )
        ) : rows.length === 0 ? (
          props.empty
        ) : (
          <Table {...props} label={title} rows={rows} />
        )}
      </div>
      {props.footer}
    </section>
  );
}

/** What replaces the rows when the filter matches none. */
export function NoMatch({ title, text, onClear }: { title: string; text: string; onClear: () => void }) {
  return (
    <Empty title={title} isFiltered>
      <p>{text}</p>
      <Button onClick={onClear}>Clear the filter</Button>
    </Empty>
  );
}

/** The order that the address names, and the function that changes it. */
export function useSort<Row>(columns: readonly Column<Row>[], usual: string): [Sort, (name: string) => void] {
  const { place } = useApp();
  const asked = place.route.value.query.sort ?? "";
  const known = columns.filter(({ sortBy }) => sortBy).flatMap(({ name }) => [name, `-${name}`]);
  const text = known.includes(asked) ? asked : usual;
  const sort = { name: text.replace("-", ""), isDescending: text.startsWith("-"), usual };
  const change = (name: string) => {
    const isLargestFirst = columns.find((column) => column.name === name)?.isLargestFirst ?? false;
    const isDescending = sort.name === name ? !sort.isDescending : isLargestFirst;
    place.refine({ sort: `${isDescending ? "-" : ""}${name}` });
  };
  return [sort, change];
}

/** Return rows in an order. Keys decide between equal ones. */
export function sorted<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  sort: Sort,
  keyOf: (row: Row) => string,
): Row[] {
  const sortBy = columns.find(({ name }) => name === sort.name)?.sortBy ?? keyOf;
  const turn = sort.isDescending ? -1 : 1;
  const compare = (one: string | number, other: string | number) => (one < other ? -turn : one > other ? turn : 0);
  return [...rows].sort((one, other) => compare(sortBy(one), sortBy(other)) || compare(keyOf(one), keyOf(other)));
}
