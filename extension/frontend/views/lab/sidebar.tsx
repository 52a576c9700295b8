/** The sidebar of JupyterLab: input requests, the tree of flows, and the latest executions. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Execution, Flow } from "../../api/types";
import { useApp } from "../../app/context";
import { Button, Empty, FilterField, IconButton, Link, LoadError, Skeleton } from "../../ui/controls";
import { Duration, ProgressBar, StatusDot, Time } from "../../ui/marks";
import { count, cut, isEnded } from "../../ui/words";
import { useExecutionRows } from "../executions/rows";
import { newFlow, show } from "../flows/files";
import { matches } from "../flows/filters";
import { useFlows } from "../flows/rows";
import { play } from "../flows/run";
import { OpenMessages } from "../messages/open";
import { treeOf, type Folder } from "./tree";

/** Whether failed executions are listed first. */
export const failedFirst = signal(false);

const MAX_EXECUTIONS = 50;
/** Larger folders start closed. */
const MAX_OPEN = 30;

export function Sidebar() {
  const { place } = useApp();
  return (
    <section class="cloudo-view cloudo-side" aria-label="Cloudo">
      <header class="cloudo-side-head">
        <h1 tabIndex={-1}>Cloudo</h1>
        <Button kind="small" onClick={() => place.go("flows")}>
          Open dashboard
        </Button>
      </header>
      <OpenMessages />
      <Flows />
      <Executions />
    </section>
  );
}

function Part({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="cloudo-side-part" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}

function Flows() {
  const app = useApp();
  const { value, error, refresh } = useFlows();
  const [filter, setFilter] = useState("");
  const all = value ?? [];
  const found = all.filter((flow) => matches(flow, { q: filter.trim() }));
  return (
    <Part
      title="Flows"
      actions={<IconButton icon="plus" label="New flow…" onClick={() => void show(app, newFlow(app))} />}
    >
      <FilterField label="Filter flows" value={filter} onChange={setFilter} />
      {error && !value && <LoadError what="The flows" message={error.message} retry={refresh} />}
      {!value && !error && <Skeleton lines={4} />}
      {value && all.length === 0 && (
        <Empty title="No flows yet">
          <p>
            Put a notebook into the folder <code>flows/</code>.
          </p>
        </Empty>
      )}
      {all.length > 0 && found.length === 0 && (
        <p class="cloudo-muted" role="status">
          {`None of ${count(all.length, "flow")} matches.`}
        </p>
      )}
      <FolderItems folder={treeOf(found)} isOpen={filter.trim() !== ""} />
    </Part>
  );
}

function FolderItems({ folder, isOpen }: { folder: Folder; isOpen: boolean }) {
  return (
    <ul class="cloudo-side-list">
      {folder.folders.map((inner) => (
        <li key={`${inner.path}/ ${isOpen}`}>
          <details open={isOpen || sizeOf(inner) <= MAX_OPEN}>
            <summary>{cut(inner.name)}</summary>
            <FolderItems folder={inner} isOpen={isOpen} />
          </details>
        </li>
      ))}
      {folder.flows.map((flow) => (
        <FlowItem key={flow.name} flow={flow} />
      ))}
    </ul>
  );
}

const sizeOf = ({ folders, flows }: Folder): number =>
  flows.length + folders.reduce((sum, folder) => sum + sizeOf(folder), 0);

function FlowItem({ flow: { name, title, broken, description, last_executions } }: { flow: Flow }) {
  const app = useApp();
  const [last] = last_executions;
  return (
    <li class="cloudo-side-row" title={broken ? `Broken: ${cut(broken)}` : cut(description)}>
      <Link view="flow" id={name} class="cloudo-plain-link cloudo-side-name">
        {cut(title)}
      </Link>
      <IconButton
        icon="play"
        class="cloudo-quiet"
        label={`Play ${name}`}
        disabled={Boolean(broken)}
        onClick={() => void play(app, [name])}
      />
      {last && <StatusDot status={last.status} more="last run" />}
    </li>
  );
}

function Executions() {
  const { rows, error, refresh } = useExecutionRows({}, "newest");
  const failed = useExecutionRows({ status: "ENDED_ERROR" }, "newest");
  const others = (rows ?? []).filter(({ status }) => status !== "ENDED_ERROR");
  const ordered = failedFirst.value ? [...(failed.rows ?? []).slice(0, MAX_EXECUTIONS / 2), ...others] : (rows ?? []);
  return (
    <Part
      title="Executions"
      actions={
        <label class="cloudo-side-switch">
          <input
            type="checkbox"
            role="switch"
            checked={failedFirst.value}
            onChange={(event) => (failedFirst.value = event.currentTarget.checked)}
          />
          Failed first
        </label>
      }
    >
      {error && !rows && <LoadError what="The executions" message={error.message} retry={refresh} />}
      {!rows && !error && <Skeleton lines={4} />}
      {rows?.length === 0 && (
        <p class="cloudo-muted">No executions yet. Play a flow, and its execution appears here.</p>
      )}
      <ul class="cloudo-side-list">
        {ordered.slice(0, MAX_EXECUTIONS).map((one) => (
          <ExecutionItem key={one.id} one={one} />
        ))}
      </ul>
      {rows && rows.length > 0 && <Link view="executions">All executions</Link>}
    </Part>
  );
}

function ExecutionItem({ one }: { one: Execution }) {
  const { id, name, status, created_at } = one;
  return (
    <li class="cloudo-side-row">
      <StatusDot status={status} />
      <Link view="execution" id={id} class="cloudo-plain-link cloudo-side-name">
        {cut(name)}
      </Link>
      {status === "RUNNING" && <ProgressBar of={one} />}
      <span class="cloudo-muted">{isEnded(status) ? <Time at={created_at} /> : <Duration of={one} />}</span>
    </li>
  );
}
