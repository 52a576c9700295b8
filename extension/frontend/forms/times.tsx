/** Draws the times of a schedule: the fields of its trigger, and its next times in both zones. */

import type { ComponentProps } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { SchedulePreview } from "../api/types";
import { useApp } from "../app/context";
import { SimpleTable } from "../ui/simple";
import { inZone, ownZone, zoneNames } from "../ui/zones";
import { EntryField } from "./entry";
import type { TriggerDraft, TriggerEntry, TriggerKind } from "./trigger";

/** The preview follows when the typing pauses for so long. */
const PREVIEW_MS = 250;
const WORDS: Record<TriggerKind, string> = {
  daily_at: "Every day",
  monthly: "Every month",
  every_seconds: "At an interval",
  cron: "Cron",
  at: "Once, at a time",
  delay_seconds: "Once, after a delay",
  never: "Never",
};
const BASES = [
  ["true", "the end of the last run"],
  ["false", "the first run (no drift)"],
] as const;
const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const DAYS = ["1", "15", "last", ...["first", "last"].flatMap((nth) => WEEKDAYS.map((day) => `${nth} ${day}`))];

type FieldProps = Omit<ComponentProps<typeof EntryField>, "entry"> & { name: TriggerEntry };

/** When it runs. */
export function TriggerFields({ draft }: { draft: TriggerDraft }) {
  const { entries, shown, kinds } = draft;
  const zones = useMemo(zoneNames, []);
  const field = ({ name, ...rest }: FieldProps) => <EntryField key={name} entry={entries[name]} {...rest} />;
  const ofKind = (props: FieldProps) => shown.includes(props.name) && field(props);
  const note = '1 to 31, last, or a day such as "first monday". Shorter months run on their last day.';
  const options = kinds.map((kind) => [kind, WORDS[kind]] as const);
  return (
    <>
      {kinds.length > 1 && field({ name: "kind", label: "Runs", type: "select", options })}
      {ofKind({ name: "daily_at", label: "Time of day", type: "time" })}
      {ofKind({ name: "monthly_day", label: "Day of the month", note, suggestions: DAYS })}
      {ofKind({ name: "monthly_at", label: "Time of day", type: "time" })}
      {ofKind({ name: "every", label: "Every" })}
      {ofKind({ name: "cron", label: "Cron expression", note: "Minute, hour, day, month, day of the week." })}
      {ofKind({ name: "at", label: "Date and time", type: "datetime-local" })}
      {ofKind({ name: "delay", label: "Delay" })}
      {ofKind({ name: "wait", label: "Measured from", type: "select", options: BASES })}
      {ofKind({ name: "start", label: "First run (empty: now)", type: "datetime-local" })}
      {draft.kind !== "never" && field({ name: "timezone", label: "Time zone", suggestions: zones })}
      {ofKind({
        name: "max_iterations",
        label: "Maximum number of runs",
        placeholder: "no limit",
        inputMode: "numeric",
      })}
    </>
  );
}

interface Request {
  path: string;
  body: unknown;
}

/** Fetch the next times while the typing pauses. `read` returns the request, null for none. `fail` gets errors. */
export function usePreview(
  turn: number,
  read: () => Promise<Request> | Request | null,
  fail: (error: unknown) => void,
): SchedulePreview | null {
  const { api } = useApp();
  const [preview, setPreview] = useState<SchedulePreview | null>(null);
  useEffect(() => {
    const aborter = new AbortController();
    const { signal } = aborter;
    const look = async () => {
      try {
        const request = await read();
        if (!request) return setPreview(null);
        const found = await api.post<SchedulePreview | { preview: SchedulePreview | null }>(
          request.path,
          request.body,
          { signal },
        );
        if (!signal.aborted) setPreview("preview" in found ? found.preview : found);
      } catch (error) {
        if (signal.aborted) return;
        setPreview(null);
        fail(error);
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

/** When a schedule would run: in words, and its next times in its own zone and in the viewer's. */
export function NextTimes({
  preview,
  label,
  error,
  isBusy = false,
}: {
  preview: SchedulePreview | null;
  label: string;
  error?: string;
  /** Whether ten times are on their way: there is room for them already. */
  isBusy?: boolean;
}) {
  return (
    <div class="cloudo-preview" role="status" aria-label={label} aria-busy={isBusy}>
      <p>{error || preview?.description}</p>
      {preview && (
        <>
          <ul>
            {preview.notes?.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
          <TimesTable preview={preview} />
        </>
      )}
    </div>
  );
}

function TimesTable({ preview: { times, timezone } }: { preview: SchedulePreview }) {
  const own = ownZone();
  const isForeign = timezone !== own;
  if (times.length === 0) return null;
  const heads = [`Next (${timezone})`, ...(isForeign ? [`Your time (${own})`] : [])];
  return (
    <div class="cloudo-times">
      <SimpleTable label="Next times" heads={heads}>
        {times.map(({ utc }) => (
          <tr key={utc}>
            <td>{inZone(utc, timezone)}</td>
            {isForeign && <td>{inZone(utc, own)}</td>}
          </tr>
        ))}
      </SimpleTable>
    </div>
  );
}
