/** The workers that run executions, and the queue in front of them. */

import type { Api } from "../../api/client";
import type { Execution, Page, QueueState, Worker } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Empty, Heading, Link, Panel, Skeleton } from "../../ui/controls";
import { Duration, Time } from "../../ui/marks";
import { count, cut } from "../../ui/words";

/** Executions shown of each worker, and of all. */
const MAX_OF_WORKER = 8;
const MAX_SHOWN = 100;

interface State {
  workers: readonly Worker[];
  /** What they run, by id. An execution that the reader may not see is missing. */
  executions: ReadonlyMap<string, Execution>;
}

async function fetchState(api: Api, signal: AbortSignal): Promise<State> {
  const workers = (await api.get<Page<Worker>>("worker", {}, signal)).items;
  const ids = workers.flatMap(({ running }) => running.slice(0, MAX_OF_WORKER)).slice(0, MAX_SHOWN);
  if (ids.length === 0) return { workers, executions: new Map() };
  const { items } = await api.get<Page<Execution>>("execution", { ids, limit: MAX_SHOWN }, signal);
  return { workers, executions: new Map(items.map((one) => [one.id, one])) };
}

export function Workers() {
  const { api, notices } = useApp();
  const options = {
    concerns: (news: { has: (subject: string) => boolean }) => news.has("worker") || news.has("execution"),
    paceMs: 1_000,
    everyMs: 5_000,
  };
  const workers = useResource<State>("workers", (signal) => fetchState(api, signal), options);
  const queue = useResource<QueueState>("queue", (signal) => api.get("queue", {}, signal), options);
  const isPaused = queue.value?.paused ?? false;
  const turn = async () => {
    try {
      await api.post(`queue/${isPaused ? "resume" : "pause"}`);
      queue.refresh();
    } catch (error) {
      notices.fail("act", error);
    }
  };
  return (
    <section class="cloudo-view" aria-label="Workers and queue">
      <div class="cloudo-heading">
        <Heading>Workers and queue</Heading>
      </div>
      <Panel
        title="Queue"
        count={queue.value && `${queue.value.pending.toLocaleString("en")} pending`}
        actions={
          <Button icon={isPaused ? "play" : "pause"} disabled={!queue.value} onClick={() => void turn()}>
            {isPaused ? "Resume the queue" : "Pause the queue"}
          </Button>
        }
      >
        <p class="cloudo-muted">
          {isPaused
            ? "The queue is paused: nothing new starts. Running executions continue."
            : "Workers start pending executions as soon as they have a free slot."}
        </p>
      </Panel>
      <Panel title="Workers" count={workers.value?.workers.length}>
        {workers.value === null ? (
          workers.error ? (
            <p>{workers.error.message}</p>
          ) : (
            <Skeleton lines={2} />
          )
        ) : (
          <WorkerTable {...workers.value} />
        )}
      </Panel>
    </section>
  );
}

function WorkerTable({ workers, executions }: State) {
  if (workers.length === 0) {
    return (
      <Empty title="No worker is running">
        <p>
          Start one with <code>cloudo worker</code>, or start the server with <code>cloudo up</code>.
        </p>
      </Empty>
    );
  }
  return (
    <div class="cloudo-scroll" tabIndex={0} role="region" aria-label="Table of workers">
      <table class="cloudo-simple cloudo-workers">
        <thead>
          <tr>
            {["Worker", "Started", "Last heartbeat", "Labels", "Running"].map((word) => (
              <th key={word} scope="col">
                {word}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => (
            <tr key={worker.id}>
              <td class="cloudo-why">
                <strong>{worker.host}</strong>, process {worker.pid}
                {worker.draining && <span class="cloudo-muted"> (draining)</span>}
                <div class="cloudo-path">{worker.id}</div>
              </td>
              <td data-label="Started">
                <Time at={worker.started_at} />
              </td>
              <td data-label="Last heartbeat">{count(Math.round(worker.lease_age_seconds), "second")} ago</td>
              <td data-label="Labels">{worker.labels.join(", ") || <span class="cloudo-muted">none</span>}</td>
              <td class="cloudo-why" data-label="Running">
                <Running ids={worker.running} executions={executions} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Running({ ids, executions }: { ids: readonly string[]; executions: ReadonlyMap<string, Execution> }) {
  if (ids.length === 0) return <span class="cloudo-muted">Idle</span>;
  return (
    <>
      {ids.slice(0, MAX_OF_WORKER).map((id) => {
        const execution = executions.get(id);
        return (
          <div key={id}>
            <Link view="execution" id={id}>
              {execution ? cut(execution.name, 80) : id}
            </Link>{" "}
            {execution && (
              <span class="cloudo-muted">
                <Duration of={execution} />
              </span>
            )}
          </div>
        );
      })}
      {ids.length > MAX_OF_WORKER && (
        <Link view="executions" query={{ status: "RUNNING" }}>
          {`and ${ids.length - MAX_OF_WORKER} more`}
        </Link>
      )}
    </>
  );
}
