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
import { Selection, type Column } from "../../ui/table";
import { count, cut, duration } from "../../ui/words";
import { OpenMessages } from "../messages/open";
import { Activities, ActivityContext, medianOf, useRecent } from "./activity";
import { newFlow } from "./files";
import { KindChips, matches } from "./filters";
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
      <div class="cloudo-path">
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
  const activities = useMemo(() => new Activities(api), [api]);
  useExecutionNews((changed, deleted) => activities.take(changed, deleted));
  useEffect(() => live.follow({ resync: () => activities.refresh() }), [live, activities]);
  const onFilter = (text: string) => place.refine({ q: text.trim() });
  return (
    <ActivityContext.Provider value={activities}>
      <List
        title="Flows"
        count={all.length ? countOf(matching.length, all.length) : ""}
        rows={flows.value && matching}
        error={flows.error}
        retry={flows.refresh}
        columns={columns}
        keyOf={keyOf}
        wordOf={keyOf}
        selection={selection}
        isSelectable={({ broken }) => !broken}
        filter={query.q ?? ""}
        onFilter={onFilter}
        sort={sort}
        onSort={onSort}
        start={
          <Button icon="plus" onClick={() => void newFlow(app)}>
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
