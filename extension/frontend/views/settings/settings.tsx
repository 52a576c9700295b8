/** Settings: the documented ones with their meaning and default, and the workspace's own values and secrets. */

import { useState } from "preact/hooks";
import { segment } from "../../api/client";
import type { Setting, SettingDescription } from "../../api/types";
import { useApp, type App } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Heading, LinkButton, Panel, Skeleton } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Time } from "../../ui/marks";
import { cut, reasonOf } from "../../ui/words";
import { NotificationPanel } from "./notifications";
import { editAll, readYaml, writeYaml } from "./yaml";

/** What the dashboard keeps for its users; other views show it. */
const DASHBOARD = /^user\..+\.dashboard\.(filters|last_visit)$/;

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

export function Settings() {
  const { api, isPage } = useApp();
  const options = { concerns: (news: { has: (subject: string) => boolean }) => news.has("setting"), paceMs: 500 };
  const documented = useResource<SettingDescription[]>("documented", () => api.all("setting/documented"), options);
  const all = useResource<Setting[]>("settings", () => api.all("setting"), options);
  const known = new Set(documented.value?.map(({ name }) => name));
  const changed = new Map(all.value?.map((setting) => [setting.name, setting]));
  const own = (all.value ?? []).filter(({ name }) => !known.has(name) && !DASHBOARD.test(name));
  return (
    <section class="cloudo-view" aria-label="Settings">
      <div class="cloudo-heading">
        <Heading>Settings</Heading>
      </div>
      <OwnSettings settings={all.value && own} error={all.error?.message} />
      {isPage && <NotificationPanel />}
      <Panel title="Settings of Cloudo">
        {documented.value ? (
          <dl class="cloudo-settings">
            {documented.value.map((one) => (
              <Documented key={one.name} setting={one} changed={changed.get(one.name) ?? null} />
            ))}
          </dl>
        ) : documented.error ? (
          <p>{documented.error.message}</p>
        ) : (
          <Skeleton />
        )}
      </Panel>
    </section>
  );
}

function Documented({ setting, changed }: { setting: SettingDescription; changed: Setting | null }) {
  const app = useApp();
  const { name, meaning, fits, value, default: usual } = setting;
  const isChanged = changed?.modified_at !== null && changed?.modified_at !== undefined;
  return (
    <div>
      <dt>
        <code>{name}</code>
        <span class="cloudo-setting-value">{cut(textOf(value))}</span>
        {isChanged && (
          <LinkButton onClick={() => void reset(app, name)}>Use the default ({cut(textOf(usual), 40)})</LinkButton>
        )}
        <LinkButton
          aria-label={`Change ${name}`}
          onClick={() => void edit(app, { name, value, note: `${meaning} Valid: ${fits}.` })}
        >
          Change
        </LinkButton>
      </dt>
      <dd>
        {meaning} <span class="cloudo-muted">Valid: {fits}.</span>
      </dd>
    </div>
  );
}

function OwnSettings({ settings, error }: { settings: readonly Setting[] | null; error?: string }) {
  const app = useApp();
  const add = (
    <>
      <Button disabled={!settings} onClick={() => void editAll(app, settings ?? [])}>
        Edit as YAML…
      </Button>
      <Button icon="plus" onClick={() => void edit(app, null)}>
        New setting…
      </Button>
    </>
  );
  return (
    <Panel title="Values and secrets of your flows" count={settings?.length || ""} actions={add}>
      {!settings ? (
        error ? (
          <p>{error}</p>
        ) : (
          <Skeleton lines={2} />
        )
      ) : settings.length === 0 ? (
        <p class="cloudo-muted">
          Flows read settings with <code>system.setting("name")</code>. Secrets are masked in logs and notebooks.
        </p>
      ) : (
        <dl class="cloudo-settings">
          {settings.map((setting) => (
            <Own key={setting.name} setting={setting} />
          ))}
        </dl>
      )}
    </Panel>
  );
}

function Own({ setting: { name, value, secret, modified_at, modified_by, locked_by } }: { setting: Setting }) {
  const app = useApp();
  return (
    <div>
      <dt>
        <code>{name}</code>
        <span class="cloudo-setting-value">{secret ? "secret" : cut(textOf(value))}</span>
        <LinkButton
          aria-label={`Change ${name}`}
          onClick={() => void edit(app, { name, value: secret ? "" : value, secret })}
        >
          Change
        </LinkButton>
        <LinkButton aria-label={`Delete ${name}`} onClick={() => void remove(app, name)}>
          Delete
        </LinkButton>
      </dt>
      <dd class="cloudo-muted">
        {modified_at && <Time at={modified_at} />} {modified_by && `by ${modified_by}`}{" "}
        {locked_by && "· locked by a run"}
      </dd>
    </div>
  );
}

async function reset({ api, notices }: App, name: string): Promise<void> {
  await api.delete(`setting/${segment(name)}`).catch((error: unknown) => notices.fail("act", error));
}

async function remove(app: App, name: string): Promise<void> {
  const text = "Flows that read it will fail. This cannot be undone.";
  if (await app.dialogs.confirm({ title: `Delete ${name}?`, text, word: "Delete" })) await reset(app, name);
}

interface Edited {
  name: string;
  value: unknown;
  secret?: boolean;
  note?: string;
}

/** Change a setting, or create one if there is none to change. */
function edit(app: App, edited: Edited | null): Promise<void> {
  return app.dialogs.show((close) => <SettingForm app={app} close={close} edited={edited} />);
}

function SettingForm({ app, close, edited }: { app: App; close: () => void; edited: Edited | null }) {
  const [name, setName] = useState(edited?.name ?? "");
  const [text, setText] = useState(edited && !edited.secret ? writeYaml(edited.value) : "");
  const [secret, setSecret] = useState(edited?.secret ?? false);
  const [problem, setProblem] = useState("");
  const submit = async () => {
    try {
      const value = secret ? text : await readYaml(app.api, text);
      if (edited)
        await app.api.put(`setting/${segment(name)}`, edited.secret === undefined ? { value } : { value, secret });
      else await app.api.post("setting", { name: name.trim(), value, secret });
      close();
    } catch (error) {
      setProblem(reasonOf(error));
    }
  };
  const buttons = (
    <Button type="submit" kind="primary" disabled={!name.trim()}>
      Save
    </Button>
  );
  return (
    <Dialog
      title={edited ? `Change ${edited.name}` : "New setting"}
      close={close}
      onSubmit={() => void submit()}
      buttons={buttons}
      focus={(dialog) => dialog.querySelector<HTMLElement>(".cloudo-control")?.focus()}
    >
      {edited?.note && <p class="cloudo-field-note">{edited.note}</p>}
      {!edited && (
        <div class="cloudo-field">
          <label class="cloudo-field-name" for="cloudo-setting-name">
            Name
          </label>
          <input
            id="cloudo-setting-name"
            class="cloudo-control"
            value={name}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </div>
      )}
      <div class="cloudo-field">
        <label class="cloudo-field-name" for="cloudo-setting-value">
          Value
        </label>
        <p class="cloudo-field-note" id="cloudo-setting-note">
          {secret
            ? "The value is encrypted, and never shown again."
            : "YAML: a text, 12, true, or lines such as - item or name: value."}
        </p>
        {secret ? (
          <input
            id="cloudo-setting-value"
            class="cloudo-control"
            type="password"
            value={text}
            autocomplete="new-password"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        ) : (
          <textarea
            id="cloudo-setting-value"
            class="cloudo-control"
            rows={Math.min(12, Math.max(3, text.split("\n").length))}
            value={text}
            spellcheck={false}
            aria-describedby="cloudo-setting-note"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
      </div>
      {!edited && (
        <div class="cloudo-field cloudo-field-checkbox">
          <input
            id="cloudo-setting-secret"
            type="checkbox"
            checked={secret}
            onInput={(event) => setSecret(event.currentTarget.checked)}
          />
          <div class="cloudo-field-head">
            <label class="cloudo-field-name" for="cloudo-setting-secret">
              Secret
            </label>
          </div>
        </div>
      )}
    </Dialog>
  );
}
