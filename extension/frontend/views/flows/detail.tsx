/** One flow: a form to run it, its recent runs, its schedules and webhooks, and its source. */

import { useMemo, useRef, useState } from "preact/hooks";
import { pathOf } from "../../api/client";
import type { Execution, Flow, Page, Schedule, Webhook } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { focusFirst, InputFields, InputForm } from "../../forms/inputs";
import { Breakable, Button, Heading, LabLink, Link, Panel, Skeleton } from "../../ui/controls";
import { Single } from "../../ui/single";
import { Icon } from "../../ui/icons";
import { Duration, StatusMark, Time } from "../../ui/marks";
import { MenuButton } from "../../ui/menu";
import { RunBars } from "../../ui/runs";
import { byAge, count, cut, duration, reasonOf } from "../../ui/words";
import { LatestResults, Thumbnail, useResultsOf } from "../executions/results";
import { openNewSchedule } from "../schedules/create";
import { ScheduleItems } from "../schedules/items";
import { deleteFlow, duplicateFlow, renameFlow } from "./files";
import { CopyAs, FlowSourcePanel } from "./panels";
import { PLANNERS, plan } from "./planners";
import { ChangesPanel, RelationsPanel } from "./relations";
import { complain, starter } from "./run";

const MAX_RUNS = 30;
const SHOWN_RUNS = 8;

export function FlowDetail() {
  const { api, place } = useApp();
  const name = place.route.value.id ?? "";
  const flow = useResource<Flow>(`flow ${name}`, (signal) => api.get(`flow/${pathOf(name)}`, {}, signal), {
    concerns: (news) => news.tells("flow", name),
  });
  return (
    <Single
      label="Flow"
      list="flows"
      heading={name}
      error={flow.error}
      isGone={flow.error?.code === "flow_not_found"}
      gone="It was renamed or deleted, or the address is mistyped."
      retry={flow.refresh}
    >
      {flow.value && <Whole flow={flow.value} />}
    </Single>
  );
}

function Whole({ flow }: { flow: Flow }) {
  const app = useApp();
  const runs = useRuns(flow.name);
  const shownRuns = runs?.slice(0, SHOWN_RUNS) ?? [];
  const results = useResultsOf(shownRuns);
  const isOwn = flow.source === "workspace";
  const menu = () => [
    {
      title: "Later",
      items: PLANNERS.map(({ word, flow: planner }) => ({ word, act: () => void plan(app, planner, [flow.name]) })),
    },
    {
      title: "File",
      items: [
        { word: "Duplicate…", act: () => void duplicateFlow(app, flow) },
        { word: "Rename…", isDisabled: !isOwn, act: () => void renameFlow(app, flow) },
        { word: "Delete…", isDisabled: !isOwn, act: () => void deleteFlow(app, flow) },
      ],
    },
  ];
  return (
    <>
      <div class="cloudo-heading">
        <div class="cloudo-heading-title">
          <Heading>
            <Breakable text={flow.title} />
          </Heading>
          {flow.tags.map((tag) => (
            <Link key={tag} view="flows" query={{ q: tag }} class="cloudo-tag cloudo-plain-link">
              {cut(tag)}
            </Link>
          ))}
        </div>
        <div class="cloudo-bar cloudo-bar-inline" role="toolbar" aria-label="Actions">
          <MenuButton label="More actions" word="More" groups={menu} />
          <LabLink path={flow.path} class="cloudo-button">
            Edit in JupyterLab
          </LabLink>
        </div>
      </div>
      <p class="cloudo-path">
        <Breakable text={flow.name} />
        {!isOwn && " · shipped with Cloudo"}
      </p>
      {flow.description && <p class="cloudo-told">{flow.description}</p>}
      {flow.broken && (
        <div class="cloudo-panel cloudo-error" role="alert">
          <p class="cloudo-error-value">This flow cannot run: {flow.broken}</p>
        </div>
      )}
      <div class="cloudo-columns">
        <RunPanel flow={flow} />
        <RunsPanel runs={runs} flow={flow} results={results} />
      </div>
      <LatestResults runs={shownRuns} results={results} />
      <div class="cloudo-columns">
        <SchedulesPanel flow={flow} />
        <WebhooksPanel flow={flow} />
      </div>
      {runs && <RelationsPanel flow={flow} runs={runs} />}
      {runs && <ChangesPanel runs={runs} />}
      <FlowSourcePanel flow={flow} lastRun={runs?.[0] ?? null} />
    </>
  );
}

/** The newest runs of a flow, kept up to date. */
function useRuns(name: string): readonly Execution[] | null {
  const { api } = useApp();
  const fetch = (signal: AbortSignal) =>
    api.get<Page<Execution>>("execution", { flow_name: name, limit: MAX_RUNS }, signal);
  const resource = useResource<Page<Execution>>(`runs ${name}`, fetch);
  useExecutionNews((changed, deleted) => {
    const ours = changed.filter(({ flow_name }) => flow_name === name);
    if (ours.length + deleted.length === 0) return;
    const gone = new Set([...deleted, ...ours.map(({ id }) => id)]);
    const merge = (items: readonly Execution[]) =>
      [...items.filter(({ id }) => !gone.has(id)), ...ours].sort(byAge).slice(0, MAX_RUNS);
    resource.set((page) => ({ ...page, items: merge(page.items) }));
  });
  return resource.value?.items ?? null;
}

function RunPanel({ flow }: { flow: Flow }) {
  const app = useApp();
  const element = useRef<HTMLFormElement>(null);
  const form = useMemo(() => new InputForm(flow, false), [JSON.stringify(flow.input_schema)]);
  const [isBusy, setBusy] = useState(false);
  const start = useMemo(() => starter(app), [flow.name]);
  const submit = async () => {
    setBusy(true);
    try {
      await form.ready(app.api);
      const inputs = form.read();
      if (!inputs) return void setTimeout(() => focusFirst(element.current));
      const [result] = await start([{ flow_name: flow.name, inputs }]);
      if (result && "execution" in result) return app.place.go("execution", result.execution.id);
      complain(form, result);
    } catch (error) {
      form.complain(reasonOf(error), null);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title="Run" actions={<CopyAs flow={flow} form={form} />}>
      <form
        ref={element}
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <InputFields form={form} isAlone isTitled />
        <div class="cloudo-answer-buttons">
          <Button type="submit" icon="play" kind="primary" disabled={isBusy || Boolean(flow.broken)}>
            Run
          </Button>
        </div>
      </form>
    </Panel>
  );
}

interface RunsProps {
  runs: readonly Execution[] | null;
  flow: Flow;
  results: ReturnType<typeof useResultsOf>;
}

function RunsPanel({ runs, flow, results }: RunsProps) {
  if (!runs) return <Panel title="Recent runs">{<Skeleton lines={3} />}</Panel>;
  const all = (
    <Link view="executions" query={{ flow: flow.name }}>
      All runs
    </Link>
  );
  const successes = runs.filter(({ status }) => status === "ENDED_SUCCESS");
  return (
    <Panel title="Recent runs" actions={all}>
      {runs.length === 0 ? (
        <p class="cloudo-muted">This flow has never run.</p>
      ) : (
        <>
          <RunBars runs={runs} isLarge />
          <p class="cloudo-muted">
            {successes.length} of the last {count(runs.length, "run")} succeeded
            {successes.length > 0 && `, median ${duration(median(successes))}`}
          </p>
          <ul class="cloudo-told-list">
            {runs.slice(0, SHOWN_RUNS).map((run) => (
              <li key={run.id}>
                <StatusMark status={run.status} />
                <Link view="execution" id={run.id}>
                  <Time at={run.created_at} />
                </Link>
                <span class="cloudo-muted">
                  <Duration of={run} />
                </span>
                <Thumbnail id={run.id} results={results.get(run.id)} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}

function median(runs: readonly Execution[]): number {
  const all = runs.map(
    ({ started_at, created_at, ended_at }) => Date.parse(ended_at ?? created_at) - Date.parse(started_at ?? created_at),
  );
  return all.sort((one, other) => one - other)[Math.floor(all.length / 2)] ?? 0;
}

function SchedulesPanel({ flow }: { flow: Flow }) {
  const app = useApp();
  const fetch = (signal: AbortSignal) =>
    app.api.get<Page<Schedule>>("schedule", { flow_name: flow.name, limit: 50 }, signal);
  const { value } = useResource<Page<Schedule>>(`schedules ${flow.name}`, fetch, {
    concerns: (news) => news.has("schedule"),
    paceMs: 1_000,
  });
  const add = (
    <Button kind="small" icon="plus" onClick={() => void openNewSchedule(app, flow.name)}>
      New schedule
    </Button>
  );
  return (
    <Panel title="Schedules" actions={add}>
      {value?.items.length ? (
        <ScheduleItems items={value.items} />
      ) : (
        <p class="cloudo-muted">No schedule runs this flow.</p>
      )}
    </Panel>
  );
}

function WebhooksPanel({ flow }: { flow: Flow }) {
  const { api } = useApp();
  const fetch = (signal: AbortSignal) => api.get<Page<Webhook>>("webhook", { flow_name: flow.name, limit: 50 }, signal);
  const { value } = useResource<Page<Webhook>>(`webhooks ${flow.name}`, fetch, {
    concerns: (news) => news.has("webhook"),
  });
  return (
    <Panel title="Webhooks" actions={<Link view="webhooks">All webhooks</Link>}>
      {value?.items.length ? (
        <ul class="cloudo-told-list">
          {value.items.map(({ name, enabled }) => (
            <li key={name}>
              <Icon name="open" />
              <Link view="webhook" id={name}>
                {name}
              </Link>
              {!enabled && <span class="cloudo-muted">off</span>}
            </li>
          ))}
        </ul>
      ) : (
        <p class="cloudo-muted">No webhook starts this flow.</p>
      )}
    </Panel>
  );
}
