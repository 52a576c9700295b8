/** What is typed into the form of a schedule, and the request that changes it. */

import type { Schedule } from "../../api/types";
import { faultsOf } from "../../forms/answer";
import { Entry, Invalid } from "../../forms/entry";
import { toZoned } from "../../ui/zones";
import { OCCASIONS } from "./facts";
import { writeFollowUps, type FollowUp } from "./followups";

/** Seconds of a unit, and its word. The largest comes first. */
export const UNITS = [
  ["86400", "days"],
  ["3600", "hours"],
  ["60", "minutes"],
  ["1", "seconds"],
] as const;

/** The fields that are shown for each kind of trigger. */
const FIELDS_OF_KIND = {
  daily_at: ["daily_at", "max_iterations"],
  monthly: ["monthly_day", "monthly_at", "max_iterations"],
  every_seconds: ["every", "unit", "wait", "start", "max_iterations"],
  cron: ["cron", "max_iterations"],
  at: ["at"],
  delay_seconds: ["delay_seconds"],
} as const;

export type TriggerKind = keyof typeof FIELDS_OF_KIND;

const textOf = (value: unknown): string => (value === null || value === undefined ? "" : String(value));

function entriesOf(schedule: Schedule) {
  const { trigger, timezone, start, end_at, inputs } = schedule;
  const kind = (Object.keys(FIELDS_OF_KIND) as TriggerKind[]).find((name) => name in trigger) ?? "daily_at";
  const seconds = Number(trigger.every_seconds ?? 3600);
  const unit = UNITS.find(([size]) => seconds % Number(size) === 0)?.[0] ?? "1";
  const monthly = (trigger.monthly ?? { day: 1, at: "08:30" }) as { day: number | string; at: string };
  const first = {
    name: schedule.name,
    kind,
    daily_at: textOf(trigger.daily_at ?? "08:30"),
    monthly_day: String(monthly.day),
    monthly_at: monthly.at,
    every: String(seconds / Number(unit)),
    unit,
    wait: String(trigger.wait !== false),
    start: kind === "every_seconds" ? toZoned(start, timezone) : "",
    cron: textOf(trigger.cron ?? "0 9 * * 1-5"),
    at: toZoned(textOf(trigger.at ?? start), timezone),
    delay_seconds: textOf(trigger.delay_seconds ?? 60),
    timezone,
    max_iterations: textOf(schedule.max_iterations),
    end_at: end_at ? toZoned(end_at, timezone) : "",
    inputs: JSON.stringify(inputs, null, 2),
    overlap: textOf(schedule.overlap),
    catch_up: textOf(schedule.catch_up),
    catch_up_window_seconds: textOf(schedule.catch_up_window_seconds),
    jitter_seconds: textOf(schedule.jitter_seconds),
    pause_on_error_count: textOf(schedule.pause_on_error_count),
    pin_source: String(schedule.pin_source),
    on_success: writeFollowUps(schedule.on_success as FollowUp[] | null),
    on_error: writeFollowUps(schedule.on_error as FollowUp[] | null),
    on_recovery: writeFollowUps(schedule.on_recovery as FollowUp[] | null),
    confirmed: "false",
  };
  return Object.fromEntries(Object.entries(first).map(([name, text]) => [name, new Entry(text)])) as Record<
    keyof typeof first,
    Entry
  >;
}

export type EntryName = keyof ReturnType<typeof entriesOf>;

/** Fields below the fold. */
const FOLDED: readonly EntryName[] = [
  "inputs",
  "overlap",
  "catch_up",
  "catch_up_window_seconds",
  "jitter_seconds",
  "pause_on_error_count",
  "pin_source",
  "on_success",
  "on_error",
  "on_recovery",
];

export class ScheduleDraft {
  readonly entries: Record<EntryName, Entry>;

  constructor(readonly schedule: Schedule) {
    this.entries = entriesOf(schedule);
  }

  get kind(): TriggerKind {
    return this.entries.kind.text.value as TriggerKind;
  }

  /** The fields of the chosen kind of trigger. */
  get shown(): readonly EntryName[] {
    return FIELDS_OF_KIND[this.kind];
  }

  /** Whether the due times differ from the saved ones. A local time means another moment in another zone. */
  get isRetimed(): boolean {
    const { kind, timezone } = this.entries;
    const isMoved = timezone.isTouched && (this.kind === "at" || this.kind === "every_seconds");
    return kind.isTouched || isMoved || this.shown.some((name) => this.entries[name].isTouched);
  }

  /** The request for a preview. Throws `Invalid`. */
  preview(): Record<string, unknown> {
    const end = this.entries.end_at.optional;
    return { trigger: this.trigger(), timezone: this.zone(), ...(end ? { end_at: end } : {}) };
  }

  /** The fields to change. Throws `Invalid`. */
  changes(): Record<string, unknown> {
    const { entries } = this;
    const found: Record<string, unknown> = {};
    const set = (name: EntryName, read: () => unknown) => {
      if (entries[name].isTouched) found[name] = read();
    };
    set("name", () => entries.name.required("Enter a name."));
    if (this.isRetimed) found.trigger = this.trigger();
    if (entries.timezone.isTouched || found.trigger) found.timezone = this.zone();
    set("end_at", () => entries.end_at.optional);
    set("inputs", () => entries.inputs.object());
    for (const name of ["overlap", "catch_up"] as const) set(name, () => entries[name].text.peek());
    set("catch_up_window_seconds", () => entries.catch_up_window_seconds.number());
    set("jitter_seconds", () => entries.jitter_seconds.number() ?? 0);
    set("pin_source", () => entries.pin_source.isOn);
    set("pause_on_error_count", () => entries.pause_on_error_count.number(true));
    for (const [name] of OCCASIONS) set(name, () => entries[name].text.peek());
    return found;
  }

  clear(): void {
    for (const entry of Object.values(this.entries)) entry.problem.value = "";
  }

  /** Show an error beside its fields. Returns the messages that belong to no visible field. */
  complain(error: unknown): string[] {
    if (error instanceof Invalid) {
      error.entry.problem.value = error.message;
      return [];
    }
    return faultsOf(error).flatMap(({ field, message }) => {
      const name = field === null ? null : this.nameOf(field);
      if (name === null) return [message];
      this.entries[name].problem.value = message;
      return [];
    });
  }

  /** Whether a field below the fold has a problem. */
  get hasFoldedProblem(): boolean {
    return FOLDED.some((name) => this.entries[name].problem.peek() !== "");
  }

  private trigger(): Record<string, unknown> {
    const { entries, kind } = this;
    const limit = this.shown.includes("max_iterations") ? entries.max_iterations.number(true) : null;
    const most = limit === null ? {} : { max_iterations: limit };
    switch (kind) {
      case "at":
        return { at: entries.at.required("Enter a date and a time.") };
      case "delay_seconds":
        return { delay_seconds: entries.delay_seconds.requiredNumber() };
      case "cron":
        return { cron: entries.cron.required("Enter five fields, such as 0 9 * * 1-5."), ...most };
      case "daily_at":
        return { daily_at: entries.daily_at.required("Enter a time of day."), ...most };
      case "monthly":
        return { monthly: this.monthly(), ...most };
      case "every_seconds":
        return { ...this.interval(), ...most };
    }
  }

  private monthly(): Record<string, unknown> {
    const { monthly_day, monthly_at } = this.entries;
    const day = monthly_day.required("Enter a day from 1 to 31, last, or a day such as first monday.").toLowerCase();
    return { day: /^\d+$/.test(day) ? Number(day) : day, at: monthly_at.required("Enter a time of day.") };
  }

  private interval(): Record<string, unknown> {
    const { every, unit, start, wait, kind } = this.entries;
    // An unchanged start is sent to the microsecond, so that the grid stays where it is.
    const isChanged = start.isTouched || kind.isTouched;
    const first = isChanged ? start.optional : this.schedule.start;
    const seconds = every.requiredNumber() * Number(unit.text.peek());
    return { every_seconds: seconds, wait: wait.isOn, ...(first ? { start: first } : {}) };
  }

  private zone(): string {
    return this.entries.timezone.required("Enter a time zone, such as Europe/Vienna.");
  }

  /** The field that an error of REST is about, null if there is none to see. */
  private nameOf(field: string): EntryName | null {
    const parts = field.split(".");
    const last = parts.at(-1) ?? "";
    const [root = ""] = parts;
    if (parts.includes("monthly")) return last === "at" ? "monthly_at" : "monthly_day";
    if (FOLDED.includes(root as EntryName)) return root as EntryName;
    const name = { trigger: this.firstOf(), every_seconds: "every" }[last] ?? last;
    if (!(name in this.entries)) return root === "trigger" ? this.firstOf() : "inputs";
    const isOfOtherKind = Object.values(FIELDS_OF_KIND)
      .flat()
      .includes(name as never);
    return isOfOtherKind && !this.shown.includes(name as EntryName) ? null : (name as EntryName);
  }

  private firstOf(): EntryName {
    return this.shown[0] ?? "kind";
  }
}
