/** Fields of the dashboard's own forms: a labelled control, its text, and what is wrong with it. */

import { signal, type Signal } from "@preact/signals";
import { useId } from "../ui/ids";
import { parseNumber } from "./values";

/** The text cannot be sent. */
export class Invalid extends Error {
  constructor(
    readonly entry: Entry,
    message: string,
  ) {
    super(message);
  }
}

/** One field. A checkbox has the text `true` or `false`. */
export class Entry {
  readonly text: Signal<string>;
  readonly problem = signal("");
  isIncomplete = false;

  constructor(readonly first: string) {
    this.text = signal(first);
  }

  get isTouched(): boolean {
    return this.text.peek() !== this.first;
  }

  get isOn(): boolean {
    return this.text.peek() === "true";
  }

  /** The text, or null if it is empty. */
  get optional(): string | null {
    if (this.isIncomplete) throw new Invalid(this, "This is incomplete.");
    return this.text.peek().trim() || null;
  }

  /** The text. Throws `Invalid` with `problem` if it is empty. */
  required(problem: string): string {
    if (this.isIncomplete || !this.text.peek().trim()) throw new Invalid(this, problem);
    return this.text.peek().trim();
  }

  /** The number, or null if the text is empty. Throws `Invalid`. */
  number(isWhole = false): number | null {
    const text = this.text.peek().trim();
    return text === "" ? null : this.requiredNumber(isWhole);
  }

  requiredNumber(isWhole = false): number {
    const { value, problem } = parseNumber(this.text.peek(), isWhole);
    if (problem) throw new Invalid(this, problem);
    return value as number;
  }

  /** The JSON object. Throws `Invalid`. */
  object(): Record<string, unknown> {
    let value: unknown;
    try {
      value = JSON.parse(this.text.peek().trim() || "{}");
    } catch (error) {
      throw new Invalid(this, `This is not valid JSON: ${(error as Error).message}`);
    }
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new Invalid(this, 'Enter a JSON object, such as {"key": 1}.');
    return value as Record<string, unknown>;
  }
}

/** Seconds of a unit, and its word. The largest comes first. */
export const UNITS = [
  ["86400", "days"],
  ["3600", "hours"],
  ["60", "minutes"],
  ["1", "seconds"],
] as const;

/** The largest unit in which seconds are a whole number. */
export const unitOf = (seconds: number): string =>
  UNITS.find(([size]) => seconds > 0 && seconds % Number(size) === 0)?.[0] ?? (seconds === 0 ? "60" : "1");

/** A number with a unit, which stands for seconds. */
export class DurationEntry extends Entry {
  readonly unit: Signal<string>;
  private readonly firstUnit: string;

  constructor(seconds: number | null) {
    const unit = unitOf(seconds ?? 60);
    super(seconds === null ? "" : String(seconds / Number(unit)));
    this.firstUnit = unit;
    this.unit = signal(unit);
  }

  override get isTouched(): boolean {
    return super.isTouched || (this.unit.peek() !== this.firstUnit && this.text.peek() !== "");
  }

  /** Show other seconds, in the unit that fits them. */
  set(seconds: number): void {
    this.unit.value = unitOf(seconds);
    this.text.value = String(seconds / Number(this.unit.peek()));
  }

  /** The seconds, or null if the text is empty. Throws `Invalid`. */
  get seconds(): number | null {
    const number = this.number();
    // 0.1 minutes are 6 seconds, and not 6.000000000000001.
    return number === null ? null : Number((number * Number(this.unit.peek())).toPrecision(15));
  }

  get requiredSeconds(): number {
    const { seconds } = this;
    if (seconds === null) throw new Invalid(this, "This is required.");
    return seconds;
  }
}

/** The choice of a unit beside a number. */
export function UnitSelect({ unit, label }: { unit: Signal<string>; label: string }) {
  return (
    <select
      class="cloudo-control"
      aria-label={`Unit of ${label}`}
      value={unit.value}
      onInput={(event) => (unit.value = event.currentTarget.value)}
    >
      {UNITS.map(([seconds, word]) => (
        <option key={seconds} value={seconds} selected={seconds === unit.value}>
          {word}
        </option>
      ))}
    </select>
  );
}

interface EntryFieldProps {
  entry: Entry;
  label: string;
  note?: string;
  /** The type of the input; `area` and `select` are other controls. */
  type?: "text" | "password" | "time" | "datetime-local" | "area" | "select" | "checkbox";
  /** Values and words of a select. */
  options?: readonly (readonly [string, string])[];
  placeholder?: string;
  inputMode?: "numeric" | "decimal";
  rows?: number;
  /** Values to choose from. */
  suggestions?: readonly string[];
}

/** A field with its label, note, control and error. */
export function EntryField(props: EntryFieldProps) {
  const { entry, label, note } = props;
  const id = useId();
  const isCheckbox = props.type === "checkbox";
  const described = [note && `${id}-note`, `${id}-error`].filter(Boolean).join(" ");
  const control = <EntryControl {...props} id={id} described={described} />;
  const head = (
    <div class="cloudo-field-head">
      <label class="cloudo-field-name" for={id}>
        {label}
      </label>
    </div>
  );
  const hint = note && (
    <p class="cloudo-field-note" id={`${id}-note`}>
      {note}
    </p>
  );
  const body =
    entry instanceof DurationEntry ? (
      <div class="cloudo-field-pair">
        {control}
        <UnitSelect unit={entry.unit} label={label} />
      </div>
    ) : (
      control
    );
  return (
    <div class={`cloudo-field ${isCheckbox ? "cloudo-field-checkbox" : ""}`.trim()}>
      {isCheckbox ? [control, head, hint] : [head, hint, body]}
      <p class="cloudo-field-error" id={`${id}-error`} role="alert">
        {entry.problem.value}
      </p>
    </div>
  );
}

type ControlProps = EntryFieldProps & { id: string; described: string };

function EntryControl(props: ControlProps) {
  const { entry, id, described, type = "text", options = [], placeholder, inputMode, rows = 4, suggestions } = props;
  const text = entry.text.value;
  const shared = {
    id,
    "aria-describedby": described,
    "aria-invalid": entry.problem.value !== "",
    autocomplete: "off" as const,
    spellcheck: false,
    placeholder,
  };
  const onInput = (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement }) => {
    entry.isIncomplete = event.currentTarget.validity.badInput;
    entry.text.value = event.currentTarget.value;
  };
  if (type === "checkbox") {
    const set = (isOn: boolean) => (entry.text.value = String(isOn));
    return (
      <input
        {...shared}
        type="checkbox"
        checked={text === "true"}
        onInput={(event) => set(event.currentTarget.checked)}
      />
    );
  }
  if (type === "area")
    return <textarea {...shared} class="cloudo-control" rows={rows} value={text} onInput={onInput} />;
  if (type === "select") {
    return (
      <select {...shared} class="cloudo-control" value={text} onInput={onInput}>
        {options.map(([value, word]) => (
          <option key={value} value={value} selected={value === text}>
            {word}
          </option>
        ))}
      </select>
    );
  }
  return (
    <>
      <input
        {...shared}
        class="cloudo-control"
        type={type as "text"}
        step={type === "text" ? undefined : 1}
        inputMode={entry instanceof DurationEntry ? "decimal" : inputMode}
        list={suggestions && `${id}-list`}
        value={text}
        onInput={onInput}
      />
      {suggestions && (
        <datalist id={`${id}-list`}>
          {suggestions.map((value) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      )}
    </>
  );
}
