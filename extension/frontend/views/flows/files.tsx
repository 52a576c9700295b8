/** Dialogs that create, duplicate, rename and delete flows. */

import { useState } from "preact/hooks";
import { pathOf } from "../../api/client";
import type { Flow } from "../../api/types";
import type { App } from "../../app/context";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { reasonOf } from "../../ui/words";
import type { Template } from "./templates";

/** Ask for a name and a template. Resolves to the new flow, or to null if the dialog was closed. */
export async function newFlow(app: App): Promise<Flow | null> {
  try {
    const { TEMPLATES, notebookOf } = await import("./templates");
    const about = { title: "New flow", word: "Create", name: "", templates: TEMPLATES };
    return await askName(app, about, (name, template = TEMPLATES[0]!) =>
      app.api.post<Flow>("flow", { name, source: notebookOf(template) }),
    );
  } catch (error) {
    app.notices.fail("act", error);
    return null;
  }
}

/** Show the page of the flow that a dialog has saved. */
export async function show({ place }: App, saved: Promise<Flow | null>): Promise<void> {
  const flow = await saved;
  if (flow) place.go("flow", flow.name);
}

export const duplicateFlow = (app: App, flow: Flow): Promise<void> =>
  show(
    app,
    askName(app, { title: `Duplicate ${flow.title}`, word: "Duplicate", name: `${flow.name} copy` }, (name) =>
      app.api.post<Flow>("flow", { name, copy_of: flow.name }),
    ),
  );

export const renameFlow = (app: App, flow: Flow): Promise<void> =>
  show(
    app,
    askName(app, { title: `Rename ${flow.title}`, word: "Rename", name: flow.name }, (name) =>
      app.api.patch<Flow>(`flow/${pathOf(flow.name)}`, { name }),
    ),
  );

export async function deleteFlow(app: App, flow: Flow): Promise<void> {
  const text = `The file ${flow.path} is deleted. Its executions stay. This cannot be undone.`;
  if (!(await app.dialogs.confirm({ title: `Delete ${flow.title}?`, text, word: "Delete" }))) return;
  try {
    await app.api.delete(`flow/${pathOf(flow.name)}`);
    app.place.go("flows");
  } catch (error) {
    app.notices.fail("act", error);
  }
}

interface NameDialog {
  title: string;
  word: string;
  name: string;
  /** What the notebook can begin with. */
  templates?: readonly Template[];
}

type Save = (name: string, template?: Template) => Promise<Flow>;

/** Ask for the name of a flow, and call `save` with it. Resolves to the flow, or to null if the dialog was closed. */
async function askName(app: App, about: NameDialog, save: Save): Promise<Flow | null> {
  let saved: Flow | null = null;
  await app.dialogs.show((close) => (
    <NameForm
      {...about}
      close={close}
      save={async (name, template) => {
        saved = await save(name, template);
        close();
      }}
    />
  ));
  return saved;
}

function NameForm({
  close,
  save,
  title,
  word,
  name,
  templates,
}: NameDialog & { close: () => void; save: (name: string, template?: Template) => Promise<void> }) {
  const [text, setText] = useState(name);
  const [template, setTemplate] = useState(templates?.[0]);
  const [problem, setProblem] = useState("");
  const submit = async () => {
    try {
      await save(text.trim(), template);
    } catch (error) {
      setProblem(reasonOf(error));
    }
  };
  return (
    <Dialog
      title={title}
      close={close}
      onSubmit={() => void submit()}
      focus={(dialog) => dialog.querySelector<HTMLInputElement>(".cloudo-control")?.select()}
      buttons={
        <Button type="submit" kind="primary" disabled={!text.trim()}>
          {word}
        </Button>
      }
    >
      <div class="cloudo-field">
        <div class="cloudo-field-head">
          <label class="cloudo-field-name" for="cloudo-flow-name">
            Name
          </label>
        </div>
        <p class="cloudo-field-note" id="cloudo-flow-name-note">
          The path below the folder flows/, without .ipynb. Slashes create folders.
        </p>
        <input
          id="cloudo-flow-name"
          class="cloudo-control"
          value={text}
          autocomplete="off"
          spellcheck={false}
          aria-describedby="cloudo-flow-name-note cloudo-flow-name-error"
          aria-invalid={Boolean(problem)}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <p class="cloudo-field-error" id="cloudo-flow-name-error" role="alert">
          {problem}
        </p>
      </div>
      {templates && template && <TemplateField templates={templates} template={template} onChange={setTemplate} />}
    </Dialog>
  );
}

function TemplateField({
  templates,
  template,
  onChange,
}: {
  templates: readonly Template[];
  template: Template;
  onChange: (template: Template) => void;
}) {
  return (
    <div class="cloudo-field">
      <div class="cloudo-field-head">
        <label class="cloudo-field-name" for="cloudo-flow-template">
          Template
        </label>
      </div>
      <p class="cloudo-field-note" id="cloudo-flow-template-note">
        {template.description}
      </p>
      <select
        id="cloudo-flow-template"
        class="cloudo-control"
        value={template.name}
        aria-describedby="cloudo-flow-template-note"
        onChange={({ currentTarget }) => onChange(templates.find(({ name }) => name === currentTarget.value)!)}
      >
        {templates.map(({ name, title }) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </select>
    </div>
  );
}
