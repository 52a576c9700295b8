/** What the form of a webhook holds, and the request that it makes of it. */

import { signal, type Signal } from "@preact/signals";
import type { Api } from "../../api/client";
import type { Flow, Schema, Webhook, WebhookPreset } from "../../api/types";
import { Entry, Invalid } from "../../forms/entry";
import { FlowForms } from "../../forms/flows";

export const USUAL = {
  flow_name: "",
  signature: null,
  has_key: true,
  key_header: "X-Cloudo-Key",
  allowed_methods: ["GET", "POST"],
  signature_header: null,
  signed_content: "{body}",
  timestamp_header: null,
  allowed_networks: [],
  max_body_bytes: 1_048_576,
  rate_limit: 600,
  sync_timeout_seconds: 8,
  inputs: {},
  reply: "brief",
};

const authenticationOf = ({ signature, has_key }: Pick<Webhook, "signature" | "has_key">): string =>
  signature ?? (has_key ? "key" : "none");

type Fields = Record<string, unknown>;

/** The flow without defaults and required inputs: only what is filled in is fixed. */
export function withoutDefaults(flow: Flow): Flow {
  const schema = flow.input_schema as Schema;
  const free = (property: Schema): Schema => ({ ...property, default: undefined, "x-default": "not fixed" });
  const properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, property]) => [name, free(property)]),
  );
  return { ...flow, input_schema: { ...schema, required: [], properties } as Flow["input_schema"] };
}

/** The fields of a form. `webhook` is null for a new one. */
export class WebhookDraft {
  readonly hadKey: boolean;
  readonly entries: Record<string, Entry>;
  /** The inputs that each call brings, besides its own. */
  readonly inputs: FlowForms;
  /** The name of the flow as it was when its control was left. */
  readonly flow: Signal<string>;

  constructor(
    api: Api,
    readonly webhook: Webhook | null,
    readonly presets: readonly WebhookPreset[],
  ) {
    const from = webhook ?? USUAL;
    this.flow = signal(from.flow_name);
    this.inputs = new FlowForms(api, () => from.inputs, withoutDefaults);
    this.hadKey = Boolean(webhook?.has_key);
    const text = (value: unknown) => new Entry(value === null ? "" : String(value));
    this.entries = {
      name: text(""),
      flow_name: text(from.flow_name),
      authentication: text(authenticationOf(from as Webhook)),
      key_source: text(this.hadKey ? "keep" : "generate"),
      key: text(""),
      signature_header: text(from.signature_header),
      signed_content: text(from.signed_content),
      timestamp_header: text(from.timestamp_header),
      rate_limit: text(from.rate_limit),
      allowed_networks: text(from.allowed_networks.join("\n")),
      reply: text(from.reply),
      allowed_methods: text(from.allowed_methods.join()),
      key_header: text(from.key_header),
      sync_timeout_seconds: text(from.sync_timeout_seconds),
      max_body_bytes: text(from.max_body_bytes),
    };
  }

  entry(name: string): Entry {
    const found = this.entries[name];
    if (!found) throw new Error(`The form has no field ${name}.`);
    return found;
  }

  /** Take the typed name of a flow as chosen. */
  pick(): void {
    this.flow.value = this.entry("flow_name").text.peek().trim();
  }

  /** The chosen flow, if there is one. */
  get flowNames(): readonly string[] {
    return this.flow.value ? [this.flow.value] : [];
  }

  /** How callers authenticate: `key`, `none`, or the name of a signature. */
  get authentication(): string {
    return this.entry("authentication").text.value;
  }

  get isSigned(): boolean {
    return this.authentication === "hmac-sha256";
  }

  /** Whether only the sender can issue the key. */
  get issuesKey(): boolean {
    return this.presets.find(({ name }) => name === this.authentication)?.issues_key ?? false;
  }

  /** Where the key comes from: `keep`, `generate` or `own`. */
  get keySource(): string {
    const chosen = this.entry("key_source").text.value;
    return chosen === "generate" && this.issuesKey ? "own" : chosen;
  }

  /** Whether the form shows a field. */
  isShown(name: string): boolean {
    if (name === "name") return this.webhook === null;
    if (name === "key_source") return this.authentication !== "none";
    if (name === "key") return this.authentication !== "none" && this.keySource === "own";
    if (name === "key_header") return this.authentication === "key";
    if (["signature_header", "signed_content", "timestamp_header"].includes(name)) return this.isSigned;
    return true;
  }

  /** The request. Throws `Invalid`. */
  request(): Fields {
    const fields: Fields = {};
    const isNew = this.webhook === null;
    if (isNew) fields.name = this.entry("name").required("Enter a name.");
    if (isNew || this.entry("flow_name").isTouched)
      fields.flow_name = this.entry("flow_name").required("Enter the flow that a call starts.");
    this.addSignature(fields);
    this.addKey(fields);
    const touched = (name: string, read: (entry: Entry) => unknown) => {
      const entry = this.entry(name);
      if (entry.isTouched && this.isShown(name)) fields[name] = read(entry);
    };
    touched("rate_limit", (entry) => entry.number(true));
    touched("allowed_networks", (entry) => entry.text.peek().split(/\s+/).filter(Boolean));
    const isOther = !isNew && this.flow.peek() !== this.webhook?.flow_name;
    const problem = this.inputs.problem.peek();
    if (problem && (isNew || isOther)) throw new Invalid(this.entry("flow_name"), problem);
    if (isOther || this.inputs.isTouched) fields.inputs = this.readInputs();
    touched("reply", (entry) => entry.text.peek());
    touched("allowed_methods", (entry) => entry.text.peek().split(","));
    touched("key_header", (entry) => entry.required("Enter the name of a header."));
    touched("sync_timeout_seconds", (entry) => entry.requiredNumber());
    touched("max_body_bytes", (entry) => entry.requiredNumber(true));
    return fields;
  }

  private readInputs(): Fields {
    const read = this.inputs.read();
    if (!read) throw new Error(this.inputs.problem.peek() || "Some fixed inputs are missing or invalid.");
    return [...read.values()][0] ?? {};
  }

  private addSignature(fields: Fields): void {
    const { authentication, isSigned } = this;
    const isNew = this.webhook === null;
    const isChanged = isNew || this.entry("authentication").isTouched;
    const isSignature = authentication !== "key" && authentication !== "none";
    if (isChanged && isSignature) fields.signature = authentication;
    else if (isChanged && !isNew) fields.signature = null;
    const wasSigned = this.webhook?.signature === "hmac-sha256";
    if (isChanged && wasSigned && !isSigned)
      Object.assign(fields, { signature_header: null, timestamp_header: null, signed_content: "{body}" });
    if (!isSigned) return;
    const [header, content, time] = ["signature_header", "signed_content", "timestamp_header"].map((name) =>
      this.entry(name),
    ) as [Entry, Entry, Entry];
    if (isChanged || header.isTouched)
      fields.signature_header = header.required("Enter the header with the signature.");
    if (content.isTouched) fields.signed_content = content.required("Enter the signed text, such as {body}.");
    if (time.isTouched) fields.timestamp_header = time.optional;
  }

  private addKey(fields: Fields): void {
    if (this.authentication === "none") {
      if (this.hadKey) fields.key = null;
    } else if (this.keySource === "generate") {
      fields.generate_key = true;
    } else if (this.keySource === "own") {
      const key = this.entry("key");
      if (key.text.peek() === "") throw new Invalid(key, "Enter the key.");
      fields.key = key.text.peek();
    }
  }

  /** Show an error of REST beside its field. Returns whether there is a field for it. */
  complain(message: string, field: string | null): boolean {
    const [name = ""] = (field ?? "").split(".");
    const meant =
      name === "signature" || name === "generate_key"
        ? "authentication"
        : name === "key" && !this.isShown("key")
          ? "key_source"
          : name;
    if (this.entries[meant]) {
      if (this.isShown(meant)) this.entry(meant).problem.value = message;
      return this.isShown(meant);
    }
    // Any other field of the request is one of the flow's inputs.
    const [form] = this.inputs.forms.peek();
    if (name) form?.complain(message, name === "inputs" ? null : name);
    return Boolean(name && form);
  }

  /** Whether a fixed input has a problem. */
  get hasInputProblem(): boolean {
    return this.inputs.forms
      .peek()
      .some(({ problem, fields }) => problem.peek() || fields.some((field) => field.problem.peek()));
  }

  clear(): void {
    for (const entry of Object.values(this.entries)) entry.problem.value = "";
  }
}
