/** Running the past times of a schedule: a dialog lists them first, and a panel shows how far they are. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { segment } from "../../api/client";
import { fetchExecutions } from "../../api/executions";
import type { Execution, Occurrence, Page, Schedule } from "../../api/types";
import { useApp, useExecutionNews, type App } from "../../app/context";
import { faultsOf } from "../../api/client";
import { Entry, EntryField, Invalid } from "../../forms/entry";
import { focusFirst } from "../../forms/inputs";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { count, isEnded, now } from "../../ui/words";
import { inZone, toZoned } from "../../ui/zones";

const PREVIEW_MS = 250;
const WEEK_MS = 7 * 24 * 3600 * 1000;

/** Open the dialog. `onStarted` gets the ids of the executions. */
export function openBackfill(app: App, schedule: Schedule, onStarted: (ids: string[]) => void): Promise<void> {
  return app.dialogs.show((close) => (
    <BackfillDialog app={app} schedule={schedule} close={close} onStarted={onStarted} />
  ));
}

interface BackfillDialogProps {
  app: App;
  schedule: Schedule;
  close: () => void;
  onStarted: (ids: string[]) => void;
}

/** The range and its text fields. */
class Range {
  readonly start: Entry;
  readonly end: Entry;

  constructor(zone: string) {
    this.start = new Entry(`${toZoned(now() - WEEK_MS, zone).slice(0, 10)}T00:00:00`);
    this.end = new Entry(`${toZoned(now(), zone).slice(0, 10)}T00:00:00`);
  }

  read(): { start: string; end: string } {
    const problem = "Enter a date and a time.";
    return { start: this.start.required(problem), end: this.end.required(problem) };
  }

  clear(): void {
    this.start.problem.value = "";
    this.end.problem.value = "";
  }

  /** Show an error beside its field. Returns the messages that belong to none. */
  complain(error: unknown): string[] {
    if (error instanceof Invalid) {
      error.entry.problem.value = error.message;
      return [];
    }
    return faultsOf(error).flatMap(({ field, message }) => {
      if (field !== "start" && field !== "end") return [message];
      this[field].problem.value = message;
      return [];
    });
  }
}

function BackfillDialog({ app, schedule, close, onStarted }: BackfillDialogProps) {
  const { id, name, timezone } = schedule;
  const body = useRef<HTMLDivElement>(null);
  const range = useMemo(() => new Range(timezone), []);
  const [turn, setTurn] = useState(0);
  const [times, setTimes] = useState<readonly Occurrence[] | null>(null);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const ask = (isDry: boolean, signal?: AbortSignal) =>
    app.api.post<Page<Occurrence>>(`schedule/${segment(id)}/backfill`, { ...range.read(), dry_run: isDry }, { signal });
  const fail = (error: unknown) => {
    setTimes(null);
    setProblem(range.complain(error).join("\n"));
  };
  useEffect(() => {
    const aborter = new AbortController();
    const { signal } = aborter;
    const look = async () => {
      range.clear();
      setProblem("");
      try {
        const { items } = await ask(true, signal);
        if (!signal.aborted) setTimes(items);
      } catch (error) {
        if (!signal.aborted) fail(error);
      }
    };
    setTimes(null);
    const timer = setTimeout(() => void look(), turn === 0 ? 0 : PREVIEW_MS);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, [turn]);

  const number = times?.length ?? 0;
  const submit = async () => {
    if (number === 0 || isBusy) return;
    setBusy(true);
    try {
      const { items } = await ask(false);
      close();
      onStarted(items.flatMap(({ execution_id }) => execution_id ?? []));
    } catch (error) {
      fail(error);
      setTimeout(() => focusFirst(body.current));
    } finally {
      setBusy(false);
    }
  };
  const run = (
    <Button type="submit" icon="play" kind="primary" disabled={number === 0 || isBusy}>
      {number > 0 ? `Start ${count(number, "run")}` : "Start"}
    </Button>
  );
  return (
    <Dialog title={`Backfill ${name}`} close={close} onSubmit={() => void submit()} buttons={run} focus={focusFirst}>
      <div ref={body}>
        <p class="cloudo-muted">Runs the past times of this range that started nothing, in order, one after another.</p>
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
        <div class="cloudo-schedule-form" onInput={() => setTurn(turn + 1)}>
          <EntryField entry={range.start} label="From" type="datetime-local" />
          <EntryField entry={range.end} label="Before" type="datetime-local" />
        </div>
        <div class="cloudo-preview">
          <p role="status" aria-label="Preview">
            {times &&
              (number === 0 ? "No runs are left to backfill in this range." : `${count(number, "run")} (${timezone}):`)}
          </p>
          {number > 0 && (
            <ol class="cloudo-backfill-times" tabIndex={0} aria-label="Runs">
              {times?.map(({ due }) => (
                <li key={due}>{inZone(due, timezone)}</li>
              ))}
            </ol>
          )}
        </div>
      </div>
    </Dialog>
  );
}

/** How far the executions of a backfill are. It stays when all have ended. */
export function BackfillProgress({ ids }: { ids: readonly string[] }) {
  const { api } = useApp();
  const [statuses, setStatuses] = useState<ReadonlyMap<string, string>>(new Map(ids.map((id) => [id, "PENDING"])));
  const take = (changed: readonly Execution[]) => {
    const ours = changed.filter(({ id }) => statuses.has(id));
    if (ours.length > 0)
      setStatuses((old) => new Map([...old, ...ours.map(({ id, status }) => [id, status] as const)]));
  };
  useExecutionNews(take);
  // Some may have ended before anything followed them.
  useEffect(() => {
    void fetchExecutions(api, ids).then(take, () => {});
  }, []);
  const all = [...statuses.values()];
  const done = all.filter(isEnded).length;
  const failed = all.filter((status) => status === "ENDED_ERROR" || status === "ENDED_CANCELLED").length;
  const isOver = done === all.length;
  const bad = failed > 0 ? `, ${failed} failed` : "";
  const words = isOver
    ? `All ${count(all.length, "run")} done${bad}.`
    : `${done} of ${count(all.length, "run")} done${bad}.`;
  return (
    <section class="cloudo-panel cloudo-backfill" aria-label="Backfill">
      <header>
        <h2>Backfill</h2>
        <p role="status">{words}</p>
      </header>
      <div
        class="cloudo-progress"
        role="progressbar"
        aria-label="Runs done"
        aria-valuemin={0}
        aria-valuemax={all.length}
        aria-valuenow={done}
        data-status={!isOver ? "RUNNING" : failed > 0 ? "ENDED_ERROR" : "ENDED_SUCCESS"}
      >
        <div class="cloudo-progress-bar" style={{ transform: `scaleX(${done / Math.max(1, all.length)})` }} />
      </div>
    </section>
  );
}
