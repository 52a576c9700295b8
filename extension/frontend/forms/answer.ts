/** The answer to an input request: what is typed into its form, and the values that are sent. */

import { signal, type Signal } from "@preact/signals";
import { faultsOf, type Api } from "../api/client";
import type { Message } from "../api/types";
import { ownZone } from "../ui/zones";
import { size } from "../ui/words";
import { unitOf } from "./entry";
import { FlowAnswers } from "./flows";
import { KINDS, TriggerDraft, type Trigger, type TriggerKind } from "./trigger";
import { fromLocal, parseNumber, toLocal, type Reading } from "./values";

/** One element of a form, as REST describes it. */
export interface FormElement {
  element: string;
  label: string;
  description: string;
  /** Present in a single message, not in lists. */
  description_html?: string;
  order: number;
  enum?: unknown[];
  default?: unknown;
  example?: unknown;
  /** Of a button: the keys that it requires, in place of those of the form. */
  required?: string[];
  preview?: Record<string, string>;
  type?: string | null;
  /** Of inputs: the key of the element that chooses the flow, or the name of the flow. */
  flow?: string;
  flow_name?: string;
}

export interface FormBody {
  properties: Record<string, FormElement>;
  required: string[];
}

const MAX_FILE_BYTES = 5 * 1024 * 1024;
const REQUIRED = "This is required.";

/** A file as the answer has it: its bytes as Base64. */
function packed(file: File): Promise<{ name: string; content: string; type: string }> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => {
      const url = String(reader.result);
      resolve({ name: file.name, content: url.slice(url.indexOf(",") + 1), type: file.type });
    };
    reader.onerror = () => reject(reader.error ?? new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
}

/** One element that asks for a value. */
export class AnswerField {
  readonly kind: string;
  /** The text of the control; of a select, the index of the choice; of a toggle, true or false. */
  readonly text: Signal<string>;
  /** The indexes of the chosen values, of an element that takes several. */
  readonly chosen: Signal<ReadonlySet<number>>;
  readonly problem = signal("");
  /** Of a duration: the seconds of its unit. */
  readonly unit: Signal<string>;
  /** Of a flow: the name as it was when the control was left. */
  readonly picked: Signal<string>;
  readonly trigger: TriggerDraft | null;
  inputs: FlowAnswers | null = null;
  /** Of inputs: the field that chooses their flow. */
  chooser: AnswerField | null = null;
  file: File | null = null;
  /** Whether the browser says that the text is incomplete, as with half a date. */
  isIncomplete = false;

  constructor(
    readonly key: string,
    readonly about: FormElement,
    readonly isRequired: boolean,
  ) {
    this.kind = kindOf(about);
    this.unit = signal(unitOf(Number(about.default ?? 60)));
    this.text = signal(this.usual());
    this.picked = signal(this.text.peek());
    const trigger = (about.default ?? {}) as Trigger;
    const kinds: TriggerKind[] = [
      ...(isRequired || about.default ? [] : ["never" as const]),
      ...((about.enum as TriggerKind[] | undefined) ?? KINDS),
    ];
    this.trigger =
      this.kind === "trigger" ? new TriggerDraft(trigger, String(trigger.timezone ?? ownZone()), kinds) : null;
    const chosen = Array.isArray(about.default) ? (about.default as unknown[]) : [];
    this.chosen = signal(new Set(chosen.map((value) => this.choices.indexOf(value)).filter((at) => at >= 0)));
  }

  get choices(): unknown[] {
    return this.about.enum ?? [];
  }

  /** The names of the flows that it has chosen, or whose inputs it asks for. */
  get flowNames(): readonly string[] {
    if (this.kind === "inputs") return this.about.flow_name ? [this.about.flow_name] : (this.chooser?.flowNames ?? []);
    if (this.kind === "multiselect") return this.choices.filter((_, at) => this.chosen.value.has(at)).map(String);
    const name = this.kind === "select" ? this.choices[Number(this.text.value || -1)] : this.picked.value;
    return typeof name === "string" && name ? [name] : [];
  }

  async read(): Promise<Reading> {
    const { kind, choices } = this;
    const text = this.text.peek();
    if (this.inputs) {
      this.chooser?.pick();
      return this.inputs.answer(this.flowNames);
    }
    if (this.trigger) return readTrigger(this.trigger);
    if (kind === "toggle") return { value: text === "true" };
    if (kind === "multiselect") return { value: choices.filter((_, at) => this.chosen.peek().has(at)) };
    if (kind === "file") return this.readFile();
    if (this.isIncomplete) return { problem: "This is incomplete." };
    if (text === "") return this.isRequired ? { problem: REQUIRED } : { value: null };
    if (kind === "select") return { value: choices[Number(text)] };
    if (kind === "number" || kind === "integer") return parseNumber(text, kind === "integer");
    if (kind === "duration") {
      const { value, problem } = parseNumber(text, false);
      // 0.1 minutes are 6 seconds, and not 6.000000000000001.
      return problem ? { problem } : { value: Number((Number(value) * Number(this.unit.peek())).toPrecision(15)) };
    }
    return { value: kind === "datetime" ? fromLocal(text) : text };
  }

  /** Take the typed name of a flow as chosen. */
  pick(): void {
    this.picked.value = this.text.peek();
  }

  /** Show an error of the server: beside the part of the answer that `place` names, if there is one. */
  tell(place: string, message: string): void {
    const isShown = this.trigger?.tell(place, message) ?? this.inputs?.tell(place, message) ?? false;
    this.problem.value = isShown ? "" : message;
  }

  private async readFile(): Promise<Reading> {
    const { file } = this;
    if (!file) return this.isRequired ? { problem: REQUIRED } : {};
    if (file.size > MAX_FILE_BYTES)
      return { problem: `This file is too large. The maximum is ${size(MAX_FILE_BYTES)}.` };
    return { value: await packed(file) };
  }

  private usual(): string {
    const { default: value } = this.about;
    const element = this.kind;
    if (element === "timezone") return String(value ?? ownZone());
    if (element === "trigger" || element === "inputs") return "";
    if (element === "duration" && value !== undefined) return String(Number(value) / Number(this.unit.peek()));
    if (element === "select") {
      const at = this.choices.indexOf(value);
      return at < 0 ? "" : String(at);
    }
    if (element === "toggle") return String(value === true);
    if (value === undefined || value === null || element === "file") return "";
    return element === "datetime" ? toLocal(String(value)) : String(value);
  }
}

/** The kind of control: a choice of given flows is like any other choice. */
function kindOf({ element, type, enum: choices }: FormElement): string {
  if (element !== "flow") return element;
  return type === "array" ? "multiselect" : choices ? "select" : "flow";
}

function readTrigger(draft: TriggerDraft): Reading {
  draft.clear();
  if (draft.kind === "never") return { value: null };
  try {
    return { value: { ...draft.read(), timezone: draft.zone() } };
  } catch (error) {
    const [problem = "Some of these are missing or invalid."] = draft.complain(error);
    return { problem };
  }
}

/** A button of the form. Without any, the form has one that sends it. */
export interface AnswerButton {
  key: string | null;
  about: Pick<FormElement, "label" | "description" | "required">;
}

type Shown = { key: string; about: FormElement; field: AnswerField | null };

/** The form of one input request. Redrawing it keeps what is typed. */
export class AnswerForm {
  readonly id: string;
  /** The elements in order: fields, texts and previews. */
  readonly shown: readonly Shown[];
  readonly fields: readonly AnswerField[];
  readonly buttons: readonly AnswerButton[];
  readonly problem = signal("");
  readonly isBusy = signal(false);
  /** Why nothing can be sent any more. */
  readonly closed = signal("");
  /** Counts changes. A preview follows them. */
  readonly turn = signal(0);

  constructor(message: Pick<Message, "id" | "body">, api: Api) {
    this.id = message.id;
    const { properties, required } = message.body as unknown as FormBody;
    const elements = Object.entries(properties).sort(([, one], [, other]) => one.order - other.order);
    this.shown = elements
      .filter(([, about]) => about.element !== "submit")
      .map(([key, about]) => {
        const isText = about.element === "markdown" || about.preview !== undefined;
        return { key, about, field: isText ? null : new AnswerField(key, about, required.includes(key)) };
      });
    this.fields = this.shown.flatMap(({ field }) => field ?? []);
    for (const field of this.fields) this.link(field, api);
    const submits = elements.filter(([, about]) => about.element === "submit").map(([key, about]) => ({ key, about }));
    this.buttons = submits.length > 0 ? submits : [{ key: null, about: { label: "Send", description: "" } }];
  }

  /** Connect inputs with the field that chooses their flow. */
  private link(field: AnswerField, api: Api): void {
    if (field.kind !== "inputs") return;
    field.chooser = this.fields.find(({ key }) => key === field.about.flow) ?? null;
    field.inputs = new FlowAnswers(api, field.chooser?.about.type === "array", field.about.default);
  }

  /** The field that an error is about, and the place inside of its answer. */
  private named(name: string | null): { field: AnswerField; place: string } | null {
    const field = this.fields.find(({ key }) => key === name || name?.startsWith(`${key}.`));
    return field ? { field, place: (name ?? "").slice(field.key.length + 1) } : null;
  }

  changed(): void {
    this.turn.value += 1;
  }

  /** The values of some fields; null for those without a valid one. */
  async values(keys: readonly string[]): Promise<Record<string, unknown>> {
    const wanted = this.fields.filter(({ key }) => keys.includes(key));
    const read = wanted.map(async (field) => [field.key, (await field.read()).value ?? null] as const);
    return Object.fromEntries(await Promise.all(read));
  }

  /** Send the answer with the button `key`. Returns whether it was accepted; otherwise the form says why not. */
  async submit(key: string | null, send: (response: Record<string, unknown>) => Promise<void>): Promise<boolean> {
    if (this.isBusy.peek() || this.closed.peek()) return false;
    const button = this.buttons.find((one) => one.key === key) ?? this.buttons[0];
    const response = await this.read(button);
    if (!response) return false;
    this.isBusy.value = true;
    try {
      await this.sendAll(response, isWaived(button), send);
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    } finally {
      this.isBusy.value = false;
    }
  }

  /** The answer, or null after showing beside each field what is wrong. */
  private async read(button: AnswerButton | undefined): Promise<Record<string, unknown> | null> {
    const response: Record<string, unknown> = button?.key ? { [button.key]: true } : {};
    let isValid = true;
    this.problem.value = "";
    for (const field of this.fields) {
      const { value, problem } = await field.read();
      const needed = button?.about.required;
      const isExcused = isWaived(button) || (problem === REQUIRED && needed && !needed.includes(field.key));
      field.problem.value = problem && !isExcused ? problem : "";
      if (problem && !isExcused) isValid = false;
      else if (!problem && value !== undefined) response[field.key] = value;
    }
    return isValid ? response : null;
  }

  /** Send it. A button that requires nothing leaves out invalid values: people need not correct a form to cancel it. */
  private async sendAll(
    response: Record<string, unknown>,
    mayDrop: boolean,
    send: (response: Record<string, unknown>) => Promise<void>,
  ): Promise<void> {
    try {
      await send(response);
    } catch (error) {
      const wrong = faultsOf(error).flatMap(({ field }) => this.named(field)?.field.key ?? []);
      const asked = wrong.filter((key) => key in response);
      if (!mayDrop || asked.length === 0) throw error;
      const rest = Object.entries(response).filter(([name]) => !asked.includes(name));
      await this.sendAll(Object.fromEntries(rest), mayDrop, send);
    }
  }

  private complain(error: unknown): void {
    const rest: string[] = [];
    for (const { field: name, message } of faultsOf(error)) {
      const found = this.named(name);
      if (found) found.field.tell(found.place, message);
      else rest.push(message);
    }
    this.problem.value = rest.join("\n");
  }
}

const isWaived = (button: AnswerButton | undefined): boolean => button?.about.required?.length === 0;
