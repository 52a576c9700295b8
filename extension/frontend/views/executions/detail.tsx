/** One execution: what went in, what came out, its log, and its notebook. */

import { Fragment } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ErrorDetail, Execution, Message, Page } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { Breakable, Button, Heading, LabLink, Link, Panel } from "../../ui/controls";
import { Single } from "../../ui/single";
import { ProgressBar, StatusMark, Time } from "../../ui/marks";
import { ValuesPanel } from "../../ui/values";
import { ALLOWS, STATUSES, cut, type Action } from "../../ui/words";
import { ACTIONS, WORDS, apply } from "./actions";
import { FailedCell } from "./cells";
import { Children } from "./children";
import { ExecutionFacts, Summary } from "./facts";
import { LogPanel } from "./log";
import { NotebookPanel } from "./notebook";
import { ResultsPanel } from "./results";

/** The whole record may be large. */
const PACE_MS = 1_000;
const MAX_VALUE = 20_000;
const MAX_ANCESTORS = 5;
/** Longer tracebacks are folded. */
const MAX_OPEN_LINES = 40;

export function ExecutionDetail() {
  const { api, place, notices } = useApp();
  const id = place.route.value.id ?? "";
  const resource = useResource<Execution>(`execution ${id}`, (signal) => api.get(`execution/${id}`, {}, signal), {
    concerns: (news) =>
      news.has("worker") || [...(news.of("execution").get(id) ?? [])].some((type) => type !== "ExecutionLogged"),
    paceMs: PACE_MS,
  });
  // The status shows before the whole record has come. Records of lists have no traceback.
  useExecutionNews((changed) => {
    const row = changed.find((one) => one.id === id);
    if (row) resource.set((whole) => ({ ...row, error: whole.error ?? row.error, log: whole.log }));
  });
  const execution = resource.value;
  const status = useRef<string | null>(null);
  useEffect(() => {
    if (!execution) return;
    if (status.current && status.current !== execution.status)
      notices.announce(`${execution.name}: ${STATUSES[execution.status]}`);
    status.current = execution.status;
  }, [execution?.status]);
  const isMissing = resource.error?.code === "execution_not_found";
  return (
    <Single
      label="Execution"
      list="executions"
      trail={execution?.parent_id && <Ancestors of={execution.parent_id} />}
      heading="Execution"
      error={resource.error}
      isGone={isMissing}
      gone="It was deleted or has expired, or the address is mistyped."
      retry={resource.refresh}
    >
      {execution && (
        <Whole execution={execution} take={(row) => resource.set((whole) => ({ ...row, log: whole.log }))} />
      )}
    </Single>
  );
}

/** Links to the executions above one, the highest first, by the names of their flows. */
function Ancestors({ of }: { of: string }) {
  const { api } = useApp();
  const { value } = useResource<Execution[]>(`ancestors ${of}`, async (signal) => {
    const found: Execution[] = [];
    let next: string | null = of;
    while (next && found.length < MAX_ANCESTORS) {
      const page: Page<Execution> = await api.get<Page<Execution>>("execution", { ids: next }, signal);
      found.unshift(...page.items);
      next = page.items[0]?.parent_id ?? null;
    }
    return found;
  });
  return (
    <>
      {value?.map(({ id, flow_name, name }) => (
        <Link key={id} view="execution" id={id}>
          {cut(flow_name ?? name, 60)}
        </Link>
      ))}
    </>
  );
}

interface WholeProps {
  execution: Execution;
  take: (row: Execution) => void;
}

function Whole({ execution, take }: WholeProps) {
  const { id, name, status, attempt, progress, error, input_value, output_value } = execution;
  // The log has the lines of a cell that still runs, too.
  const [saved, setSaved] = useState("");
  return (
    <>
      <div class="cloudo-heading">
        <div class="cloudo-heading-title">
          <Heading>
            <Breakable text={cut(name)} />
          </Heading>
          <span class="cloudo-status-place">
            <StatusMark status={status} />
          </span>
        </div>
        <Actions execution={execution} take={take} />
      </div>
      <Summary execution={execution} />
      <div class="cloudo-sides">
        <div class="cloudo-detail">
          {error && <ErrorPanel execution={execution} error={error} />}
          {attempt > 0 && status !== "ENDED_SUCCESS" && <ProgressBar of={execution} />}
          <Messages id={id} />
          <ResultsPanel execution={execution} />
          <NotebookPanel execution={execution} onSave={setSaved} />
        </div>
        <div class="cloudo-detail cloudo-beside">
          <ValuesPanel title="Outputs" values={output_value} />
          <ValuesPanel title="Inputs" values={input_value} />
          <ExecutionFacts execution={execution} />
        </div>
        <div class="cloudo-detail">
          <Children execution={execution} />
          <LogPanel id={id} version={`${status} ${attempt} ${progress.done} ${saved}`} />
        </div>
      </div>
    </>
  );
}

/** After its click, Pause gives the focus to Resume, and the other way round. */
const COUNTERPARTS: Partial<Record<Action, Action>> = { pause: "resume", resume: "pause" };

function Actions({ execution, take }: WholeProps) {
  const app = useApp();
  const bar = useRef<HTMLDivElement>(null);
  const focused = useRef<Action | null>(null);
  const offered = ACTIONS.filter((action) => ALLOWS[action](execution));
  const act = async (action: Action) => {
    const changed = await apply(app, action, [execution]);
    if (action === "delete" && changed && !app.notices.banners.peek().some(({ cause }) => cause === "act"))
      app.place.go("executions");
    else if (action !== "retry" && changed?.[0]) take(changed[0]);
  };
  const change = async () => {
    app.notices.set("act", "");
    try {
      const { runAgain } = await import("./again");
      await runAgain(app, execution.id);
    } catch (error) {
      app.notices.fail("act", error);
    }
  };
  // A button that leaves while it has the focus hands it on.
  useLayoutEffect(() => {
    const last = focused.current;
    if (!last || (document.activeElement !== document.body && document.activeElement !== null)) return;
    const to = offered.includes(last) ? last : COUNTERPARTS[last];
    bar.current?.querySelector<HTMLElement>(`[data-action="${to ?? ""}"]`)?.focus();
  }, [execution.status]);
  return (
    <div
      ref={bar}
      class="cloudo-bar cloudo-bar-inline"
      role="toolbar"
      aria-label="Actions"
      onFocusIn={({ target }) => (focused.current = ((target as HTMLElement).dataset.action as Action) ?? null)}
      onFocusOut={({ relatedTarget }) => {
        if (relatedTarget) focused.current = null;
      }}
    >
      {offered.map((action) => (
        <Fragment key={action}>
          <Button
            icon={WORDS[action].icon}
            title={WORDS[action].title}
            data-action={action}
            onClick={() => void act(action)}
          >
            {WORDS[action].word}
          </Button>
          {action === "retry" && execution.type !== "INTERACTIVE" && (
            <Button icon="form" onClick={() => void change()}>
              Run again with changes…
            </Button>
          )}
        </Fragment>
      ))}
      <LabLink path={execution.notebook} class="cloudo-button">
        Open in JupyterLab
      </LabLink>
    </div>
  );
}

/** The error, with the source of the failed cell and its traceback. */
function ErrorPanel({ execution, error }: { execution: Execution; error: ErrorDetail }) {
  const { name, value, cell, traceback } = error;
  return (
    <section class="cloudo-panel cloudo-error" aria-label="Error" role="alert">
      <header>
        <h2>{cut(name)}</h2>
      </header>
      <p class="cloudo-error-value">{cut(value, MAX_VALUE)}</p>
      {cell !== null && <FailedCell execution={execution} index={cell} />}
      {traceback.length > 0 && (
        <details open={traceback.length < MAX_OPEN_LINES}>
          <summary>Traceback</summary>
          <pre class="cloudo-trace" tabIndex={0}>
            {traceback.join("\n")}
          </pre>
        </details>
      )}
    </section>
  );
}

/** Messages of the execution, with those that wait for an answer first. */
function Messages({ id }: { id: string }) {
  const { api } = useApp();
  const { value } = useResource<Page<Message>>(
    `messages of ${id}`,
    (signal) => api.get("message", { execution_id: id, limit: 50 }, signal),
    { concerns: (news) => news.has("message") },
  );
  const messages = [...(value?.items ?? [])].sort(
    (one, other) => Number(other.state === "OPEN") - Number(one.state === "OPEN"),
  );
  if (messages.length === 0) return null;
  return (
    <Panel title="Messages" class={messages.some(({ state }) => state === "OPEN") ? "cloudo-messages" : ""}>
      <ul class="cloudo-told-list">
        {messages.map(({ id: message, subject, state, created_at }) => (
          <li key={message}>
            <span class="cloudo-state" data-state={state}>
              {MESSAGE_STATES[state] ?? state}
            </span>
            <Link view="message" id={message}>
              {cut(subject)}
            </Link>
            <span class="cloudo-muted">
              <Time at={created_at} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const MESSAGE_STATES: Record<string, string> = {
  OPEN: "Waits for an answer",
  ANSWERED: "Answered",
  EXPIRED: "Expired",
  INFO: "Information",
};
