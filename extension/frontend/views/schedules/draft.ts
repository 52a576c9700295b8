/** What is typed into the form of a schedule, and the request that creates or changes it. */

import { signal, type Signal } from "@preact/signals";
import { faultsOf, ApiError, type Api } from "../../api/client";
import type { Schedule } from "../../api/types";
import { DurationEntry, Entry, Invalid } from "../../forms/entry";
import { FlowForms } from "../../forms/flows";
import { textOf, TriggerDraft } from "../../forms/trigger";
import { ownZone, toZoned } from "../../ui/zones";
import { OCCASIONS } from "./facts";
import { writeFollowUps, type FollowUp } from "./followups";

function entriesOf(schedule: Partial<Schedule>, zone: string) {
  const { end_at, overlap, catch_up, catch_up_window_seconds: age, jitter_seconds: jitter } = schedule;
  return {
    flow_name: new Entry(schedule.flow_name ?? ""),
    name: new Entry(schedule.name ?? ""),
    end_at: new Entry(end_at ? toZoned(end_at, zone) : ""),
    overlap: new Entry(textOf(overlap ?? "skip")),
    catch_up: new Entry(textOf(catch_up ?? "last")),
    catch_up_window_seconds: new DurationEntry(age ?? null),
    jitter_seconds: new DurationEntry(jitter || null),
    pause_on_error_count: new Entry(textOf(schedule.pause_on_error_count)),
    pin_source: new Entry(String(schedule.pin_source ?? false)),
    on_success: new Entry(writeFollowUps((schedule.on_success as FollowUp[] | null | undefined) ?? null)),
    on_error: new Entry(writeFollowUps((schedule.on_error as FollowUp[] | null | undefined) ?? null)),
    on_recovery: new Entry(writeFollowUps((schedule.on_recovery as FollowUp[] | null | undefined) ?? null)),
    confirmed: new Entry("false"),
  };
}

export type EntryName = keyof ReturnType<typeof entriesOf>;

/** Fields below the fold. */
const FOLDED: readonly EntryName[] = [
  "catch_up_window_seconds",
  "jitter_seconds",
  "pause_on_error_count",
  "pin_source",
  "on_success",
  "on_error",
  "on_recovery",
];

export class ScheduleDraft {
  readonly entries: ReturnType<typeof entriesOf>;
  readonly times: TriggerDraft;
  readonly inputs: FlowForms;
  /** The name of the flow as it was when its control was left. */
  readonly flow: Signal<string>;

  /** `schedule` is the one to change; of a new one, it has the fields that are known. */
  constructor(
    api: Api,
    readonly schedule: Partial<Schedule>,
  ) {
    const { trigger = {}, timezone = ownZone(), start, max_iterations, inputs = {}, id } = schedule;
    this.entries = entriesOf(schedule, timezone);
    this.times = new TriggerDraft({ ...trigger, start, max_iterations }, timezone);
    this.flow = signal(schedule.flow_name ?? "");
    this.inputs = new FlowForms(api, () => (id ? inputs : {}));
  }

  /** Take the typed name of a flow as chosen. */
  pick(): void {
    this.flow.value = this.entries.flow_name.text.peek().trim();
    this.entries.flow_name.problem.value = "";
  }

  /** The chosen flow, if there is one. */
  get flowNames(): readonly string[] {
    return this.flow.value ? [this.flow.value] : [];
  }

  get isNew(): boolean {
    return this.schedule.id === undefined;
  }

  /** The request for a preview. Throws `Invalid`. */
  preview(): Record<string, unknown> {
    const end = this.entries.end_at.optional;
    return { trigger: this.times.read(), timezone: this.times.zone(), ...(end ? { end_at: end } : {}) };
  }

  /** The fields to set: of a schedule that exists, those that have changed. Throws `Invalid`. */
  changes(): Record<string, unknown> {
    const { entries, times, isNew } = this;
    const found: Record<string, unknown> = {};
    const set = (name: EntryName, read: () => unknown) => {
      if (entries[name].isTouched) found[name] = read();
    };
    if (isNew) found.flow_name = entries.flow_name.required("Choose a flow.");
    set("name", () => (isNew ? entries.name.optional : entries.name.required("Enter a name.")));
    if (isNew || times.isTouched) found.trigger = times.read();
    if (isNew || times.entries.timezone.isTouched || found.trigger) found.timezone = times.zone();
    set("end_at", () => entries.end_at.optional);
    if (isNew || this.inputs.isTouched) found.inputs = this.readInputs();
    for (const name of ["overlap", "catch_up"] as const) set(name, () => entries[name].text.peek());
    set("catch_up_window_seconds", () => entries.catch_up_window_seconds.seconds);
    set("jitter_seconds", () => entries.jitter_seconds.seconds ?? 0);
    set("pin_source", () => entries.pin_source.isOn);
    set("pause_on_error_count", () => entries.pause_on_error_count.number(true));
    for (const [name] of OCCASIONS) set(name, () => entries[name].text.peek());
    return found;
  }

  clear(): void {
    this.times.clear();
    for (const entry of Object.values(this.entries)) entry.problem.value = "";
  }

  /** Show an error beside its fields. Returns the messages that belong to no visible field. */
  complain(error: unknown): string[] {
    if (error instanceof Invalid) {
      error.entry.problem.value = error.message;
      return [];
    }
    const isInput = error instanceof ApiError && error.code === "inputs_invalid";
    return faultsOf(error).flatMap(({ field, message }) => {
      if (field !== null && (isInput ? this.tellInput(field, message) : this.tell(field, message))) return [];
      return [message];
    });
  }

  /** Whether a field below the fold has a problem. */
  get hasFoldedProblem(): boolean {
    return FOLDED.some((name) => this.entries[name].problem.peek() !== "");
  }

  private readInputs(): Record<string, unknown> {
    const read = this.inputs.read();
    if (!read) throw new InputsMissing();
    return [...read.values()][0] ?? {};
  }

  private tell(field: string, message: string): boolean {
    const [root = ""] = field.split(".");
    if (!(root in this.entries)) return this.times.tell(field, message);
    this.entries[root as EntryName].problem.value = message;
    return true;
  }

  private tellInput(field: string, message: string): boolean {
    const [form] = this.inputs.forms.peek();
    form?.complain(message, field);
    return form !== undefined;
  }
}

/** The form of the flow shows what is wrong with its inputs. */
class InputsMissing extends Error {
  constructor() {
    super("Some inputs are missing or invalid.");
  }
}
