/** Panels of one flow: its source, and how to start it from a program. */

import { useState } from "preact/hooks";
import type { Execution, Flow } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import type { InputForm } from "../../forms/inputs";
import { Button, LinkButton, Panel } from "../../ui/controls";
import { MenuButton } from "../../ui/menu";
import { CopyableLines } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { fileOf, snippetsOf } from "./snippets";

const MAX_SHOWN = 200_000;

/** A menu with the flow's start, and the inputs of the form, as curl, Python and shell. */
export function CopyAs({ flow, form }: { flow: Flow; form: InputForm }) {
  const { api, dialogs } = useApp();
  const server = new URL(api.transport.baseUrl ?? "/", document.baseURI).href;
  const show = async (at: number) => {
    await form.ready(api);
    const snippet = snippetsOf(flow.name, form.read() ?? {}, server)[at];
    if (!snippet) return;
    void dialogs.show((close) => (
      <Dialog
        title={`Start with ${snippet.label}`}
        close={close}
        isInformation
        buttons={<Button onClick={close}>Done</Button>}
      >
        <CopyableLines text={snippet.text} label="Copy" />
        {snippet.label === "curl" && (
          <p class="cloudo-field-note">Create an API token on the page Tokens for CLOUDO_TOKEN.</p>
        )}
      </Dialog>
    ));
  };
  const items = ["curl", "Python", "Shell"].map((word, at) => ({ word, act: () => void show(at) }));
  return (
    <MenuButton
      label="Copy as"
      word="Copy as"
      class="cloudo-small"
      groups={() => [{ title: "Start from elsewhere", items }]}
    />
  );
}

interface Notebook {
  cells?: { cell_type: string; source: string | string[] }[];
}

/** The cells of a notebook as text, or the text itself if it is a script. */
export function readableSource(text: string): string {
  if (!text.trimStart().startsWith("{")) return text;
  try {
    const { cells = [] } = JSON.parse(text) as Notebook;
    const join = (source: string | string[]) => (Array.isArray(source) ? source.join("") : source);
    return cells
      .map(({ cell_type, source }) => `# %%${cell_type === "code" ? "" : ` [${cell_type}]`}\n${join(source)}`)
      .join("\n\n");
  } catch {
    return text;
  }
}

/** The source of a flow, fetched when it is opened. Flows of the library show that of their last run. */
export function FlowSourcePanel({ flow, lastRun }: { flow: Flow; lastRun: Execution | null }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Panel
      title="Source"
      actions={<LinkButton onClick={() => setOpen(!isOpen)}>{isOpen ? "Hide" : "Show"}</LinkButton>}
    >
      {isOpen ? <Source flow={flow} lastRun={lastRun} /> : <code>{flow.path}</code>}
    </Panel>
  );
}

function Source({ flow, lastRun }: { flow: Flow; lastRun: Execution | null }) {
  const { api } = useApp();
  const isFile = flow.source === "workspace";
  const { value, error } = useResource<string | null>(`source ${flow.path} ${flow.modified_at}`, async (signal) => {
    if (isFile) return (await api.get<{ content: string | null }>(fileOf(flow.path), {}, signal)).content;
    if (!lastRun) return null;
    const source = await api.get<unknown>(`execution/${lastRun.id}/source`, {}, signal);
    return typeof source === "string" ? source : JSON.stringify(source);
  });
  if (error) return <p class="cloudo-muted">{error.message}</p>;
  if (value === null)
    return <p class="cloudo-muted">The source of a flow of the library appears here after its first run.</p>;
  return (
    <pre class="cloudo-source" tabIndex={0} aria-label="Source">
      {readableSource(value).slice(0, MAX_SHOWN)}
    </pre>
  );
}
