/**
 * The form of a webhook, and its key, which is shown once.
 */

import { copyable, copyableLines } from "./copy.js";
import { openDialog } from "./dialogs.js";
import { button, h, newId, put, say } from "./dom.js";
import { Entry, Wrong, area, chosen, readObject, typed } from "./entry.js";
import { webhookUrl } from "./place.js";

const NUMERIC = { inputmode: "numeric" };
const PROVES = [["key", "Shows a key"], ["github", "Signs as GitHub does"], ["standard-webhooks", "Signs as Standard Webhooks say"], ...["GitLab", "Stripe", "Slack", "Shopify", "Paddle", "HubSpot", "Square", "Meta", "Dropbox"].map((name) => [name.toLowerCase(), `Signs as ${name} does`]), ["hmac-sha256", "Signs with HMAC-SHA256, in a header"], ["none", "Not at all: anybody may call"]];
const REPLIES = [["brief", "Status, message and outputs"], ["record", "The whole record"]];
const METHODS = [["GET,POST", "GET and POST"], ["POST", "POST only"], ["GET", "GET only"]];
const USUAL = {
  row: { name: "", flow_name: "", signature: null, has_key: true, key_header: "X-Cloudo-Key", allowed_methods: ["GET", "POST"] },
  options: { signature_header: null, signed_content: "{body}", timestamp_header: null, allowed_networks: [], max_body_bytes: 1048576, rate_limit: 600, sync_timeout_seconds: 8, inputs: {}, reply: "brief" },
};

const provesBy = ({ signature, has_key }) => signature ?? (has_key ? "key" : "none");
const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** How one calls a webhook from a shell, or null where that takes more than a line or two. */
export function callLine({ name, signature, has_key, key_header, allowed_methods }, { signature_header, signed_content }, key = null) {
  const url = webhookUrl(name);
  const shown = key === null ? '"$KEY"' : inShell(key);
  if (![null, "github", "hmac-sha256"].includes(signature) || /{(timestamp|method|url)}/.test(signed_content)) return null;
  const proof = has_key && !signature ? ` \\\n  -H ${key === null ? `"${key_header}: $KEY"` : inShell(`${key_header}: ${key}`)}` : "";
  if (signature) {
    const header = signature === "github" ? "X-Hub-Signature-256: sha256=" : `${signature_header}: `;
    return `body='{"ref": "main"}'\nmac=$(printf %s "$body" | openssl dgst -sha256 -hmac ${shown} | sed 's/.* //')\ncurl ${url} -H ${inShell(header)}"$mac" \\\n  -H "Content-Type: application/json" -d "$body"`;
  }
  if (!allowed_methods.includes("POST")) return `curl "${url}?ref=main"${proof}`;
  return `curl ${url}${proof} \\\n  -H "Content-Type: application/json" -d '{"ref": "main"}'`;
}

/** The fields, and the request that they make; `whole` is null for a new webhook. */
class WebhookForm {
  constructor(whole, flowNames) {
    const { row, options } = whole ?? USUAL;
    Object.assign(this, { isNew: whole === null, hadKey: whole !== null && row.has_key });
    const list = h("datalist", { id: newId() }, ...flowNames.map((name) => h("option", { value: name })));
    const names = { autocapitalize: "none" };
    const keys = [...(this.hadKey ? [["kept", "Keep the one it has"]] : []), ["made", "Make one up"], ["own", "One that I was given"]];
    const main = {
      ...(this.isNew ? { name: new Entry("Name", typed("text", "", { placeholder: "deploy", ...names }), "The end of its address.") } : {}),
      flow_name: new Entry("Flow", typed("text", row.flow_name, { list: list.id, ...names }), "What a call starts."),
      proof: new Entry("The caller proves itself", chosen(PROVES, provesBy(row))),
      key_source: new Entry("Key", chosen(keys, keys[0][0])),
      key: new Entry("The key", typed("password", "", { autocomplete: "new-password" }), "At least 12 characters; it is encrypted, or only a digest of it is kept."),
      signature_header: new Entry("Header of the signature", typed("text", options.signature_header, { placeholder: "X-Signature", ...names })),
      signed_content: new Entry("What is signed", typed("text", options.signed_content), "{body}, or with its time such as {timestamp}.{body}"),
      timestamp_header: new Entry("Header of its time", typed("text", options.timestamp_header, { placeholder: "beside the signature", ...names })),
    };
    const rest = this.#rest(row, options);
    this.entries = { ...main, ...rest };
    this.element = h("div.schedule-form", ...Object.values(main).map(({ element }) => element), list);
    this.rest = h("div", ...Object.values(rest).map(({ element }) => element));
    this.first = provesBy(row);
    this.showFields();
  }

  #rest(row, options) {
    return {
      rate_limit: new Entry("Calls a minute of one caller", typed("text", options.rate_limit, { ...NUMERIC, placeholder: "any number" })),
      allowed_networks: new Entry("Only from these networks", area(options.allowed_networks.join("\n"), { rows: 2, placeholder: "from anywhere" }), "One a line, such as 192.0.2.0/24"),
      inputs: new Entry("Fixed inputs", area(JSON.stringify(options.inputs, null, 2), { rows: 3 }), "A JSON object: what the flow gets besides the call."),
      reply: new Entry("The caller gets", chosen(REPLIES, options.reply)),
      allowed_methods: new Entry("Methods", chosen(METHODS, row.allowed_methods.join())),
      key_header: new Entry("Header of the key", typed("text", row.key_header)),
      sync_timeout_seconds: new Entry("A call waits at most, in seconds", typed("text", options.sync_timeout_seconds, { inputmode: "decimal" })),
      max_body_bytes: new Entry("Largest body, in bytes", typed("text", options.max_body_bytes, NUMERIC)),
    };
  }

  get proof() {
    return this.entries.proof.control.value;
  }

  /** Whether a key is to be made up, or null where none is asked for. */
  get makesKey() {
    return this.proof !== "none" && this.entries.key_source.control.value === "made";
  }

  /** Show the fields that the proof needs. */
  showFields() {
    const { key_source, key, signature_header, signed_content, timestamp_header, key_header } = this.entries;
    const isSigned = this.proof === "hmac-sha256";
    key_source.element.hidden = this.proof === "none";
    key.element.hidden = this.proof === "none" || key_source.control.value !== "own";
    for (const entry of [signature_header, signed_content, timestamp_header]) entry.element.hidden = !isSigned;
    key_header.element.hidden = this.proof !== "key";
  }

  /** What is to be sent; throws `Wrong`. */
  request() {
    const { entries, isNew } = this;
    const found = {};
    if (isNew) found.name = entries.name.required("Give it a name.");
    if (isNew || entries.flow_name.isTouched) found.flow_name = entries.flow_name.required("Say which flow a call starts.");
    this.#prove(found);
    if (entries.rate_limit.isTouched) found.rate_limit = entries.rate_limit.number({ isWhole: true });
    if (entries.allowed_networks.isTouched) found.allowed_networks = entries.allowed_networks.text.split(/\s+/).filter(Boolean);
    if (entries.inputs.isTouched) found.inputs = readObject(entries.inputs);
    if (entries.reply.isTouched) found.reply = entries.reply.control.value;
    if (entries.allowed_methods.isTouched) found.allowed_methods = entries.allowed_methods.control.value.split(",");
    if (entries.key_header.isTouched) found.key_header = entries.key_header.required("Name a header.");
    if (entries.sync_timeout_seconds.isTouched) found.sync_timeout_seconds = entries.sync_timeout_seconds.number({ isRequired: true });
    if (entries.max_body_bytes.isTouched) found.max_body_bytes = entries.max_body_bytes.number({ isWhole: true, isRequired: true });
    return found;
  }

  /** Add what is about key and signature. */
  #prove(found) {
    const { entries, proof, isNew } = this;
    const isSigned = proof === "hmac-sha256";
    const isOther = isNew || proof !== this.first;
    if (isOther && (proof !== "key" && proof !== "none")) found.signature = proof;
    if (isOther && !isNew && (proof === "key" || proof === "none")) found.signature = null;
    if (isOther && !isNew && !isSigned && this.first === "hmac-sha256") Object.assign(found, { signature_header: null, timestamp_header: null, signed_content: "{body}" });
    if (isSigned && (isOther || entries.signature_header.isTouched)) found.signature_header = entries.signature_header.required("Name the header with the signature.");
    if (isSigned && entries.signed_content.isTouched) found.signed_content = entries.signed_content.required("Say what is signed, such as {body}.");
    if (isSigned && entries.timestamp_header.isTouched) found.timestamp_header = entries.timestamp_header.text || null;
    if (proof === "none") {
      if (!isNew && this.hadKey) found.key = null;
    } else if (entries.key_source.control.value === "own") {
      if (entries.key.control.value === "") throw new Wrong(entries.key, "Give the key, or let one be made up.");
      found.key = entries.key.control.value;
    }
  }

  /** Say what is wrong beside its field; tells whether there is one for it. */
  complain({ message, field, entry }) {
    const name = String(field ?? "").split(".")[0];
    const meant = name === "signature" ? "proof" : name === "key" && this.entries.key.element.hidden ? "key_source" : name;
    const found = entry ?? this.entries[meant] ?? (field && this.entries.inputs);
    if (!found || found.element.hidden) return false;
    found.complain(message);
    const folded = found.element.closest("details");
    if (folded) folded.open = true;
    return true;
  }

  clear() {
    for (const entry of Object.values(this.entries)) entry.complain("");
  }
}

/** The dialog around the form. */
class WebhookDialog {
  constructor(view, whole, flowNames, onsaved) {
    Object.assign(this, { view, whole, onsaved, form: new WebhookForm(whole, flowNames) });
    this.trouble = h("p.field-error", { role: "alert" });
    this.save = button(whole ? "Save" : "Make webhook", { kind: ".primary" });
    this.save.type = "submit";
    const more = h("details", h("summary", "Limits, networks, fixed inputs, reply"), this.form.rest);
    const note = whole && h("p.muted", "From now on it acts for you.");
    const title = whole ? `Edit ${whole.row.name}` : "New webhook";
    this.dialog = openDialog(view.host, title, { body: [note, this.trouble, this.form.element, more].filter(Boolean), buttons: [this.save], onsubmit: () => this.#submit() });
    this.form.element.addEventListener("input", () => this.form.showFields());
    (this.form.entries.name ?? this.form.entries.flow_name).control.focus();
  }

  async #submit() {
    const { form, view, whole } = this;
    form.clear();
    say(this.trouble, "");
    this.save.disabled = true;
    try {
      const [request, makes_key] = [form.request(), form.makesKey];
      const verb = whole ? "change_webhook" : "create_webhook";
      const about = whole ? { name: whole.row.name } : {};
      const isChanged = makes_key || Object.keys(request).length > 0;
      const saved = isChanged ? await view.line.call(verb, { ...about, request, makes_key }) : whole;
      this.dialog.close();
      if (saved.key) showKey(view, saved, () => this.onsaved(saved));
      else this.onsaved(saved);
    } catch (problem) {
      if (!form.complain(problem)) say(this.trouble, problem.message);
      this.dialog.querySelector("[aria-invalid=true]")?.focus();
    } finally {
      this.save.disabled = false;
    }
  }
}

/** Show a key that was made up, this once; `ondone` when the reader has it. */
function showKey(view, { row, options, key }, ondone) {
  const line = callLine(row, options, key);
  const done = button("Done", { kind: ".primary" });
  done.type = "submit";
  const body = [
    h("p", "This is the only time that the key is shown: give it to the caller now, or keep it where you keep passwords."),
    h("div.field", h("div.field-name", "Key"), copyable(key, "Copy the key", view.toasts)),
    h("div.field", h("div.field-name", "Address"), copyable(webhookUrl(row.name), "Copy the address", view.toasts)),
    line && h("div.field", h("div.field-name", "Try it"), copyableLines(line, "Copy the command", view.toasts)),
  ];
  const dialog = openDialog(view.host, `Key of ${row.name}`, { body: body.filter(Boolean), buttons: [done], onsubmit: () => dialog.close(), isTelling: true });
  dialog.classList.add("cloudo-secret");
  dialog.addEventListener("close", ondone);
  done.focus();
}

async function openForm(view, whole, onsaved) {
  try {
    const names = await view.line.call("flow_names");
    if (!view.isClosed) new WebhookDialog(view, whole, names, onsaved);
  } catch (problem) {
    view.banners.fail("act", problem);
  }
}

/** Open the form of a new webhook; `onmade` gets its row. */
export const newWebhook = (view, onmade) => openForm(view, null, ({ row }) => onmade(row));

/** Open the form of a webhook; `onsaved` gets the webhook as it is then. */
export const editWebhook = (view, whole, onsaved) => openForm(view, whole, onsaved);
