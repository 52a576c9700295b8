/** The flows: select one or more, and play them. */

import { useMemo } from "preact/hooks";
import type { Flow } from "../../api/types";
import { useApp } from "../../app/context";
import { useSelectedTrait } from "../../app/traits";
import { Breakable, Button, Empty, LabLink, Link } from "../../ui/controls";
import { Icon } from "../../ui/icons";
import { List, NoMatch, sorted, useSort } from "../../ui/list";
import { StatusDot, StatusMark, Time } from "../../ui/marks";
import { MenuButton } from "../../ui/menu";
import { Selection, type Column } from "../../ui/table";
import { ago, count, cut } from "../../ui/words";
import { OpenMessages } from "../messages/open";
import { newFlow } from "./files";
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

function RunsCell({ flow: { last_executions } }: { flow: Flow }) {
  const [last, ...older] = last_executions;
  if (!last) return <span class="cloudo-muted">never</span>;
  return (
    <>
      <Link view="execution" id={last.id} class="cloudo-plain-link">
        <StatusMark status={last.status} />
      </Link>
      <div class="cloudo-runs">
        <Time at={last.created_at} />
        <span class="cloudo-dots">
          {older.reverse().map(({ id, status, created_at }) => (
            <Link key={id} view="execution" id={id} class="cloudo-plain-link">
              <StatusDot status={status} more={ago(created_at)} />
            </Link>
          ))}
        </span>
      </div>
    </>
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
          onClick={() => place.refine({ q: tag })}
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
  const { place } = app;
  const flows = useFlows();
  const selection = useMemo(() => new Selection(), []);
  useSelectedTrait(selection);
  const [sort, onSort] = useSort(columns, "name");
  const q = place.route.value.query.q ?? "";
  const all = flows.value ?? [];
  const matching = useMemo(
    () =>
      sorted(
        all.filter((flow) => matches(flow, q)),
        columns,
        sort,
        keyOf,
      ),
    [flows.value, q, sort.name, sort.isDescending],
  );
  const onFilter = (text: string) => place.refine({ q: text.trim() });
  return (
    <List
      title="Flows"
      count={all.length || ""}
      rows={flows.value && matching}
      error={flows.error}
      retry={flows.refresh}
      columns={columns}
      keyOf={keyOf}
      wordOf={keyOf}
      selection={selection}
      isSelectable={({ broken }) => !broken}
      filter={q}
      onFilter={onFilter}
      sort={sort}
      onSort={onSort}
      more={<OpenMessages />}
      actions={<Actions selection={selection} flows={all} />}
      hint="Select one or more flows to run them."
      empty={
        all.length === 0 ? (
          <NoFlows />
        ) : (
          <NoMatch
            title="No matching flows"
            text={`None of ${count(all.length, "flow")} has “${q}” in its name, title, description or tags.`}
            onClear={() => onFilter("")}
          />
        )
      }
    />
  );
}

function matches({ name, title, description, tags }: Flow, q: string): boolean {
  const wanted = q.toLowerCase();
  return [name, title, description, ...tags].some((text) => text.toLowerCase().includes(wanted));
}

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
      <Button icon="plus" onClick={() => void newFlow(app)}>
        New flow…
      </Button>
    </>
  );
}
