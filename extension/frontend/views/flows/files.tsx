/** Dialogs that create, duplicate, rename and delete flows. */

import { useState } from "preact/hooks";
import { pathOf } from "../../api/client";
import type { Flow } from "../../api/types";
import type { App } from "../../app/context";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { reasonOf } from "../../ui/words";

/** A notebook with one empty parameters cell and one empty cell. */
const EMPTY_NOTEBOOK = JSON.stringify({
  cells: [
    {
      cell_type: "code",
      execution_count: null,
      id: "parameters",
      metadata: { tags: ["parameters"] },
      outputs: [],
      source: "",
    },
    { cell_type: "code", execution_count: null, id: "first", metadata: {}, outputs: [], source: "" },
  ],
  metadata: { kernelspec: { display_name: "Cloudo", language: "python", name: "cloudo" } },
  nbformat: 4,
  nbformat_minor: 5,
});

export const newFlow = (app: App): Promise<void> =>
  askName(app, { title: "New flow", word: "Create", name: "" }, (name) =>
    app.api.post<Flow>("flow", { name, source: EMPTY_NOTEBOOK }),
  );

export const duplicateFlow = (app: App, flow: Flow): Promise<void> =>
  askName(app, { title: `Duplicate ${flow.title}`, word: "Duplicate", name: `${flow.name} copy` }, (name) =>
    app.api.post<Flow>("flow", { name, copy_of: flow.name }),
  );

export const renameFlow = (app: App, flow: Flow): Promise<void> =>
  askName(app, { title: `Rename ${flow.title}`, word: "Rename", name: flow.name }, (name) =>
    app.api.patch<Flow>(`flow/${pathOf(flow.name)}`, { name }),
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
}

/** Ask for the name of a flow, call `save` with it, and open the flow. */
function askName(app: App, about: NameDialog, save: (name: string) => Promise<Flow>): Promise<void> {
  return app.dialogs.show((close) => <NameForm app={app} close={close} save={save} {...about} />);
}

function NameForm({
  app,
  close,
  save,
  title,
  word,
  name,
}: NameDialog & { app: App; close: () => void; save: (name: string) => Promise<Flow> }) {
  const [text, setText] = useState(name);
  const [problem, setProblem] = useState("");
  const submit = async () => {
    try {
      const flow = await save(text.trim());
      close();
      app.place.go("flow", flow.name);
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
    </Dialog>
  );
}
