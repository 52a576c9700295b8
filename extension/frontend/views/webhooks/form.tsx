/** The dialog that creates or changes a webhook, and the one that shows a generated key once. */

import { useRef, useState } from "preact/hooks";
import { ApiError, segment } from "../../api/client";
import type { CreatedWebhook, Flow, Page, Webhook, WebhookPreset } from "../../api/types";
import type { App } from "../../app/context";
import { EntryField, Invalid } from "../../forms/entry";
import { FlowInputs } from "../../forms/flows";
import { focusFirst } from "../../forms/inputs";
import { Copyable, CopyableLines } from "../../ui/copy";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { useId } from "../../ui/ids";
import { reasonOf } from "../../ui/words";
import { callLine, webhookUrl } from "./call";
import { WebhookDraft } from "./draft";

const REPLIES = [
  ["brief", "Status, message and outputs"],
  ["record", "The whole record"],
] as const;
const METHODS = [
  ["GET,POST", "GET and POST"],
  ["POST", "POST only"],
  ["GET", "GET only"],
] as const;

/** Ask for a new webhook, of this flow if there is one. Resolves to it, or to null if the reader has cancelled. */
export const newWebhook = (app: App, flowName = ""): Promise<Webhook | null> => openForm(app, null, flowName);

/** Change a webhook. Resolves to it as it is afterwards, or to null if the reader has cancelled. */
export const editWebhook = (app: App, webhook: Webhook): Promise<Webhook | null> => openForm(app, webhook);

async function openForm(app: App, webhook: Webhook | null, flowName = ""): Promise<Webhook | null> {
  app.notices.set("act", "");
  try {
    const [flows, presets] = await Promise.all([
      app.api.all<Flow>("flow", { brief: true }),
      app.api.get<Page<WebhookPreset>>("webhook/preset"),
    ]);
    const names = flows.filter(({ broken }) => !broken).map(({ name }) => name);
    const draft = new WebhookDraft(app.api, webhook, presets.items);
    if (flowName) draft.entry("flow_name").text.value = flowName;
    draft.pick();
    const saved: { webhook: CreatedWebhook | null } = { webhook: null };
    await app.dialogs.show((close) => (
      <WebhookDialog
        app={app}
        draft={draft}
        flows={names}
        close={close}
        save={(one) => {
          saved.webhook = one;
          close();
        }}
      />
    ));
    if (saved.webhook?.key) await showKey(app, saved.webhook, saved.webhook.key);
    return saved.webhook;
  } catch (error) {
    app.notices.fail("act", error);
    return null;
  }
}

interface FormProps {
  app: App;
  draft: WebhookDraft;
  flows: readonly string[];
}

function WebhookDialog({
  app,
  draft,
  flows,
  close,
  save,
}: FormProps & { close: () => void; save: (webhook: CreatedWebhook) => void }) {
  const body = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const { webhook } = draft;
  const fail = (error: unknown) => {
    if (error instanceof Invalid) error.entry.problem.value = error.message;
    else if (error instanceof ApiError) {
      const errors = error.errors.length > 0 ? error.errors : [error];
      const rest = errors.filter(({ message, field }) => !draft.complain(message, field));
      setProblem(rest.map(({ message }) => message).join("\n"));
    } else setProblem(reasonOf(error));
    if (draft.hasInputProblem || MORE.some((name) => draft.entry(name).problem.peek())) setOpen(true);
    setTimeout(() => body.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
  };
  const submit = async () => {
    draft.clear();
    setProblem("");
    setBusy(true);
    try {
      draft.pick();
      await draft.inputs.choose(draft.flowNames);
      const request = draft.request();
      if (!webhook) save(await app.api.post<CreatedWebhook>("webhook", request));
      else if (Object.keys(request).length === 0) close();
      else save(await app.api.patch<CreatedWebhook>(`webhook/${segment(webhook.name)}`, request));
    } catch (error) {
      fail(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={webhook ? `Edit ${webhook.name}` : "New webhook"}
      close={close}
      onSubmit={() => void submit()}
      focus={focusFirst}
      buttons={
        <Button type="submit" kind="primary" disabled={isBusy}>
          {webhook ? "Save" : "Create webhook"}
        </Button>
      }
    >
      <div ref={body}>
        {webhook && <p class="cloudo-muted">After saving, its executions run as you.</p>}
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
        <MainFields draft={draft} flows={flows} />
        <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>Limits, networks, fixed inputs, reply</summary>
          <MoreFields draft={draft} />
        </details>
      </div>
    </Dialog>
  );
}

function MainFields({ draft, flows }: Omit<FormProps, "app">) {
  const entry = (name: string) => draft.entry(name);
  const authentications = [
    ["key", "API key"],
    ...draft.presets.map(({ name, title }) => [name, `Signature: ${title}`] as [string, string]),
    ...(draft.presets.some(({ name }) => name === "hmac-sha256")
      ? []
      : [["hmac-sha256", "Signature: HMAC-SHA256 in a header"] as [string, string]]),
    ["none", "None (anyone can call it)"],
  ] as [string, string][];
  const sources: [string, string][] = [
    ...(draft.hadKey ? [["keep", "Keep the current key"] as [string, string]] : []),
    ...(draft.issuesKey ? [] : [["generate", "Generate a key"] as [string, string]]),
    ["own", draft.issuesKey ? "Enter the sender's key" : "Enter a key"],
  ];
  return (
    <div class="cloudo-schedule-form">
      {draft.isShown("name") && (
        <EntryField entry={entry("name")} label="Name" note="The last part of its address." placeholder="deploy" />
      )}
      <div onChange={() => draft.pick()}>
        <EntryField entry={entry("flow_name")} label="Flow" note="The flow that a call starts." suggestions={flows} />
        <p class="cloudo-field-error" role="alert">
          {!entry("flow_name").problem.value && draft.inputs.problem.value}
        </p>
      </div>
      <EntryField entry={entry("authentication")} label="Authentication" type="select" options={authentications} />
      {draft.isShown("key_source") && (
        <EntryField entry={entry("key_source")} label="Key" type="select" options={sources} />
      )}
      {draft.isShown("key") && (
        <EntryField
          entry={entry("key")}
          label="Key value"
          type="password"
          note="At least 12 characters. It is stored encrypted, or as a digest."
        />
      )}
      {draft.isSigned && (
        <>
          <EntryField entry={entry("signature_header")} label="Signature header" placeholder="X-Signature" />
          <EntryField
            entry={entry("signed_content")}
            label="Signed text"
            note="{body}, or with a time such as {timestamp}.{body}"
          />
          <EntryField
            entry={entry("timestamp_header")}
            label="Timestamp header"
            placeholder="in the signature header"
          />
        </>
      )}
    </div>
  );
}

const MORE = [
  "rate_limit",
  "allowed_networks",
  "reply",
  "allowed_methods",
  "key_header",
  "sync_timeout_seconds",
  "max_body_bytes",
];

function MoreFields({ draft }: { draft: WebhookDraft }) {
  const entry = (name: string) => draft.entry(name);
  return (
    <>
      <EntryField
        entry={entry("rate_limit")}
        label="Maximum calls per minute and caller"
        placeholder="no limit"
        inputMode="numeric"
      />
      <EntryField
        entry={entry("allowed_networks")}
        label="Allowed networks"
        note="One per line, such as 192.0.2.0/24."
        type="area"
        rows={2}
        placeholder="any network"
      />
      <FixedInputs draft={draft} />
      <EntryField entry={entry("reply")} label="Reply" type="select" options={REPLIES} />
      <EntryField entry={entry("allowed_methods")} label="Methods" type="select" options={METHODS} />
      {draft.isShown("key_header") && <EntryField entry={entry("key_header")} label="Key header" />}
      <EntryField entry={entry("sync_timeout_seconds")} label="Maximum wait, in seconds" inputMode="decimal" />
      <EntryField entry={entry("max_body_bytes")} label="Maximum body size, in bytes" inputMode="numeric" />
    </>
  );
}

/** The inputs that the flow gets with each call, in its own form. */
function FixedInputs({ draft }: { draft: WebhookDraft }) {
  const id = useId();
  return (
    <div class="cloudo-schedule-inputs" role="group" aria-labelledby={id}>
      <p class="cloudo-field-name" id={id}>
        Fixed inputs
      </p>
      <p class="cloudo-field-note">The flow gets them with each call, besides what the call sends.</p>
      <FlowInputs forms={draft.inputs} names={draft.flowNames} />
    </div>
  );
}

/** Show a generated key, this once. */
function showKey(app: App, webhook: Webhook, key: string): Promise<void> {
  const url = webhookUrl(app.api.transport.baseUrl, webhook.name);
  const line = callLine(webhook, url, key);
  return app.dialogs.show((close) => (
    <Dialog
      title={`Key of ${webhook.name}`}
      close={close}
      onSubmit={close}
      isInformation
      focus={(dialog) => dialog.querySelector<HTMLElement>("[type=submit]")?.focus()}
      buttons={
        <Button type="submit" kind="primary">
          Done
        </Button>
      }
    >
      <div class="cloudo-secret">
        <p>The key is shown only once. Give it to the caller now, or save it like a password.</p>
        <div class="cloudo-field">
          <div class="cloudo-field-name">Key</div>
          <Copyable text={key} label="Copy the key" />
        </div>
        <div class="cloudo-field">
          <div class="cloudo-field-name">Address</div>
          <Copyable text={url} label="Copy the address" />
        </div>
        {line && (
          <div class="cloudo-field">
            <div class="cloudo-field-name">Try it</div>
            <CopyableLines text={line} label="Copy the command" />
          </div>
        )}
      </div>
    </Dialog>
  ));
}
