/** What a flow is connected with: the flows that start it, those that it starts, and how its source has changed. */

import { useState } from "preact/hooks";
import { segment } from "../../api/client";
import type { Execution, Flow, Page } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { Breakable, Link, Panel } from "../../ui/controls";
import { Time } from "../../ui/marks";
import { Facts } from "../../ui/values";
import { describeFollowUps, type FollowUp } from "../schedules/followups";
import { OCCASIONS } from "../schedules/facts";

/** Runs whose parents are looked up. */
const MAX_PARENTS = 50;
const MAX_CHILDREN = 100;
const MAX_CHANGES = 10;

/** The flows that started the recent runs, those that the last run started, and the follow-ups. */
export function RelationsPanel({ flow, runs }: { flow: Flow; runs: readonly Execution[] }) {
  const { api } = useApp();
  const parents = [...new Set(runs.flatMap(({ parent_id }) => parent_id ?? []))].slice(0, MAX_PARENTS);
  const last = runs.find(({ started_at }) => started_at)?.id;
  const above = useResource<Page<Execution> | null>(`parents ${parents.join()}`, async (signal) =>
    parents.length > 0 ? api.get("execution", { ids: parents, limit: MAX_PARENTS }, signal) : null,
  );
  const below = useResource<Page<Execution> | null>(`started by ${last}`, async (signal) =>
    last ? api.get(`execution/${last}/children`, { limit: MAX_CHILDREN }, signal) : null,
  );
  const startedBy = namesOf(above.value);
  const starts = namesOf(below.value);
  const follows = OCCASIONS.flatMap(([name, word]) => {
    const ups = flow.metadata?.[name] as readonly FollowUp[] | undefined;
    return ups?.length ? [[word, describeFollowUps(ups)] as const] : [];
  });
  if (startedBy.length + starts.length + follows.length === 0) return null;
  return (
    <Panel title="Related flows">
      <Facts
        facts={[
          ["Started by", startedBy.length > 0 && <FlowLinks names={startedBy} />],
          ["Its last run started", starts.length > 0 && <FlowLinks names={starts} />],
          ...follows,
        ]}
      />
    </Panel>
  );
}

/** The names of the flows, each once. */
const namesOf = (page: Page<Execution> | null): string[] =>
  [...new Set(page?.items.flatMap(({ flow_name }) => flow_name ?? []))].sort();

const FlowLinks = ({ names }: { names: readonly string[] }) => (
  <ul class="cloudo-plain-list">
    {names.map((name) => (
      <li key={name}>
        <Link view="flow" id={name}>
          <Breakable text={name} />
        </Link>
      </li>
    ))}
  </ul>
);

/** Each run with another source than the one before it. `runs` are the newest first. */
export function changesOf<Run extends Pick<Execution, "source_sha256">>(runs: readonly Run[]): [Run, Run][] {
  return runs.flatMap((run, at) => {
    const before = runs[at + 1];
    return before && before.source_sha256 !== run.source_sha256 ? [[run, before] as [Run, Run]] : [];
  });
}

/** The changes of the source between recent runs; nothing while there are none. */
export function ChangesPanel({ runs }: { runs: readonly Execution[] }) {
  const changes = changesOf(runs).slice(0, MAX_CHANGES);
  if (changes.length === 0) return null;
  return (
    <Panel title="Changes of the source" count={changes.length}>
      {changes.map(([run, before]) => (
        <Change key={run.id} run={run} before={before} />
      ))}
    </Panel>
  );
}

/** One change, fetched when it is opened. */
function Change({ run, before }: { run: Execution; before: Execution }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="cloudo-change" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        Run <Time at={run.created_at} />
      </summary>
      {isOpen && <Difference run={run} before={before} />}
    </details>
  );
}

const SIGNS: Record<string, string> = { "+": "added", "-": "removed", "@": "place" };

function Difference({ run, before }: { run: Execution; before: Execution }) {
  const { api } = useApp();
  const { value, error } = useResource<{ diff: string; is_cut: boolean }>(`diff ${run.id} ${before.id}`, (signal) =>
    api.get(`execution/${segment(run.id)}/source/diff`, { against: before.id }, signal),
  );
  if (error) return <p class="cloudo-muted">{error.message}</p>;
  if (!value) return <p class="cloudo-muted">Loading…</p>;
  if (!value.diff) return <p class="cloudo-muted">The cells are the same; only the notebook's metadata has changed.</p>;
  const lines = value.diff.split("\n").filter((line) => !/^(\+\+\+|---)/.test(line));
  return (
    <pre class="cloudo-source cloudo-diff" tabIndex={0} aria-label="Changes">
      {lines.map((line, at) => (
        <span key={at} data-change={SIGNS[line[0] ?? ""]}>{`${line}\n`}</span>
      ))}
      {value.is_cut && "…"}
    </pre>
  );
}
