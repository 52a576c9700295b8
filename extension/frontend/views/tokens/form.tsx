/** The dialog that creates an API token, and the one that shows its secret. */

import { signal } from "@preact/signals";
import { useMemo, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import type { CreatedToken } from "../../api/types";
import type { App } from "../../app/context";
import { Entry, EntryField, Invalid } from "../../forms/entry";
import { Button } from "../../ui/controls";
import { Copyable, CopyableLines } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { useId } from "../../ui/ids";
import { moment } from "../../ui/words";

const DAY = 86_400;

/** The actions that a token can allow. The last ones concern more than single flows. */
export const ACTIONS: Record<string, string> = {
  read: "read flows, executions, schedules, messages, webhooks, events, settings and files",
  "execution:start": "start flows",
  "execution:write": "cancel, pause, resume, retry and delete executions",
  "schedule:write": "create, change, run and delete schedules",
  "message:write": "create, answer and delete messages",
  "webhook:write": "create, change and delete webhooks, and replay their deliveries",
  "script:run": "run source that is sent with the request",
  "flow:write": "create, change and delete flows",
  "setting:write": "save and delete settings",
  "file:write": "write and delete files of the workspace",
  "token:write": "list, create and revoke tokens",
  "*": "everything, including work on notebooks by hand",
};

const LIFETIMES: [string, string][] = [
  [String(DAY), "in a day"],
  [String(7 * DAY), "in a week"],
  [String(30 * DAY), "in 30 days"],
  [String(90 * DAY), "in 90 days"],
  [String(365 * DAY), "in a year"],
  ["date", "on a date…"],
  ["never", "never"],
];

/** Ask for a new token, create it, and show its secret once. */
export function newToken(app: App): Promise<void> {
  return app.dialogs.show((close) => <TokenDialog app={app} close={close} />);
}

/** What is entered into the form. */
class Draft {
  readonly name = new Entry("");
  readonly expires = new Entry(String(30 * DAY));
  readonly expiresAt = new Entry("");
  readonly flows = new Entry("");
  readonly actions = signal<ReadonlySet<string>>(new Set());
  readonly actionProblem = signal("");

  /** The body of the request. Throws `Invalid`. */
  request(): Record<string, unknown> {
    const chosen = this.actions.peek();
    const actions = chosen.has("*") ? ["*"] : [...chosen];
    const flows = (this.flows.optional ?? "").split("\n").map((line) => line.trim());
    const patterns = flows.filter(Boolean);
    const lasts = this.expires.text.peek();
    return {
      name: this.name.required("Enter a name, to recognise the token later."),
      actions,
      ...(patterns.length > 0 ? { flows: patterns } : {}),
      ...(lasts === "date"
        ? { expires_at: new Date(this.expiresAt.required("Enter a date and a time.")).toISOString() }
        : {}),
      ...(lasts !== "date" && lasts !== "never" ? { expires_in_seconds: Number(lasts) } : {}),
    };
  }

  /** Show an error beside its field. Returns false if there is no such field. */
  complain(field: string | null, message: string): boolean {
    const name = field?.split(".")[0];
    const entries: Record<string, Entry> = { name: this.name, flows: this.flows, expires_at: this.expiresAt };
    const entry = name ? entries[name] : undefined;
    if (entry) entry.problem.value = message;
    else if (name === "actions") this.actionProblem.value = message;
    else return false;
    return true;
  }

  clear(): void {
    for (const entry of [this.name, this.expires, this.expiresAt, this.flows]) entry.problem.value = "";
    this.actionProblem.value = "";
  }
}

function TokenDialog({ app, close }: { app: App; close: () => void }) {
  const draft = useMemo(() => new Draft(), []);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async () => {
    draft.clear();
    setProblem("");
    setBusy(true);
    try {
      const request = draft.request();
      if (draft.actions.peek().size === 0) return void (draft.actionProblem.value = "Choose at least one.");
      const created = await app.api.post<CreatedToken>("token", request);
      close();
      await app.dialogs.show((done) => <SecretDialog app={app} close={done} token={created} />);
    } catch (error) {
      if (error instanceof Invalid) error.entry.problem.value = error.message;
      else if (!(error instanceof ApiError && draft.complain(error.field, error.message)))
        setProblem(String((error as Error).message));
    } finally {
      setBusy(false);
    }
  };
  const buttons = (
    <Button type="submit" kind="primary" disabled={isBusy}>
      Create token
    </Button>
  );
  const focus = (dialog: HTMLElement) => dialog.querySelector<HTMLElement>(".cloudo-control")?.focus();
  return (
    <Dialog title="New token" close={close} onSubmit={() => void submit()} buttons={buttons} focus={focus}>
      <p class="cloudo-field-error" role="alert">
        {problem}
      </p>
      <EntryField entry={draft.name} label="Name" note="What the token is for, or where it is kept." placeholder="ci" />
      <Actions draft={draft} />
      <EntryField
        entry={draft.flows}
        label="Only these flows"
        type="area"
        rows={2}
        placeholder="all flows"
        note="One name or pattern a line, such as etl/*"
      />
      <div class="cloudo-schedule-form">
        <EntryField entry={draft.expires} label="Expires" type="select" options={LIFETIMES} />
        {draft.expires.text.value === "date" && <EntryField entry={draft.expiresAt} label="At" type="datetime-local" />}
      </div>
    </Dialog>
  );
}

function Actions({ draft }: { draft: Draft }) {
  const id = useId();
  const chosen = draft.actions.value;
  const turn = (action: string, isOn: boolean) => {
    const changed = new Set(chosen);
    changed[isOn ? "add" : "delete"](action);
    draft.actions.value = changed;
  };
  return (
    <fieldset class="cloudo-actions">
      <legend class="cloudo-field-name">Allows</legend>
      {Object.entries(ACTIONS).map(([action, meaning]) => (
        <div key={action} class="cloudo-action">
          <input
            id={`${id}-${action}`}
            type="checkbox"
            checked={chosen.has(action)}
            disabled={chosen.has("*") && action !== "*"}
            aria-describedby={`${id}-${action}-note`}
            onInput={(event) => turn(action, event.currentTarget.checked)}
          />
          <label for={`${id}-${action}`}>{action === "*" ? "everything" : action}</label>
          <span class="cloudo-field-note" id={`${id}-${action}-note`}>
            {meaning}
          </span>
        </div>
      ))}
      <p class="cloudo-field-error" role="alert">
        {draft.actionProblem.value}
      </p>
    </fieldset>
  );
}

function SecretDialog({
  app,
  close,
  token: { name, secret, expires_at },
}: {
  app: App;
  close: () => void;
  token: CreatedToken;
}) {
  const server = new URL(app.api.transport.baseUrl ?? "/", document.baseURI).href;
  const line = `curl -H "Authorization: token $CLOUDO_TOKEN" \\\n  ${server}cloudo/api/1/flow`;
  const done = (
    <Button type="submit" kind="primary">
      Done
    </Button>
  );
  const focus = (dialog: HTMLElement) => dialog.querySelector<HTMLElement>("[type=submit]")?.focus();
  return (
    <Dialog title={`Token ${name}`} close={close} onSubmit={close} buttons={done} isInformation focus={focus}>
      <p>
        The secret is shown only once. Keep it like a password.{" "}
        {expires_at ? `It expires ${moment(expires_at)}.` : "It does not expire."}
      </p>
      <div class="cloudo-secret">
        <div class="cloudo-field">
          <div class="cloudo-field-name">Token</div>
          <Copyable text={secret} label="Copy the token" />
        </div>
        <div class="cloudo-field">
          <div class="cloudo-field-name">Example</div>
          <CopyableLines text={line} label="Copy the command" />
        </div>
      </div>
    </Dialog>
  );
}
