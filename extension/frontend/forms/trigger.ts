/** The times of a schedule as a person enters them: a kind of trigger, its fields and a time zone. */

import { faultsOf } from "../api/client";
import { toZoned } from "../ui/zones";
import { DurationEntry, Entry, Invalid } from "./entry";

/** The fields that are shown for each kind of trigger. */
const FIELDS_OF_KIND = {
  daily_at: ["daily_at", "max_iterations"],
  monthly: ["monthly_day", "monthly_at", "max_iterations"],
  every_seconds: ["every", "wait", "start", "max_iterations"],
  cron: ["cron", "max_iterations"],
  at: ["at"],
  delay_seconds: ["delay"],
  never: [],
} as const;

/** `never` is no trigger: an optional element of a form may be left without one. */
export type TriggerKind = keyof typeof FIELDS_OF_KIND;

export const KINDS = (Object.keys(FIELDS_OF_KIND) as TriggerKind[]).filter((kind) => kind !== "never");

/** A trigger as REST has it, with its zone, start and limit. */
export type Trigger = Record<string, unknown>;

export const textOf = (value: unknown): string => (value === null || value === undefined ? "" : String(value));

function entriesOf(trigger: Trigger, kind: TriggerKind, zone: string) {
  const monthly = (trigger.monthly ?? { day: 1, at: "08:30" }) as { day: number | string; at: string };
  const start = textOf(trigger.start);
  return {
    kind: new Entry(kind),
    daily_at: new Entry(textOf(trigger.daily_at ?? "08:30")),
    monthly_day: new Entry(String(monthly.day)),
    monthly_at: new Entry(monthly.at),
    every: new DurationEntry(Number(trigger.every_seconds ?? 3600)),
    wait: new Entry(String(trigger.wait !== false)),
    start: new Entry(kind === "every_seconds" ? toZoned(start, zone) : ""),
    cron: new Entry(textOf(trigger.cron ?? "0 9 * * 1-5")),
    at: new Entry(toZoned(textOf(trigger.at ?? start), zone)),
    delay: new DurationEntry(Number(trigger.delay_seconds ?? 60)),
    timezone: new Entry(zone),
    max_iterations: new Entry(textOf(trigger.max_iterations)),
  };
}

export type TriggerEntry = keyof ReturnType<typeof entriesOf>;

/** Names of REST that differ from those of the fields. */
const NAMES: Partial<Record<string, TriggerEntry>> = { every_seconds: "every", delay_seconds: "delay" };

export class TriggerDraft {
  readonly entries: ReturnType<typeof entriesOf>;

  /** `trigger` is the present one, empty for a new one. `kinds` are those to choose from. */
  constructor(
    private readonly first: Trigger,
    zone: string,
    readonly kinds: readonly TriggerKind[] = KINDS,
  ) {
    const kind = kinds.find((name) => name in first) ?? kinds[0] ?? "daily_at";
    this.entries = entriesOf(first, kind, zone);
  }

  get kind(): TriggerKind {
    return this.entries.kind.text.value as TriggerKind;
  }

  /** The fields of the chosen kind of trigger. */
  get shown(): readonly TriggerEntry[] {
    return FIELDS_OF_KIND[this.kind];
  }

  /** Whether the due times differ from the first ones. A local time means another moment in another zone. */
  get isTouched(): boolean {
    const { kind, timezone } = this.entries;
    const isMoved = timezone.isTouched && (this.kind === "at" || this.kind === "every_seconds");
    return kind.isTouched || isMoved || this.shown.some((name) => this.entries[name].isTouched);
  }

  /** The trigger without its zone. Throws `Invalid`. */
  read(): Trigger {
    const { entries, kind } = this;
    const limit = this.shown.includes("max_iterations") ? entries.max_iterations.number(true) : null;
    const most = limit === null ? {} : { max_iterations: limit };
    switch (kind) {
      case "at":
        return { at: entries.at.required("Enter a date and a time.") };
      case "delay_seconds":
        return { delay_seconds: entries.delay.requiredSeconds };
      case "cron":
        return { cron: entries.cron.required("Enter five fields, such as 0 9 * * 1-5."), ...most };
      case "daily_at":
        return { daily_at: entries.daily_at.required("Enter a time of day."), ...most };
      case "monthly":
        return { monthly: this.monthly(), ...most };
      case "every_seconds":
        return { ...this.interval(), ...most };
      case "never":
        return {};
    }
  }

  /** The time zone. Throws `Invalid`. */
  zone(): string {
    return this.entries.timezone.required("Enter a time zone, such as Europe/Vienna.");
  }

  clear(): void {
    for (const entry of Object.values(this.entries)) entry.problem.value = "";
  }

  /** Show an error beside its fields. Returns the messages that belong to none of them. */
  complain(error: unknown): string[] {
    if (error instanceof Invalid) {
      error.entry.problem.value = error.message;
      return [];
    }
    return faultsOf(error).flatMap(({ field, message }) =>
      field !== null && this.tell(field, message) ? [] : [message],
    );
  }

  /** Show a message beside the field with this name in REST. Returns whether that is shown. */
  tell(field: string, message: string): boolean {
    const name = this.nameOf(field.split(".").filter((part) => part !== "trigger"));
    if (name === null) return false;
    this.entries[name].problem.value = message;
    return true;
  }

  private nameOf(parts: readonly string[]): TriggerEntry | null {
    const last = parts.at(-1);
    if (last === undefined) return this.shown[0] ?? "kind";
    if (parts.includes("monthly")) return last === "at" ? "monthly_at" : "monthly_day";
    const name = NAMES[last] ?? (last as TriggerEntry);
    return name === "timezone" || this.shown.includes(name) ? name : null;
  }

  private monthly(): Trigger {
    const { monthly_day, monthly_at } = this.entries;
    const day = monthly_day.required("Enter a day from 1 to 31, last, or a day such as first monday.").toLowerCase();
    return { day: /^\d+$/.test(day) ? Number(day) : day, at: monthly_at.required("Enter a time of day.") };
  }

  private interval(): Trigger {
    const { every, start, wait, kind } = this.entries;
    // An unchanged start is sent to the microsecond, so that the grid stays where it is.
    const isChanged = start.isTouched || kind.isTouched;
    const first = isChanged ? start.optional : this.first.start;
    return { every_seconds: every.requiredSeconds, wait: wait.isOn, ...(first ? { start: first } : {}) };
  }
}
