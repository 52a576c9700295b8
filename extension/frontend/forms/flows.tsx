/** The inputs of the flows that a form has chosen, each in the flow's own form. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, pathOf, type Api } from "../api/client";
import type { Flow, Page } from "../api/types";
import { useApp } from "../app/context";
import { useResource } from "../app/resource";
import { useSettled } from "../app/settled";
import { InputFields, InputForm } from "./inputs";
import type { Reading } from "./values";

const MAX_SUGGESTIONS = 20;

/** The names of flows that a typed text may mean. */
export function useFlowNames(text: string): readonly string[] {
  const { api } = useApp();
  const q = useSettled(text);
  const query = { q, brief: true, limit: MAX_SUGGESTIONS };
  const page = useResource<Page<Flow>>(`flows like ${q}`, (signal) => api.get("flow", query, signal));
  return (page.value?.items ?? []).map(({ name }) => name);
}

/** The forms of the chosen flows. A flow that stays chosen keeps what is typed. */
export class FlowForms {
  readonly forms = signal<readonly InputForm[]>([]);
  /** Why a flow has no form. */
  readonly problem = signal("");
  readonly isLoading = signal(false);
  private wanted = "";
  private loading: Promise<void> | null = null;

  /** `first` has the inputs of a flow to begin with. `shape` may change what the form asks for. */
  constructor(
    private readonly api: Api,
    private readonly first: (name: string) => Record<string, unknown> = () => ({}),
    private readonly shape: (flow: Flow) => Flow = (flow) => flow,
  ) {}

  /** Show the forms of these flows, and of no others. */
  choose(names: readonly string[]): Promise<void> {
    if (this.loading && this.wanted === names.join("\n")) return this.loading;
    const loading = this.load(names).finally(() => {
      if (this.loading === loading) this.loading = null;
    });
    return (this.loading = loading);
  }

  /** The inputs by the name of the flow, or null after showing what is wrong. */
  read(): Map<string, Record<string, unknown>> | null {
    const read = this.forms.peek().map((form) => [form.flow.name, form.read()] as const);
    if (this.problem.peek() || read.some(([, inputs]) => inputs === null)) return null;
    return new Map(read.map(([name, inputs]) => [name, inputs ?? {}]));
  }

  get isTouched(): boolean {
    return this.forms.peek().some((form) => form.isTouched);
  }

  private async load(names: readonly string[]): Promise<void> {
    this.wanted = names.join("\n");
    this.problem.value = "";
    this.isLoading.value = true;
    const forms = await Promise.all(names.map((name) => this.formOf(name)));
    await Promise.all(forms.map((form) => form?.ready(this.api)));
    if (this.wanted !== names.join("\n")) return;
    this.isLoading.value = false;
    this.forms.value = forms.filter((form) => form !== null);
  }

  private async formOf(name: string): Promise<InputForm | null> {
    const present = this.forms.peek().find(({ flow }) => flow.name === name);
    if (present) return present;
    try {
      const form = new InputForm(this.shape(await this.api.get<Flow>(`flow/${pathOf(name)}`)), false);
      form.fill(this.first(name));
      return form;
    } catch (error) {
      this.problem.value = error instanceof ApiError ? error.message : String(error);
      return null;
    }
  }
}

/** Follow the choice of flows, and draw their forms side by side. A single one is named by the field that chooses it. */
export function FlowInputs({ forms, names }: { forms: FlowForms; names: readonly string[] }) {
  useEffect(() => void forms.choose(names), [names.join("\n")]);
  const shown = forms.forms.value;
  if (names.length === 0) return <p class="cloudo-field-note">Choose a flow first.</p>;
  return (
    <div class="cloudo-beside" aria-busy={forms.isLoading.value}>
      {shown.map((form) => (
        <InputFields key={form.flow.name} form={form} isAlone={names.length === 1} isTitled={names.length === 1} />
      ))}
    </div>
  );
}

/** The inputs in an answer: those of one flow, or by name those of several. */
export class FlowAnswers extends FlowForms {
  constructor(
    api: Api,
    readonly isSeveral: boolean,
    usual: unknown,
  ) {
    super(api, (name) => {
      const all = (usual ?? {}) as Record<string, unknown>;
      return (isSeveral ? (all[name] ?? {}) : all) as Record<string, unknown>;
    });
  }

  async answer(names: readonly string[]): Promise<Reading> {
    await this.choose(names);
    if (this.problem.peek()) return { problem: this.problem.peek() };
    const inputs = this.read();
    if (!inputs) return { problem: "Some inputs are missing or invalid." };
    if (this.isSeveral) return { value: Object.fromEntries(inputs) };
    const [name] = names;
    return name === undefined ? {} : { value: inputs.get(name) ?? {} };
  }

  /** Show an error of the server beside the input that `place` names. Returns whether there is one. */
  tell(place: string, message: string): boolean {
    const forms = this.forms.peek();
    const form = this.isSeveral ? forms.find(({ flow: { name } }) => `${place}.`.startsWith(`${name}.`)) : forms[0];
    if (!form) return false;
    const input = this.isSeveral ? place.slice(form.flow.name.length + 1) : place;
    form.complain(message, input || null);
    return true;
  }
}
