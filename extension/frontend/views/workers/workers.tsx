/** The workers that run executions, and the queue in front of them. */

import type { Page, QueueState, Worker } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Empty, Heading, Link, Panel, Skeleton } from "../../ui/controls";
import { Time } from "../../ui/marks";
import { count } from "../../ui/words";

export function Workers() {
  const { api, notices } = useApp();
  const options = {
    concerns: (news: { has: (subject: string) => boolean }) => news.has("worker") || news.has("execution"),
    paceMs: 1_000,
    everyMs: 5_000,
  };
  const workers = useResource<Page<Worker>>("workers", (signal) => api.get("worker", {}, signal), options);
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
      <Panel title="Workers" count={workers.value?.items.length}>
        {workers.value === null ? (
          workers.error ? (
            <p>{workers.error.message}</p>
          ) : (
            <Skeleton lines={2} />
          )
        ) : (
          <WorkerTable workers={workers.value.items} />
        )}
      </Panel>
    </section>
  );
}

function WorkerTable({ workers }: { workers: readonly Worker[] }) {
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
      <table class="cloudo-simple">
        <thead>
          <tr>
            {["Worker", "Host", "Process", "Started", "Last heartbeat", "Running"].map((word) => (
              <th key={word} scope="col">
                {word}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => (
            <tr key={worker.id}>
              <td>{worker.name}</td>
              <td>{worker.host}</td>
              <td>{worker.pid}</td>
              <td>
                <Time at={worker.started_at} />
              </td>
              <td>{count(Math.round(worker.lease_age_seconds), "second")} ago</td>
              <td class="cloudo-why">
                {worker.running.slice(0, 8).map((id) => (
                  <Link key={id} view="execution" id={id}>
                    {id.slice(0, 8)}{" "}
                  </Link>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
