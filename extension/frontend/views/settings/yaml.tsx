/** Settings as YAML, which the server reads: one value, or all own settings in one text. Secrets are never in it. */

import { useState } from "preact/hooks";
import { ApiError, segment, type Api } from "../../api/client";
import type { Setting } from "../../api/types";
import type { App } from "../../app/context";
import { yamlOf } from "../../forms/pairs";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { count, reasonOf } from "../../ui/words";

type Values = Record<string, unknown>;

/** The server reads no longer texts as YAML; JSON is read here. */
const MAX_YAML = 12_000;
const NAME = "value:";

/** A value as YAML, or as JSON if it is long. */
export function writeYaml(value: unknown): string {
  const text = yamlOf({ value }).slice(NAME.length).replace(/\n$/, "");
  if (text.length > MAX_YAML) return JSON.stringify(value);
  return text.startsWith("\n") ? text.slice(1).replace(/^ {2}/gm, "") : text.slice(1).replace(/\n {2}/g, "\n");
}

const read = async (api: Api, yaml: string): Promise<Values> =>
  (await api.post<{ inputs: Values }>("inputs/yaml", { yaml })).inputs;

/** The value that a text says: YAML, or JSON of any length. An empty text stays one. */
export async function readYaml(api: Api, text: string): Promise<unknown> {
  if (text.trim() === "") return "";
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // No JSON.
  }
  try {
    const isBlock = /^[|>]/.test(text);
    return (await read(api, `${NAME}${isBlock ? " " : "\n  "}${text.replaceAll("\n", "\n  ")}`)).value;
  } catch (error) {
    // The name is a line of its own.
    const shorter = (_: string, line: string) => `Line ${Math.max(1, Number(line) - 1)}:`;
    throw error instanceof ApiError ? new Error(error.message.replace(/^Line (\d+):/, shorter)) : error;
  }
}

/** Edit all values of flows as one text. */
export const editAll = (app: App, settings: readonly Setting[]): Promise<void> =>
  app.dialogs.show((close) => <AllForm app={app} close={close} settings={settings.filter(({ secret }) => !secret)} />);

/** Names to save and names to delete, compared with the present settings. */
export function changesOf(settings: readonly Setting[], values: Values): { changed: string[]; deleted: string[] } {
  const present = new Map(settings.map(({ name, value }) => [name, JSON.stringify(value)]));
  return {
    changed: Object.keys(values).filter((name) => present.get(name) !== JSON.stringify(values[name])),
    deleted: [...present.keys()].filter((name) => !(name in values)),
  };
}

function AllForm({ app, close, settings }: { app: App; close: () => void; settings: readonly Setting[] }) {
  const [text, setText] = useState(() => yamlOf(Object.fromEntries(settings.map(({ name, value }) => [name, value]))));
  const [problem, setProblem] = useState("");
  const save = async () => {
    const values = await read(app.api, text);
    const { changed, deleted } = changesOf(settings, values);
    const title = `Delete ${count(deleted.length, "setting")}?`;
    const question = { title, text: `${deleted.join(", ")}: flows that read them will fail.`, word: "Delete" };
    if (deleted.length > 0 && !(await app.dialogs.confirm(question))) return;
    for (const name of changed) await app.api.put(`setting/${segment(name)}`, { value: values[name] });
    for (const name of deleted) await app.api.delete(`setting/${segment(name)}`);
    close();
  };
  const buttons = (
    <Button type="submit" kind="primary">
      Save
    </Button>
  );
  return (
    <Dialog
      title="Values of your flows"
      close={close}
      onSubmit={() => void save().catch((error: unknown) => setProblem(reasonOf(error)))}
      buttons={buttons}
      isWide
      focus={(dialog) => dialog.querySelector<HTMLElement>("textarea")?.focus()}
    >
      <p class="cloudo-field-note">
        Names and values as YAML. A name that is removed is deleted. Secrets are not here.
      </p>
      <textarea
        class="cloudo-control cloudo-yaml"
        aria-label="Settings as YAML"
        aria-invalid={problem !== ""}
        rows={Math.min(20, Math.max(6, text.split("\n").length))}
        value={text}
        placeholder="etl.region: north"
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p class="cloudo-field-error" role="alert">
        {problem}
      </p>
    </Dialog>
  );
}
