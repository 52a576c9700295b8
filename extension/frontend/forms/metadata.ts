/** What is typed into the form for a flow's metadata, and the values that it stands for. */

import { signal } from "@preact/signals";
import { readFollowUps, writeFollowUps, type FollowUp } from "../views/schedules/followups";
import { DurationEntry, Entry } from "./entry";
import { parseNumber, type Reading } from "./values";

export type Metadata = Readonly<Record<string, unknown>>;

const MAX_RETRIES = 100;
const MAX_LABELS = 20;
const LABEL = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** How the server says which key of the metadata of a flow is invalid. */
const INVALID = /^its metadata 'cloudo\.(\w+)[^']*' is invalid: (.*)$/s;

const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

function readTags(text: string): Reading {
  const tags = lines(text);
  return { value: tags.length > 0 ? tags : undefined };
}

function readLabels(text: string): Reading {
  const labels = lines(text);
  const wrong = labels.find((label) => !LABEL.test(label));
  if (wrong !== undefined) {
    return {
      problem:
        `'${wrong.slice(0, 70)}' is not a label: use up to 63 lower-case letters, digits, '.', '_' and '-', ` +
        "beginning with a letter or a digit",
    };
  }
  if (labels.length > MAX_LABELS)
    return { problem: `Tuple should have at most ${MAX_LABELS} items after validation, not ${labels.length}` };
  return { value: labels.length > 0 ? labels : undefined };
}

function readRetries(text: string): Reading {
  if (text.trim() === "") return { value: undefined };
  const { value, problem } = parseNumber(text, true);
  if (problem) return { problem };
  if ((value as number) > MAX_RETRIES) return { problem: `Input should be less than or equal to ${MAX_RETRIES}` };
  return (value as number) < 0 ? { problem: "Input should be greater than or equal to 0" } : { value };
}

const readTitle = (text: string): Reading => ({ value: text.trim() || undefined });

/** The seconds of a duration are a number, or the text that is no number. */
function readLimit(seconds: string): Reading {
  if (seconds === "") return { value: undefined };
  const { value, problem } = parseNumber(seconds, false);
  if (problem) return { problem };
  return (value as number) > 0 ? { value } : { problem: "Input should be greater than 0" };
}

const READERS = {
  title: readTitle,
  tags: readTags,
  timeout_seconds: readLimit,
  retries: readRetries,
  requires: readLabels,
  on_success: readFollowUps,
  on_error: readFollowUps,
  on_recovery: readFollowUps,
};

export type Key = keyof typeof READERS;
const KEYS = Object.keys(READERS) as Key[];

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** A value of the metadata, also an invalid one, as the text of its control. */
function textOf(key: Key, value: unknown): string {
  if (value === undefined || value === null) return "";
  if (key.startsWith("on_")) {
    const items = (isList(value) ? value : [value]).map((one) => (typeof one === "string" ? { flow: one } : one));
    return items.length > 0 ? writeFollowUps(items as FollowUp[]) : "";
  }
  if (isList(value)) return value.join("\n");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

export class MetadataDraft {
  readonly entries: Record<Key, Entry>;
  /** What the server says about the flow as a whole. */
  readonly problem = signal("");
  private readonly limit = new DurationEntry(null);

  constructor(private metadata: Metadata) {
    const entries = KEYS.map((key) => [key, key === "timeout_seconds" ? this.limit : new Entry("")]);
    this.entries = Object.fromEntries(entries) as Record<Key, Entry>;
    for (const key of KEYS) this.write(key);
  }

  /** Take the metadata of the notebook. Only what was changed elsewhere replaces what is typed. */
  follow(metadata: Metadata): void {
    const changed = KEYS.filter((key) => !isSame(metadata[key], this.metadata[key]));
    this.metadata = metadata;
    for (const key of changed) this.write(key);
  }

  /** Return the metadata with what is typed for a key, or null if that is invalid; an empty key is left out. */
  read(key: Key): Metadata | null {
    const entry = this.entries[key];
    const { value, problem = "" } = READERS[key](this.typed(key));
    entry.problem.value = problem;
    if (problem) return null;
    const others = Object.entries(this.metadata).filter(([name]) => name !== key);
    this.metadata = Object.fromEntries(value === undefined ? others : [...others, [key, value]]);
    return this.metadata;
  }

  /** Show why the server calls the flow broken, beside the key that this is about. */
  judge(broken: string | null): void {
    const [, key = "", words = ""] = INVALID.exec(broken ?? "") ?? [];
    const entry = this.entries[key as Key] as Entry | undefined;
    this.problem.value = entry ? "" : (broken ?? "");
    if (entry && !entry.problem.peek()) entry.problem.value = words;
  }

  private typed(key: Key): string {
    if (key !== "timeout_seconds") return this.entries[key].text.peek();
    if (this.limit.isIncomplete) return "?";
    const text = this.limit.text.peek().trim();
    return parseNumber(text, false).problem ? text : String(this.limit.seconds);
  }

  /** Show the value of the metadata. */
  private write(key: Key): void {
    const entry = this.entries[key];
    const value = this.metadata[key];
    if (entry instanceof DurationEntry && typeof value === "number") entry.set(value);
    else entry.text.value = textOf(key, value);
    entry.problem.value = READERS[key](this.typed(key)).problem ?? "";
  }
}
