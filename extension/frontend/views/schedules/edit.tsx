/** The dialog that changes a schedule. The next runs follow what is typed. */

import type { ComponentProps } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { segment, ApiError } from "../../api/client";
import type { Schedule, SchedulePreview } from "../../api/types";
import type { App } from "../../app/context";
import { EntryField } from "../../forms/entry";
import { focusFirst } from "../../forms/inputs";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { inZone, ownZone } from "../../ui/zones";
import { ScheduleDraft, UNITS, type EntryName } from "./draft";
import { OCCASIONS } from "./facts";

/** The preview follows when the typing pauses for so long. */
const PREVIEW_MS = 250;
const TRIGGERS = [
  ["daily_at", "Every day"],
  ["monthly", "Every month"],
  ["every_seconds", "At an interval"],
  ["cron", "Cron"],
  ["at", "Once, at a time"],
  ["delay_seconds", "Once, after a delay"],
] as const;
const OVERLAPS = [
  ["skip", "Skip the next run"],
  ["queue", "Queue the next run"],
  ["cancel", "Cancel it and start the next run"],
  ["allow", "Run both"],
] as const;
const CATCH_UPS = [
  ["last", "Run the latest"],
  ["none", "Skip them"],
  ["all", "Run all, in order"],
] as const;
const BASES = [
  ["true", "the end of the last run"],
  ["false", "the first run (no drift)"],
] as const;
const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const DAYS = ["1", "15", "last", ...["first", "last"].flatMap((nth) => WEEKDAYS.map((day) => `${nth} ${day}`))];
const FOLLOW_UPS = "One per line: a flow, a URL, or JSON. Empty: the flow's own follow-ups. []: none.";

/** Open the dialog. `onSaved` gets the changed schedule. */
export function editSchedule(app: App, schedule: Schedule, onSaved: (saved: Schedule) => void): Promise<void> {
  return app.dialogs.show((close) => <EditDialog app={app} schedule={schedule} close={close} onSaved={onSaved} />);
}

interface EditDialogProps {
  app: App;
  schedule: Schedule;
  close: () => void;
  onSaved: (saved: Schedule) => void;
}

function EditDialog({ app, schedule, close, onSaved }: EditDialogProps) {
  const body = useRef<HTMLDivElement>(null);
  const draft = useMemo(() => new ScheduleDraft(schedule), []);
  const [turn, setTurn] = useState(0);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [isFolded, setFolded] = useState(true);
  const [mustConfirm, setMustConfirm] = useState(false);
  const preview = usePreview(app, draft, turn, setProblem);
  const needsConfirmation = mustConfirm || Boolean(preview?.needs_confirmation && draft.isRetimed);

  const submit = async () => {
    draft.clear();
    setProblem("");
    setBusy(true);
    try {
      const changes = draft.changes();
      if (Object.keys(changes).length > 0) {
        const request = { ...changes, confirmed: draft.entries.confirmed.isOn };
        onSaved(await app.api.patch<Schedule>(`schedule/${segment(schedule.id)}`, request));
      }
      close();
    } catch (error) {
      if (error instanceof ApiError && error.code === "not_confirmed") {
        setMustConfirm(true);
        draft.entries.confirmed.problem.value = error.message;
      } else setProblem(draft.complain(error).join("\n"));
      if (draft.hasFoldedProblem) setFolded(false);
      setTimeout(() => focusFirst(body.current));
    } finally {
      setBusy(false);
    }
  };
  const save = (
    <Button type="submit" kind="primary" disabled={isBusy}>
      Save
    </Button>
  );
  return (
    <Dialog
      title={`Edit ${schedule.name}`}
      close={close}
      onSubmit={() => void submit()}
      buttons={save}
      focus={focusFirst}
    >
      <div ref={body}>
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
        <div onInput={() => setTurn(turn + 1)}>
          <TimingFields draft={draft} />
        </div>
        <PreviewBox preview={preview} />
        {needsConfirmation && <EntryField entry={draft.entries.confirmed} label="Save anyway" type="checkbox" />}
        <details open={!isFolded} onToggle={(event) => setFolded(!event.currentTarget.open)}>
          <summary>Inputs, overlap, missed runs, failures, version, follow-ups</summary>
          <RuleFields draft={draft} />
        </details>
      </div>
    </Dialog>
  );
}

/** Fetch the next runs that what is typed would give. An error appears beside its field. */
function usePreview({ api }: App, draft: ScheduleDraft, turn: number, setProblem: (problem: string) => void) {
  const [preview, setPreview] = useState<SchedulePreview | null>(null);
  useEffect(() => {
    const aborter = new AbortController();
    const { signal } = aborter;
    const look = async () => {
      draft.clear();
      setProblem("");
      try {
        const found = await api.post<SchedulePreview>("schedule/preview", draft.preview(), { signal });
        if (!signal.aborted) setPreview(found);
      } catch (error) {
        if (signal.aborted) return;
        setPreview(null);
        setProblem(draft.complain(error).join("\n"));
      }
    };
    const timer = setTimeout(() => void look(), turn === 0 ? 0 : PREVIEW_MS);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, [turn]);
  return preview;
}

function PreviewBox({ preview }: { preview: SchedulePreview | null }) {
  const own = ownZone();
  const times = preview && preview.timezone !== own ? preview.times : [];
  return (
    <div class="cloudo-preview" role="status" aria-label="Preview">
      <p>{preview?.summary ?? ""}</p>
      <ul>
        {(preview?.notes ?? []).map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
      {times[0] && (
        <p class="cloudo-muted">
          In your time: {inZone(times[0].utc, own)} ({own})
        </p>
      )}
    </div>
  );
}

type FieldProps = Omit<ComponentProps<typeof EntryField>, "entry"> & { name: EntryName };

/** When it runs. */
function TimingFields({ draft }: { draft: ScheduleDraft }) {
  const { entries } = draft;
  const { shown } = draft;
  const zones = useMemo(() => Intl.supportedValuesOf("timeZone"), []);
  const field = ({ name, ...rest }: FieldProps) => <EntryField key={name} entry={entries[name]} {...rest} />;
  const ofKind = (props: FieldProps) => shown.includes(props.name) && field(props);
  const note = '1 to 31, last, or a day such as "first monday". Shorter months run on their last day.';
  return (
    <div class="cloudo-schedule-form">
      {field({ name: "name", label: "Name" })}
      {field({ name: "kind", label: "Runs", type: "select", options: TRIGGERS })}
      {ofKind({ name: "daily_at", label: "Time of day", type: "time" })}
      {ofKind({ name: "monthly_day", label: "Day of the month", note, suggestions: DAYS })}
      {ofKind({ name: "monthly_at", label: "Time of day", type: "time" })}
      {ofKind({ name: "every", label: "Every", inputMode: "decimal", beside: <Unit draft={draft} /> })}
      {ofKind({ name: "cron", label: "Cron expression", note: "Minute, hour, day, month, day of the week." })}
      {ofKind({ name: "at", label: "Date and time", type: "datetime-local" })}
      {ofKind({ name: "delay_seconds", label: "Delay in seconds", inputMode: "decimal" })}
      {ofKind({ name: "wait", label: "Measured from", type: "select", options: BASES })}
      {ofKind({ name: "start", label: "First run (empty: now)", type: "datetime-local" })}
      {field({ name: "timezone", label: "Time zone", suggestions: zones })}
      {ofKind({
        name: "max_iterations",
        label: "Maximum number of runs",
        placeholder: "no limit",
        inputMode: "numeric",
      })}
      {field({ name: "end_at", label: "Ends at", type: "datetime-local" })}
    </div>
  );
}

function Unit({ draft: { entries } }: { draft: ScheduleDraft }) {
  const { text } = entries.unit;
  return (
    <select
      class="cloudo-control"
      aria-label="Unit"
      value={text.value}
      onInput={(event) => (text.value = event.currentTarget.value)}
    >
      {UNITS.map(([seconds, word]) => (
        <option key={seconds} value={seconds} selected={seconds === text.value}>
          {word}
        </option>
      ))}
    </select>
  );
}

/** What it starts, and what happens when a run is missed, overlaps or fails. */
function RuleFields({ draft: { entries, schedule } }: { draft: ScheduleDraft }) {
  const field = ({ name, ...rest }: FieldProps) => <EntryField key={name} entry={entries[name]} {...rest} />;
  const pinned = "It runs the flow as it was when it was pinned. Otherwise each run takes the current version.";
  const pin = "All runs take this version, even if the notebook changes. Otherwise each run takes the current version.";
  return (
    <div>
      {field({
        name: "inputs",
        label: "Inputs",
        type: "area",
        note: "A JSON object. The flow's defaults apply to what is left out.",
      })}
      {field({ name: "overlap", label: "If a run is still in progress", type: "select", options: OVERLAPS })}
      {field({ name: "catch_up", label: "Missed runs", type: "select", options: CATCH_UPS })}
      {field({
        name: "catch_up_window_seconds",
        label: "Maximum age of missed runs, in seconds",
        placeholder: "no limit",
        inputMode: "decimal",
      })}
      {field({ name: "jitter_seconds", label: "Maximum random delay, in seconds", inputMode: "decimal" })}
      {field({
        name: "pause_on_error_count",
        label: "Pause after this many failures in a row",
        placeholder: "never",
        inputMode: "numeric",
      })}
      {field({
        name: "pin_source",
        label: schedule.pin_source ? "Keep the pinned version of the flow" : "Pin the current version of the flow",
        type: "checkbox",
        note: schedule.pin_source ? pinned : pin,
      })}
      {OCCASIONS.map(([name, label]) => field({ name, label, type: "area", rows: 2, note: FOLLOW_UPS }))}
    </div>
  );
}
