/** The schedules: what each starts, when it runs next, and the outcomes of its last runs. */

import { useEffect, useMemo } from "preact/hooks";
import type { Occurrence, Schedule } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { usePaged } from "../../app/paged";
import { useSettled } from "../../app/settled";
import { Breakable, Button, Empty, Link, LinkButton } from "../../ui/controls";
import { List, NoMatch, sorted, useSort } from "../../ui/list";
import { Selection } from "../../ui/selection";
import { type Column } from "../../ui/table";
import { cut } from "../../ui/words";
import { openNewSchedule } from "./create";
import { FailingMark, Histories, needOf, Picture } from "./history";
import {
  actOnSchedules,
  deleteSchedules,
  NextRun,
  RUN_NOW,
  SCHEDULE_ALLOWS,
  ScheduleStateMark,
  type ScheduleAction,
} from "./marks";

const PAGE_ROWS = 50;
/** A sorted list has to be loaded first. */
const MAX_SORTED = 500;

type Known = ReadonlyMap<string, readonly Occurrence[]>;

const columnsWith = (histories: () => Known): Column<Schedule>[] => [
  { name: "state", label: "State", cell: ({ state }) => <ScheduleStateMark state={state} /> },
  {
    name: "name",
    label: "Schedule",
    cell: (schedule) => (
      <>
        <NameCell schedule={schedule} />
        <FailingMark occurrences={histories().get(schedule.id)} />
      </>
    ),
    sortBy: ({ name }) => name.toLowerCase(),
  },
  {
    name: "when",
    label: "When",
    cell: ({ description, timezone }) => (
      <>
        <div>{cut(description)}</div>
        <div class="cloudo-muted">{timezone}</div>
      </>
    ),
  },
  {
    name: "next",
    label: "Next run",
    cell: (schedule) => <NextRun schedule={schedule} />,
    sortBy: ({ next_run }) => next_run ?? "~",
  },
  {
    name: "past",
    label: "Past runs",
    cell: ({ id, timezone }) => <Picture occurrences={histories().get(id)} zone={timezone} />,
    sortBy: ({ id }) => needOf(histories().get(id)),
  },
  { name: "by", label: "By", cell: ({ user_name }) => user_name },
];

function NameCell({ schedule: { id, name, flow_name, state_reason } }: { schedule: Schedule }) {
  return (
    <>
      <Link view="schedule" id={id} class="cloudo-title cloudo-plain-link">
        {cut(name)}
      </Link>
      <div class="cloudo-path" hidden={name === flow_name}>
        <Breakable text={flow_name} />
      </div>
      {state_reason && <div class="cloudo-note">{cut(state_reason)}</div>}
    </>
  );
}

const keyOf = ({ id }: Schedule) => id;

export function ScheduleList() {
  const app = useApp();
  const { api, place } = app;
  const histories = useMemo(() => new Histories(api), [api]);
  useEffect(() => () => histories.close(), [histories]);
  const known = histories.known.value;
  const columns = useMemo(() => columnsWith(() => known), [known]);
  const [sort, onSort] = useSort(columns, "-"); // without a choice, the newest first
  const q = place.route.value.query.q ?? "";
  const page = usePaged<Schedule>(
    "schedule",
    { q: useSettled(q) },
    { concerns: (news) => news.has("schedule"), paceMs: 500, size: sort.name ? MAX_SORTED : PAGE_ROWS },
  );
  const selection = useMemo(() => new Selection(), []);
  const all = page.value?.items ?? [];
  useEffect(() => {
    if (!page.value) return;
    selection.retain(new Set(page.value.items.map(keyOf)));
    histories.load(page.value.items);
  }, [page.value]);
  useHistoryNews(histories, all, page.refresh);
  const rows = useMemo(
    () => page.value && sorted(page.value.items, columns, sort, keyOf),
    [page.value, columns, sort.name, sort.isDescending],
  );
  return (
    <List
      title="Schedules"
      rows={rows}
      error={page.error}
      retry={page.refresh}
      columns={columns}
      keyOf={keyOf}
      wordOf={({ name, description }) => `${cut(name)}, ${description}`}
      selection={selection}
      onOpen={({ id }) => place.go("schedule", id)}
      filter={q}
      onFilter={(text) => place.refine({ q: text.trim() })}
      sort={sort}
      onSort={onSort}
      start={
        all.length > 0 && (
          <Button icon="plus" kind="primary" onClick={() => void openNewSchedule(app)}>
            New schedule
          </Button>
        )
      }
      actions={<Actions selection={selection} schedules={all} refresh={page.refresh} />}
      empty={
        q ? (
          <NoMatch
            title="No matching schedules"
            text={`No schedule has “${q}” in its name or in the name of its flow.`}
            onClear={() => place.refine({ q: "" })}
          />
        ) : (
          <NoSchedules />
        )
      }
      footer={
        page.value?.next && (
          <div class="cloudo-more">
            <Button
              icon="down"
              title={sort.name ? `Only the ${all.length} newest schedules are sorted` : undefined}
              onClick={page.more}
            >
              Load more
            </Button>
          </div>
        )
      }
    />
  );
}

/** Renew histories when the schedules, or executions that they have started, change. */
function useHistoryNews(histories: Histories, schedules: readonly Schedule[], refresh: () => void): void {
  const { live } = useApp();
  const ids = useMemo(() => new Set(schedules.map(keyOf)), [schedules]);
  const renew = (changed: readonly (string | null | undefined)[]) => {
    const ours = [...new Set(changed)].filter((id): id is string => Boolean(id && ids.has(id)));
    histories.renew(ours);
    return ours.length > 0;
  };
  useEffect(
    () =>
      live.follow({
        news: (news) => {
          const changes = [...news.of("schedule")].filter(([, types]) => !types.has("ScheduleDeleted"));
          renew(changes.map(([id]) => id));
        },
        resync: () => void renew([...ids]),
      }),
    [live, ids],
  );
  useExecutionNews((changed) => {
    if (renew(changed.map(({ schedule_id }) => schedule_id))) refresh();
  });
}

interface ActionsProps {
  selection: Selection;
  schedules: readonly Schedule[];
  refresh: () => void;
}

function Actions({ selection, schedules, refresh }: ActionsProps) {
  const app = useApp();
  const chosen = schedules.filter(({ id }) => selection.has(id));
  const act = async (action: ScheduleAction) => {
    await actOnSchedules(app, action, chosen.filter(SCHEDULE_ALLOWS[action]));
    refresh();
  };
  const remove = async () => {
    if (await deleteSchedules(app, chosen)) refresh();
  };
  const isOff = (action: ScheduleAction) => !chosen.some(SCHEDULE_ALLOWS[action]);
  return (
    <>
      <Button icon="pause" disabled={isOff("pause")} onClick={() => void act("pause")}>
        Pause
      </Button>
      <Button icon="play" disabled={isOff("resume")} onClick={() => void act("resume")}>
        Resume
      </Button>
      <Button icon="again" title={RUN_NOW} disabled={isOff("trigger")} onClick={() => void act("trigger")}>
        Run now
      </Button>
      <Button icon="trash" disabled={chosen.length === 0} onClick={() => void remove()}>
        Delete
      </Button>
    </>
  );
}

function NoSchedules() {
  const app = useApp();
  return (
    <Empty title="No schedules yet">
      <p>
        A schedule runs a flow at a time, at an interval, every day or by cron.{" "}
        <LinkButton onClick={() => void openNewSchedule(app)}>Create a schedule</LinkButton>, or{" "}
        <Link view="flows">select a flow</Link> and use the arrow beside Play.
      </p>
    </Empty>
  );
}
