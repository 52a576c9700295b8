/** The flows: select one or more, and play them. */

import { useEffect, useMemo } from "preact/hooks";
import type { Flow } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useSelectedTrait } from "../../app/traits";
import { Breakable, Button, Empty, IconButton, LabLink, Link } from "../../ui/controls";
import { Icon } from "../../ui/icons";
import { List, NoMatch, sorted, useSort } from "../../ui/list";
import { StatusMark, Time } from "../../ui/marks";
import { MenuButton } from "../../ui/menu";
import { RunBars } from "../../ui/runs";
import { Selection } from "../../ui/selection";
import { type Column } from "../../ui/table";
import { count, cut, duration } from "../../ui/words";
import { OpenMessages } from "../messages/open";
import { Activities, ActivityContext, medianOf, useRecent } from "./activity";
import { newFlow, show } from "./files";
import { KindChips, isFiltered, matches } from "./filters";
import { closedFolders, folderOf, inFolders, isFolder, type Folder, type Line } from "./folders";
import { customise, PLANNERS, plan, restoreShipped } from "./planners";
import { useFlows } from "./rows";
import { play, playWithInputs } from "./run";

const columns: Column<Flow>[] = [
  { name: "name", label: "Flow", cell: (flow) => <FlowCell flow={flow} />, sortBy: ({ title }) => title.toLowerCase() },
  {
    name: "runs",
    label: "Last run",
    cell: (flow) => <RunsCell flow={flow} />,
    sortBy: ({ last_executions }) => last_executions[0]?.created_at ?? "",
    isLargestFirst: true,
  },
  {
    name: "next",
    label: "Next run",
    cell: ({ next_run }) => <Time at={next_run} />,
    sortBy: ({ next_run }) => next_run ?? "~",
  },
  {
    name: "modified",
    label: "Modified",
    cell: ({ modified_at }) => <Time at={modified_at} />,
    sortBy: ({ modified_at }) => modified_at,
    isLargestFirst: true,
  },
  { name: "tags", label: "Tags", cell: (flow) => <TagsCell flow={flow} />, sortBy: ({ tags }) => tags.join() },
  { name: "play", label: "Run", cell: (flow) => <PlayCell flow={flow} /> },
];

function FlowCell({ flow: { title, name, path, broken, description } }: { flow: Flow }) {
  return (
    <>
      <div class="cloudo-title">
        <Link view="flow" id={name} class="cloudo-plain-link">
          {cut(title)}
        </Link>
        <LabLink path={path} class="cloudo-icon-button cloudo-quiet" label={`Open ${name} in JupyterLab`}>
          <Icon name="open" />
        </LabLink>
      </div>
      <div class="cloudo-path" hidden={title === name}>
        <Breakable text={name} />
      </div>
      {broken ? (
        <div class="cloudo-broken">
          <Icon name="alert" />
          <span>Broken: {cut(broken, 2_000)}</span>
        </div>
      ) : (
        description && <div class="cloudo-note">{cut(description)}</div>
      )}
    </>
  );
}

function RunsCell({ flow }: { flow: Flow }) {
  const runs = useRecent(flow);
  const [last] = runs;
  if (!last) return <span class="cloudo-muted">never</span>;
  const median = medianOf(runs);
  return (
    <>
      <div class="cloudo-last-run">
        <Link view="execution" id={last.id} class="cloudo-plain-link">
          <StatusMark status={last.status} />
        </Link>
        <RunBars runs={runs} />
      </div>
      <div class="cloudo-runs">
        <Time at={last.created_at} />
        {median !== null && <span title="Median duration of the last successes"> · median {duration(median)}</span>}
      </div>
    </>
  );
}

function PlayCell({ flow: { name, broken } }: { flow: Flow }) {
  const app = useApp();
  return (
    <IconButton icon="play" label={`Play ${name}`} disabled={Boolean(broken)} onClick={() => void play(app, [name])} />
  );
}

function TagsCell({ flow: { tags } }: { flow: Flow }) {
  const { place } = useApp();
  return (
    <>
      {tags.map((tag) => (
        <button
          key={tag}
          type="button"
          class="cloudo-tag"
          title="Show flows with this tag"
          onClick={() => place.refine({ tag })}
        >
          {cut(tag)}
        </button>
      ))}
    </>
  );
}

const keyOf = ({ name }: Flow) => name;
const keyOfLine = (line: Line) => (isFolder(line) ? `${line.folder}/` : line.name);
const wordOf = (line: Line) => (isFolder(line) ? line.folder : line.name);
// A heading has no cells.
const lineColumns = columns as unknown as Column<Line>[];

/** How the list shows folders, where it does. */
const TREE = {
  depthOf: (line: Line) => (!isFolder(line) && folderOf(line) ? 1 : 0),
  isOpen: (line: Line) => (isFolder(line) ? line.isOpen : null),
  toggle: (line: Line) => isFolder(line) && toggle(line),
};

const toggle = ({ folder, isOpen }: Folder) => (isOpen ? closedFolders.add(folder) : closedFolders.remove(folder));

const headingOf = (line: Line) =>
  isFolder(line) ? (
    <>
      <span>
        <Breakable text={line.folder} />
      </span>
      <span class="cloudo-count">{line.count.toLocaleString("en")}</span>
    </>
  ) : null;

export function FlowList() {
  const app = useApp();
  const { api, live, place } = app;
  const flows = useFlows();
  const selection = useMemo(() => new Selection(), []);
  useSelectedTrait(selection);
  const [sort, onSort] = useSort(columns, "name");
  const { query } = place.route.value;
  const address = JSON.stringify(query);
  const all = flows.value ?? [];
  const matching = useMemo(
    () =>
      sorted(
        all.filter((flow) => matches(flow, query)),
        columns,
        sort,
        keyOf,
      ),
    [flows.value, address],
  );
  // With a filter, or in another order, flows of all folders are compared.
  const hasFolders = sort.name === "name" && !isFiltered(query) && matching.some(folderOf);
  const closed = closedFolders.names.value;
  const lines = useMemo(() => (hasFolders ? inFolders(matching, closed) : matching), [matching, hasFolders, closed]);
  const activities = useMemo(() => new Activities(api), [api]);
  useExecutionNews((changed, deleted) => activities.take(changed, deleted));
  useEffect(() => live.follow({ resync: () => activities.refresh() }), [live, activities]);
  const onFilter = (text: string) => place.refine({ q: text.trim() });
  return (
    <ActivityContext.Provider value={activities}>
      <List
        title="Flows"
        count={all.length ? countOf(matching.length, all.length) : ""}
        rows={flows.value && lines}
        error={flows.error}
        retry={flows.refresh}
        columns={lineColumns}
        keyOf={keyOfLine}
        wordOf={wordOf}
        tree={hasFolders ? TREE : undefined}
        headingOf={headingOf}
        selection={selection}
        isSelectable={(line) => !isFolder(line) && !line.broken}
        filter={query.q ?? ""}
        onFilter={onFilter}
        sort={sort}
        onSort={onSort}
        start={
          <Button icon="plus" onClick={() => void show(app, newFlow(app))}>
            New flow…
          </Button>
        }
        more={
          <>
            <OpenMessages />
            <KindChips flows={all} />
          </>
        }
        actions={<Actions selection={selection} flows={all} />}
        hint="Select one or more flows to run them."
        empty={
          all.length === 0 ? (
            <NoFlows />
          ) : (
            <NoMatch
              title="No matching flows"
              text={`None of ${count(all.length, "flow")} matches the filters.`}
              onClear={() => place.refine({ q: "", tag: "", kind: "", folder: "" })}
            />
          )
        }
      />
    </ActivityContext.Provider>
  );
}

/** "12", or "3 of 12" with a filter. */
const countOf = (shown: number, all: number): string =>
  shown === all ? all.toLocaleString("en") : `${shown.toLocaleString("en")} of ${all.toLocaleString("en")}`;

const NoFlows = () => (
  <Empty title="No flows yet">
    <p>
      Put a notebook into the folder <code>flows/</code>, and it appears here. A cell tagged <code>parameters</code>{" "}
      declares its inputs.
    </p>
  </Empty>
);

function Actions({ selection, flows }: { selection: Selection; flows: readonly Flow[] }) {
  const app = useApp();
  const names = [...selection.keys.value].sort();
  const isNone = names.length === 0;
  const title = isNone
    ? "Select one or more flows first"
    : names.length === 1
      ? (names[0] ?? "")
      : count(names.length, "flow");
  const groups = () => [
    {
      title,
      items: PLANNERS.map(({ word, flow }) => ({ word, isDisabled: isNone, act: () => void plan(app, flow, names) })),
    },
    {
      title: "Customise",
      items: [
        ...PLANNERS.map(({ flow }) => ({ word: `Customise ${flow}…`, act: () => void customise(app, flow) })),
        ...PLANNERS.filter(({ flow }) => flows.some((one) => one.name === flow && one.source === "workspace")).map(
          ({ flow }) => ({ word: `Use the shipped ${flow}…`, act: () => void restoreShipped(app, flow) }),
        ),
      ],
    },
  ];
  return (
    <>
      <span class="cloudo-button-group">
        <Button
          icon="play"
          kind="primary"
          disabled={isNone}
          title="Run the selected flows now with their defaults"
          onClick={() => void play(app, names)}
        >
          Play
        </Button>
        <MenuButton label="Schedule or customise" class={isNone ? "" : "cloudo-primary"} groups={groups} />
      </span>
      <Button
        icon="form"
        disabled={isNone}
        title="Enter the inputs of the selected flows, then run them"
        onClick={() => void playWithInputs(app, names)}
      >
        Run with inputs…
      </Button>
    </>
  );
}
