/** The executions, live. */

import { createContext } from "preact";
import { useContext, useEffect, useMemo } from "preact/hooks";
import type { Execution, Status } from "../../api/types";
import { useApp } from "../../app/context";
import { Breakable, Button, Empty, IconButton, Link } from "../../ui/controls";
import { Icon } from "../../ui/icons";
import { List, NoMatch, useSort } from "../../ui/list";
import { Duration, ProgressBar, StatusMark, Time } from "../../ui/marks";
import { Selection } from "../../ui/selection";
import { type Column } from "../../ui/table";
import { STATUSES, count, cut, isEnded, messageOf, type Action } from "../../ui/words";
import { ACTIONS, WORDS, apply, applyToMatching, isOffered, isOfferedForAll } from "./actions";
import { chipsOf, cleared, isFiltered, resolved, statusesOf } from "./filters";
import { OriginLink } from "./origin";
import { FilterMenu } from "./saved";
import { useExecutionCount, useExecutionRows, useSettled, type Count } from "./rows";
import { RowThumbnail } from "./thumbnail";
import { useTree, type Node } from "./tree";

const columns: Column<Node>[] = [
  { name: "status", label: "Status", cell: ({ row }) => <StatusMark status={row.status} /> },
  { name: "name", label: "Execution", cell: (node) => <NameCell node={node} /> },
  { name: "progress", label: "Progress", cell: ({ row }) => <ProgressBar of={row} /> },
  // The server sorts these two.
  {
    name: "duration",
    label: "Duration",
    cell: ({ row }) => <Duration of={row} />,
    sortBy: ({ row }) => row.id,
    isLargestFirst: true,
  },
  {
    name: "started",
    label: "Started",
    cell: ({ row }) => <StartedCell row={row} />,
    // By creation, because an execution may not have started yet.
    sortBy: ({ row }) => row.id,
    isLargestFirst: true,
  },
  { name: "by", label: "By", cell: ({ row }) => <ByCell row={row} /> },
];

/** Pixels by which a child is indented. Deeper ones are indented no further. */
const INDENT = 20;
const MAX_INDENT = 6;

/** Orders by creation and by duration, ascending and descending. */
const ORDERS = [
  ["oldest", "newest"],
  ["shortest", "longest"],
] as const;

/** What opens and closes a row of the list. */
const ToggleContext = createContext<(id: string) => void>(() => {});

function NameCell({ node: { row, depth, isOpen, hasMore } }: { node: Node }) {
  const toggle = useContext(ToggleContext);
  const { id, name, flow_name, type, tags } = row;
  const path = flow_name && flow_name !== name ? flow_name : type === "SCRIPT" ? "script" : "";
  const message = messageOf(row);
  return (
    <div class="cloudo-branch" style={{ paddingLeft: `${Math.min(depth, MAX_INDENT) * INDENT}px` }}>
      {isOpen !== null && (
        <IconButton
          icon="down"
          class="cloudo-toggle"
          label={`Children of ${name}`}
          aria-expanded={isOpen}
          onClick={() => toggle(id)}
        />
      )}
      <RowThumbnail row={row} />
      <Link view="execution" id={id} class="cloudo-title cloudo-plain-link">
        <Breakable text={cut(name)} />
      </Link>
      {path && (
        <div class="cloudo-path">
          <Breakable text={path} />
        </div>
      )}
      {message && <div class="cloudo-note">{message}</div>}
      {tags.length > 0 && (
        <div>
          {tags.map((tag) => (
            <Link key={tag} view="executions" query={{ tag }} class="cloudo-tag cloudo-plain-link">
              {cut(tag, 60)}
            </Link>
          ))}
        </div>
      )}
      {hasMore && (
        <div class="cloudo-note">
          Its first children are shown here,{" "}
          <Link view="execution" id={id}>
            all of them on its page
          </Link>
          .
        </div>
      )}
    </div>
  );
}

function StartedCell({ row: { started_at, scheduled_for, status } }: { row: Execution }) {
  if (started_at) return <Time at={started_at} />;
  if (scheduled_for && status !== "ENDED_CANCELLED")
    return (
      <span class="cloudo-muted">
        due <Time at={scheduled_for} />
      </span>
    );
  return <span class="cloudo-muted">{isEnded(status) ? "never" : "not yet"}</span>;
}

const ByCell = ({ row }: { row: Execution }) => (
  <>
    <div>{row.user_name}</div>
    <div class="cloudo-muted">
      <OriginLink of={row} />
    </div>
  </>
);

export function ExecutionList() {
  const { place } = useApp();
  const { query: asked } = place.route.value;
  const [sort, onSort] = useSort(columns, "-started");
  const address = JSON.stringify(asked);
  // Resolved once for each filter: "last hour" begins when it was chosen.
  const query = useMemo(() => resolved(asked), [address]);
  const order = ORDERS[sort.name === "duration" ? 1 : 0][sort.isDescending ? 1 : 0];
  const executions = useExecutionRows(query, order);
  const counted = useExecutionCount(query);
  const selection = useMemo(() => new Selection(), []);
  const { nodes, toggle } = useTree(executions.rows);
  useEffect(() => selection.clear(), [address]);
  useEffect(() => {
    if (nodes) selection.retain(new Set(nodes.map(keyOf)));
  }, [nodes]);
  const [typed, onType] = useSettled(query.q ?? "", (text) => place.refine({ q: text.trim() }));
  const total = counted && totalOf(counted, statusesOf(query));
  const shown = executions.rows?.length ?? 0;
  const clear = () => {
    onType("");
    place.refine(cleared(asked));
  };
  const list = (
    <List
      title="Executions"
      count={total ? total.toLocaleString("en") : ""}
      rows={nodes}
      error={executions.error}
      retry={executions.refresh}
      columns={columns}
      keyOf={keyOf}
      wordOf={({ row }) => `${row.name}, ${STATUSES[row.status]}`}
      tree={{ depthOf: ({ depth }) => depth, isOpen: ({ isOpen }) => isOpen, toggle: ({ row }) => toggle(row.id) }}
      selection={selection}
      onOpen={({ row }) => place.go("execution", row.id)}
      filter={typed}
      onFilter={onType}
      sort={sort}
      onSort={onSort}
      total={total}
      hasManyActions
      more={<Chips counted={counted} />}
      actions={<Toolbar selection={selection} executions={executions} nodes={nodes} query={query} />}
      empty={
        isFiltered(query) ? (
          <NoMatch title="No matching executions" text="New ones that match appear here." onClear={clear} />
        ) : (
          <NoExecutions />
        )
      }
      footer={
        executions.hasMore && <More more={executions.more} shown={shown} total={isFiltered(query) ? total : null} />
      }
    />
  );
  return <ToggleContext.Provider value={toggle}>{list}</ToggleContext.Provider>;
}

const keyOf = ({ row }: Node): string => row.id;

function totalOf({ total, by_status }: Count, statuses: readonly Status[]): number {
  return statuses.length === 0 ? total : statuses.reduce((sum, status) => sum + by_status[status], 0);
}

/** One chip for each status, and one for each other filter of the address. */
function Chips({ counted }: { counted: Count | null }) {
  const { place } = useApp();
  const { query } = place.route.value;
  const chosen = statusesOf(query);
  const toggle = (status: Status) => {
    const now = chosen.includes(status) ? chosen.filter((one) => one !== status) : [...chosen, status];
    place.refine({ status: now.join(",") });
  };
  return (
    <div class="cloudo-chips" role="group" aria-label="Filters">
      {(Object.entries(STATUSES) as [Status, string][]).map(([status, word]) => (
        <button
          key={status}
          type="button"
          class="cloudo-chip"
          data-status={status}
          aria-pressed={chosen.includes(status)}
          onClick={() => toggle(status)}
        >
          <Icon name={status} />
          <span>{word}</span>
          {counted && (
            <span class="cloudo-chip-count" aria-hidden="true">
              {counted.by_status[status].toLocaleString("en")}
            </span>
          )}
        </button>
      ))}
      {chipsOf(query).map(({ name, text }) => (
        <button
          key={name}
          type="button"
          class="cloudo-chip"
          aria-pressed="true"
          aria-label={`Remove the filter ${text}`}
          title="Remove this filter"
          onClick={() => place.refine({ [name]: "" })}
        >
          <span>{cut(text, 60)}</span>
          <Icon name="close" />
        </button>
      ))}
      <FilterMenu />
    </div>
  );
}

interface ToolbarProps {
  selection: Selection;
  executions: ReturnType<typeof useExecutionRows>;
  nodes: readonly Node[] | null;
  query: Record<string, string>;
}

function Toolbar({ selection, executions: { take, refresh }, nodes, query }: ToolbarProps) {
  const app = useApp();
  const isAll = selection.isAll.value;
  const chosen = (nodes ?? []).filter(({ row }) => selection.has(row.id)).map(({ row }) => row);
  const act = async (action: Action) => {
    if (isAll) {
      if (!(await applyToMatching(app, action, query))) return;
      selection.clear();
      return refresh();
    }
    const changed = await apply(app, action, chosen);
    if (changed && action !== "delete") take(changed);
  };
  return (
    <>
      {ACTIONS.map((action) => {
        const { word, icon, title } = WORDS[action];
        const isOff = isAll ? !isOfferedForAll(action) : !isOffered(action, chosen);
        const reason =
          !isAll && action === "delete" && isOff && chosen.length > 0 ? "Only ended executions can be deleted" : "";
        return (
          <Button key={action} icon={icon} disabled={isOff} title={reason || title} onClick={() => void act(action)}>
            {word}
          </Button>
        );
      })}
    </>
  );
}

function More({ more, shown, total }: { more: () => Promise<void>; shown: number; total: number | null }) {
  const { notices } = useApp();
  return (
    <div class="cloudo-more">
      <Button icon="down" onClick={() => void more().catch((error: unknown) => notices.fail("act", error))}>
        Load more
      </Button>
      {total !== null && <p class="cloudo-muted">{`${shown} of ${count(total, "execution")}`}</p>}
    </div>
  );
}

const NoExecutions = () => (
  <Empty title="No executions yet">
    <p>
      <Link view="flows">Run a flow</Link>, and its execution appears here.
    </p>
  </Empty>
);
