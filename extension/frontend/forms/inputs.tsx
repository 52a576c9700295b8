/** The form of a flow's inputs, drawn from its input schema. */

import { signal, type Signal } from "@preact/signals";
import type { Api } from "../api/client";
import type { Flow, Schema } from "../api/types";
import { useId } from "../ui/ids";
import { PairFields } from "./pair-fields";
import { Pairs } from "./pairs";
import { HINTS, INPUT_TYPES, kindOf, parse, textOf, withoutNull, type Kind } from "./schema";
import type { Reading } from "./values";

/** One input: its control's text, and what is wrong with it. */
export class InputField {
  readonly kind: Kind;
  readonly schema: Schema;
  readonly isHidden: boolean;
  readonly isNullable: boolean;
  /** What is typed, where it stands for all inputs. */
  readonly pairs: Pairs | null;
  /** The text of the default. */
  readonly usual: string;
  readonly text: Signal<string>;
  readonly problem = signal("");
  /** Whether the browser says that the text is incomplete, as with half a date. */
  isIncomplete = false;
  /** A value that was there before, and its text. Unchanged, it is sent as it was. */
  private filled: { text: string; value: unknown } | null = null;

  constructor(
    readonly name: string,
    readonly original: Schema,
    readonly isRequired: boolean,
    /** Whether it stands for all inputs. */
    isWhole = false,
  ) {
    const { inner, isNullable } = withoutNull(original);
    this.schema = { ...inner, default: original.default };
    this.kind = kindOf(this.schema);
    this.isHidden = Boolean(original.writeOnly);
    this.isNullable = isNullable && !(inner.enum ?? []).includes(null);
    this.usual = textOf(this.kind, this.schema);
    this.text = signal(this.usual);
    this.pairs = isWhole ? new Pairs(this.text) : null;
  }

  /** The input to send. Without value and problem, the flow's own default applies. */
  read(isShown = true): Reading {
    if (this.pairs) return this.pairs.read(isShown);
    const text = this.text.peek();
    if (this.filled?.text === text) return { value: this.filled.value };
    if (!this.isRequired && text === this.usual) return {};
    if (this.isIncomplete) return { problem: "This is incomplete." };
    return text.trim() === "" ? this.readEmpty() : parse(this.kind, text, this.schema);
  }

  /** Show a value, such as that of an earlier run. */
  fill(value: unknown): void {
    const { kind, schema } = this;
    if (this.pairs) {
      this.pairs.fill(value as Record<string, unknown>);
      return void (this.filled = { text: this.text.peek(), value });
    }
    const text = value === null ? "" : textOf(kind, { ...schema, default: value });
    this.text.value = text;
    this.filled = { text, value };
  }

  /** Show the default. */
  reset(): void {
    if (this.pairs) this.pairs.fill({});
    else this.text.value = this.usual;
  }

  get isTouched(): boolean {
    return this.text.peek() !== (this.filled?.text ?? this.usual);
  }

  private readEmpty(): Reading {
    if (this.isRequired) return this.isNullable ? { value: null } : { problem: "This is required." };
    if (this.isNullable && this.usual !== "") return { value: null };
    return this.kind === "text" && this.usual ? { value: "" } : {};
  }
}

/** The inputs of one flow. */
export class InputForm {
  readonly fields: readonly InputField[];
  readonly problem = signal("");
  readonly isOpen = signal(false);

  /** With `isBrief`, inputs with a default are folded away. */
  constructor(
    readonly flow: Flow,
    readonly isBrief: boolean,
  ) {
    this.fields = fieldsOf(flow.input_schema as Schema);
  }

  /** Have the server read what only it can read, before `read`. */
  async ready(api: Api): Promise<void> {
    for (const { pairs } of this.fields) await pairs?.check(api);
  }

  /** The inputs to send, or null after showing beside each field what is wrong. */
  read(): Record<string, unknown> | null {
    const inputs: Record<string, unknown> = {};
    let isValid = true;
    this.problem.value = "";
    for (const field of this.fields) {
      const { value, problem } = field.read();
      field.problem.value = problem ?? "";
      if (problem) isValid = false;
      else if (value !== undefined && field.pairs) Object.assign(inputs, value);
      else if (value !== undefined) inputs[field.name] = value;
    }
    this.unfold();
    return isValid ? inputs : null;
  }

  /** Show an error of the server beside the field that it is about. */
  complain(message: string, name: string | null): void {
    const field = this.fields.find((candidate) => candidate.name === name);
    if (field) field.problem.value = message;
    else this.problem.value = message;
    this.unfold();
  }

  /** Show earlier inputs. */
  fill(inputs: Record<string, unknown>): void {
    for (const field of this.fields) {
      if (field.pairs) {
        if (Object.keys(inputs).length > 0) field.fill(inputs);
      } else if (field.name in inputs) field.fill(inputs[field.name]);
    }
  }

  get isTouched(): boolean {
    return this.fields.some((field) => field.isTouched);
  }

  private unfold(): void {
    if (this.fields.some((field) => !field.isRequired && field.problem.peek())) this.isOpen.value = true;
  }
}

function fieldsOf({ properties = {}, required = [], additionalProperties }: Schema): InputField[] {
  const order = (name: string) => Number(properties[name]?.["x-order"] ?? Infinity);
  const names = Object.keys(properties).sort((one, other) => order(one) - order(other) || 0);
  if (names.length > 0)
    return names.map((name) => new InputField(name, properties[name] ?? {}, required.includes(name)));
  if (additionalProperties === false) return [];
  return [new InputField("inputs", { type: "object" }, false, true)];
}

interface InputFieldsProps {
  form: InputForm;
  /** Whether the dialog's title names the flow already. */
  isAlone: boolean;
  /** Whether name and description stand elsewhere. */
  isTitled?: boolean;
}

/** The fields of one flow. */
export function InputFields({ form, isAlone, isTitled = false }: InputFieldsProps) {
  const { flow, fields, isBrief } = form;
  const asked = fields.filter((field) => !isBrief || field.isRequired);
  const folded = fields.filter((field) => !asked.includes(field));
  const path = flow.title !== flow.name && <span class="cloudo-path">{flow.name}</span>;
  return (
    <fieldset class="cloudo-form">
      <legend class={isAlone ? "cloudo-unseen" : undefined}>
        {flow.title}
        {!isAlone && path}
      </legend>
      {isAlone && !isTitled && path}
      {!isTitled && flow.description && <p class="cloudo-field-note">{flow.description}</p>}
      <p class="cloudo-field-error" role="alert">
        {form.problem.value}
      </p>
      {asked.map((field) => (
        <FieldBox key={field.name} field={field} />
      ))}
      {fields.length === 0 && <p class="cloudo-field-note">This flow has no inputs.</p>}
      {folded.length > 0 && (
        <details open={form.isOpen.value} onToggle={(event) => (form.isOpen.value = event.currentTarget.open)}>
          <summary>Inputs with defaults ({folded.length})</summary>
          {folded.map((field) => (
            <FieldBox key={field.name} field={field} />
          ))}
        </details>
      )}
    </fieldset>
  );
}

/** One field: label, hint, description, control and error. */
function FieldBox({ field }: { field: InputField }) {
  const id = useId();
  const { kind, isRequired, original, pairs } = field;
  if (pairs) return <PairFields field={field} pairs={pairs} />;
  const ids = { hint: `${id}-hint`, note: `${id}-note`, error: `${id}-error` };
  const described = [ids.hint, original.description && ids.note, ids.error].filter(Boolean).join(" ");
  const isCheckbox = isPlainBoolean(field);
  const control = <Control field={field} id={id} described={described} />;
  const label = (
    <div class="cloudo-field-head">
      <label class="cloudo-field-name" for={id}>
        {field.name}
      </label>
      <span class="cloudo-field-hint" id={ids.hint}>
        {HINTS[kind]}
        {isRequired && " · required"}
      </span>
    </div>
  );
  const note = original.description && (
    <p class="cloudo-field-note" id={ids.note}>
      {original.description}
    </p>
  );
  return (
    <div class={`cloudo-field ${isCheckbox ? "cloudo-field-checkbox" : ""}`.trim()}>
      {isCheckbox ? [control, label, note] : [label, note, control]}
      <p class="cloudo-field-error" id={ids.error} role="alert">
        {field.problem.value}
      </p>
    </div>
  );
}

const isPlainBoolean = ({ kind, isRequired, isNullable, schema }: InputField): boolean =>
  kind === "boolean" && !isRequired && !isNullable && typeof schema.default === "boolean";

function Control({ field, id, described }: { field: InputField; id: string; described: string }) {
  const { kind, schema, isRequired, usual } = field;
  const shared = {
    id,
    "aria-describedby": described,
    "aria-invalid": Boolean(field.problem.value),
    "aria-required": isRequired ? true : undefined,
    placeholder: String(schema["x-default"] ?? ""),
    autocomplete: field.isHidden ? ("new-password" as const) : ("off" as const),
    spellcheck: false,
  };
  const onInput = (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement }) => {
    const control = event.currentTarget;
    field.isIncomplete = control.validity.badInput;
    field.text.value = control.value;
  };
  if (isPlainBoolean(field)) {
    return (
      <input
        {...shared}
        type="checkbox"
        checked={field.text.value === "true"}
        onInput={(event) => (field.text.value = String(event.currentTarget.checked))}
      />
    );
  }
  if (kind === "choice" || kind === "boolean") {
    return (
      <select {...shared} class="cloudo-control" value={field.text.value} onInput={onInput}>
        {optionsOf(field).map(([value, word]) => (
          <option key={value} value={value} selected={value === field.text.value}>
            {word}
          </option>
        ))}
      </select>
    );
  }
  const isLong = kind === "lines" || kind === "json" || usual.length > 90 || usual.includes("\n");
  if (isLong) {
    const rows = Math.min(8, Math.max(2, field.text.value.split("\n").length));
    return <textarea {...shared} class="cloudo-control" rows={rows} value={field.text.value} onInput={onInput} />;
  }
  const inputMode = kind === "integer" ? "numeric" : kind === "number" ? "decimal" : undefined;
  const type = INPUT_TYPES[kind] ?? (field.isHidden ? "password" : "text");
  return (
    <input
      {...shared}
      class="cloudo-control"
      type={type as "text"}
      step={INPUT_TYPES[kind] && kind !== "date" ? 1 : undefined}
      inputMode={inputMode}
      value={field.text.value}
      onInput={onInput}
    />
  );
}

function optionsOf({ kind, schema, isRequired, isNullable, usual }: InputField): [string, string][] {
  const options: [string, string][] =
    kind === "boolean"
      ? [
          ["true", "yes"],
          ["false", "no"],
        ]
      : (schema.enum ?? []).map((option, at) => [String(at), option === null ? "none" : String(option)]);
  const none = isRequired ? "Choose…" : String(schema["x-default"] || "none");
  return usual === "" || isNullable ? [["", none], ...options] : options;
}

/** Move the focus to the first invalid control inside `element`, else to the first control. */
export function focusFirst(element: HTMLElement | null): void {
  const wrong = element?.querySelector<HTMLElement>("[aria-invalid=true]");
  (wrong ?? element?.querySelector<HTMLElement>(".cloudo-control, input, .cloudo-field button"))?.focus();
}
