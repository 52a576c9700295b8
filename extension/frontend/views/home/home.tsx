/** The home page: what runs, what asks, what has failed, what comes next. */

import { useMemo } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Activity, Execution, Flow, Health, Message, Page, Schedule, Status, Worker } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { Empty, Heading, Link, LinkButton, Panel } from "../../ui/controls";
import { Duration, ProgressBar, StatusMark, Time } from "../../ui/marks";
import { count, cut, messageOf } from "../../ui/words";
import { Dashboards } from "./dashboards";
import { useLastVisit } from "./visit";

const HOURS = 24;
const LISTED = 6;
/** Failures, and input requests, that are counted. */
const COUNTED = 100;
const DAY_MS = 24 * 3600 * 1000;
/** Queries are the same for this long, so that a change is fetched, and a redraw is not. */
const MINUTE_MS = 60_000;

const ACTIVE: Status[] = ["RUNNING", "WAITING", "PAUSED"];

export function Home() {
  const health = useOf<Health>("health", {}, ["execution", "worker"]);
  const running = useOf<Page<Execution>>("execution", { status: ACTIVE, limit: LISTED });
  const questions = useOf<Page<Message>>("message", { unanswered: true, limit: COUNTED }, ["message"]);
  const workers = useOf<Page<Worker>>("worker", {}, ["worker"]);
  const activity = useOf<Activity>("execution/activity", { hours: HOURS });
  const flows = useOf<Page<Flow>>("flow", { brief: true, limit: 1 }, ["flow"]);
  const next = useOf<Page<Schedule>>("schedule", { order: "next", limit: LISTED }, ["schedule"]);
  // All workers of a store share its slots.
  const slots = workers?.items[0]?.slots;
  const failures = activity?.buckets.reduce((sum, { ended_error }) => sum + ended_error, 0);
  return (
    <section class="cloudo-view" aria-label="Home">
      <div class="cloudo-heading">
        <Heading>Home</Heading>
      </div>
      <div class="cloudo-cards">
        <Card
          view="executions"
          query={{ status: ACTIVE.join() }}
          value={health?.running}
          words={slots ? `running · ${count(slots, "slot")}` : "running"}
        />
        <Card view="executions" query={{ status: "PENDING" }} value={health?.pending} words="in the queue" />
        <Card
          view="messages"
          value={questions && counted(questions.items.length)}
          words={questions?.items.length === 1 ? "open input request" : "open input requests"}
          tone="waiting"
        />
        <Card
          view="executions"
          query={{ status: "ENDED_ERROR" }}
          value={failures}
          words={failures === 1 ? "failure in 24 hours" : "failures in 24 hours"}
          tone="error"
        />
        <Card view="workers" value={health?.workers} words={health?.workers === 1 ? "worker" : "workers"} />
      </div>
      {flows?.items.length === 0 && (
        <Empty title="Welcome to Cloudo">
          <p>
            Put a notebook into the folder <code>flows/</code>, and run it on the page <Link view="flows">Flows</Link>.
          </p>
        </Empty>
      )}
      {activity && <ActivityChart activity={activity} />}
      <Dashboards />
      <div class="cloudo-columns">
        <Panel title="Running now" actions={<Link view="executions">All executions</Link>}>
          <Executions
            items={running?.items}
            none={
              <>
                Nothing is running. Play a flow on the page <Link view="flows">Flows</Link>.
              </>
            }
          >
            {(one) => (
              <>
                <ProgressBar of={one} />
                <span class="cloudo-muted">
                  <Duration of={one} />
                </span>
              </>
            )}
          </Executions>
        </Panel>
        <Failures />
      </div>
      <div class="cloudo-columns">
        <Panel title="Open input requests" actions={<Link view="messages">All messages</Link>}>
          <Items items={questions?.items.slice(0, LISTED)} none="No flow waits for an answer.">
            {({ id, subject, created_at }) => (
              <li key={id}>
                <Link view="message" id={id}>
                  {cut(subject)}
                </Link>
                <span class="cloudo-muted">
                  <Time at={created_at} />
                </span>
              </li>
            )}
          </Items>
        </Panel>
        <Panel title="Next runs" actions={<Link view="schedules">All schedules</Link>}>
          <Items
            items={next?.items}
            none={
              <>
                No flow is scheduled. Select one on the page <Link view="flows">Flows</Link>, and choose when it runs
                beside <i>Play</i>.
              </>
            }
          >
            {({ id, name, next_run }) => (
              <li key={id}>
                <Link view="schedule" id={id}>
                  {cut(name)}
                </Link>
                <span class="cloudo-muted">
                  <Time at={next_run} />
                </span>
              </li>
            )}
          </Items>
        </Panel>
      </div>
    </section>
  );
}

/** What has failed since the last visit; on the first one, in the last day. */
function Failures() {
  const { isKnown, before, markSeen } = useLastVisit();
  const day = useMemo(() => new Date(Math.floor((Date.now() - DAY_MS) / MINUTE_MS) * MINUTE_MS).toISOString(), []);
  const page = useOf<Page<Execution>>("execution", { status: ["ENDED_ERROR"], limit: COUNTED });
  // By the end: a run of days that fails now is new.
  const isNew = ({ ended_at }: Execution) => Date.parse(ended_at ?? "") > Date.parse(before ?? day);
  const failed = (isKnown && page?.items.filter(isNew)) || null;
  const number = failed && counted(failed.length);
  const none = before ? "Nothing has failed since your last visit." : "Nothing has failed in the last 24 hours.";
  const actions = before && failed && failed.length > 0 && (
    <>
      <LinkButton onClick={markSeen}>Mark as seen</LinkButton>
      <Link view="executions" query={{ status: "ENDED_ERROR" }}>
        All failures
      </Link>
    </>
  );
  return (
    <Panel
      title={before ? "Failures since your last visit" : "Recent failures"}
      count={failed?.length ? number : undefined}
      actions={actions || undefined}
    >
      {before && failed && failed.length > 0 && (
        <p class="cloudo-muted">
          You were last here <Time at={before} />.
        </p>
      )}
      <Executions items={failed?.slice(0, LISTED)} none={none}>
        {(one) => (
          <span class="cloudo-muted">
            <Time at={one.ended_at} /> · {messageOf(one)}
          </span>
        )}
      </Executions>
    </Panel>
  );
}

const counted = (number: number) => `${number}${number === COUNTED ? "+" : ""}`;

/** A reply of REST, fetched again after changes of these subjects. */
function useOf<T>(
  path: string,
  query: Record<string, string | number | boolean | readonly string[]>,
  subjects: readonly string[] = ["execution"],
): T | null {
  const { api } = useApp();
  const fetch = (signal: AbortSignal) => api.get<T>(path, query, signal);
  const concerns = {
    concerns: (news: { has: (subject: string) => boolean }) => subjects.some((subject) => news.has(subject)),
    paceMs: 1_000,
  };
  return useResource<T>(`${path} ${JSON.stringify(query)}`, fetch, concerns).value;
}

interface CardProps {
  view: string;
  query?: Record<string, string>;
  value: ComponentChildren;
  words: string;
  tone?: string;
}

function Card({ view, query = {}, value, words, tone }: CardProps) {
  const { place } = useApp();
  const hasTone = tone && value !== 0 && value !== "0" && value !== null && value !== undefined;
  return (
    <a
      class="cloudo-card"
      href={place.href({ view, query }) ?? "#"}
      data-tone={hasTone ? tone : undefined}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        place.go(view, undefined, query);
      }}
    >
      <b>{value ?? "–"}</b>
      <span>{words}</span>
    </a>
  );
}

function Items<Item>({
  items,
  none,
  children,
}: {
  items: readonly Item[] | null | undefined;
  none: ComponentChildren;
  children: (item: Item) => ComponentChildren;
}) {
  if (!items) return <p class="cloudo-muted">…</p>;
  return items.length > 0 ? (
    <ul class="cloudo-told-list">{items.map(children)}</ul>
  ) : (
    <p class="cloudo-muted">{none}</p>
  );
}

function Executions({
  items,
  none,
  children,
}: {
  items: readonly Execution[] | undefined;
  none: ComponentChildren;
  children: (one: Execution) => ComponentChildren;
}) {
  return (
    <Items items={items} none={none}>
      {(one) => (
        <li key={one.id}>
          <StatusMark status={one.status} />
          <Link view="execution" id={one.id}>
            {cut(one.name)}
          </Link>
          {children(one)}
        </li>
      )}
    </Items>
  );
}

function ActivityChart({ activity: { buckets } }: { activity: Activity }) {
  const total = (one: Activity["buckets"][number]) => one.ended_success + one.ended_error + one.ended_cancelled;
  const most = Math.max(1, ...buckets.map(total));
  const runs = buckets.reduce((sum, one) => sum + total(one), 0);
  const failures = buckets.reduce((sum, one) => sum + one.ended_error, 0);
  const hour = (start: string) => new Date(start).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  const first = buckets[0];
  return (
    <Panel title="Last 24 hours" count={`${count(runs, "run")}, ${count(failures, "failure")}`}>
      <div
        class="cloudo-hours"
        role="img"
        aria-label={`${count(runs, "run")} and ${count(failures, "failure")} in the last 24 hours`}
      >
        {buckets.map((one) => (
          <div
            key={one.start}
            class="cloudo-hour"
            title={`${hour(one.start)}: ${count(total(one), "run")}, ${one.ended_error} failed`}
          >
            {(["ended_success", "ended_error", "ended_cancelled"] as const).map((kind) => (
              <span key={kind} data-status={kind.toUpperCase()} style={{ height: `${(100 * one[kind]) / most}%` }} />
            ))}
          </div>
        ))}
      </div>
      <div class="cloudo-hours-axis" aria-hidden="true">
        <span>{first && hour(first.start)}</span>
        <span>now</span>
      </div>
    </Panel>
  );
}
