/** The parameters cell of an open notebook: a command that adds one, and the inputs as the server understands them. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { Context } from "@jupyterlab/docregistry";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import type { Flow, Schema } from "../../frontend/api/types";
import { icon } from "./icon";
import type { Server } from "./server";

const TAG = "parameters";

type NotebookCell = NotebookPanel["content"]["widgets"][number];

/** The first code cell with the tag, as the server reads it. */
function parametersCell({ content }: NotebookPanel): NotebookCell | undefined {
  const isTagged = (tags: unknown) => Array.isArray(tags) && tags.includes(TAG);
  return content.widgets.find(({ model }) => model.type === "code" && isTagged(model.getMetadata("tags")));
}

const canAdd = (panel: NotebookPanel): boolean =>
  panel.content.model !== null && !panel.content.model.readOnly && !parametersCell(panel);

/** Insert the cell before the other code: a heading stays above it. */
async function addCell(panel: NotebookPanel, trans: TranslationBundle): Promise<void> {
  const { content } = panel;
  if (!canAdd(panel)) return;
  const first = content.widgets.findIndex(({ model }) => model.type === "code");
  const at = first < 0 ? content.widgets.length : first;
  const note = trans.__("The inputs of this flow, each with a default, and with a description if you like:");
  const source = [`# ${note}`, '# region: str = "north"  # which region', "# top: int = 10"].join("\n");
  content.model?.sharedModel.insertCell(at, {
    cell_type: "code",
    source,
    metadata: { tags: [TAG], trusted: true },
  });
  content.activeCellIndex = at;
  await content.widgets[at]?.ready; // only then can it take the focus
  content.mode = "edit";
  content.activate();
}

/** Add the command. Returns its id. */
export function addParametersCommand(
  app: JupyterFrontEnd,
  notebooks: INotebookTracker,
  trans: TranslationBundle,
): string {
  const id = "cloudo:add-parameters";
  const current = (): NotebookPanel | null => {
    const panel = notebooks.currentWidget;
    return panel && panel === app.shell.currentWidget && canAdd(panel) ? panel : null;
  };
  app.commands.addCommand(id, {
    label: trans.__("Add parameters cell"),
    caption: trans.__("Add the cell that has the inputs of a flow"),
    icon,
    isEnabled: () => current() !== null,
    execute: async () => {
      const panel = current();
      if (panel) await addCell(panel, trans);
    },
  });
  return id;
}

/** In the toolbar of a flow: a button that adds the cell. Below the cell: its inputs, as of the last save. */
export class Parameters extends Widget {
  private readonly inputs = document.createElement("p");

  constructor(
    private readonly server: Server,
    private readonly trans: TranslationBundle,
    private readonly panel: NotebookPanel,
    private readonly context: Context,
  ) {
    super();
    this.inputs.className = "cloudo-inputs";
    const button = document.createElement("button");
    button.className = "jp-ToolbarButtonComponent cloudo-run-button";
    button.textContent = trans.__("Add parameters cell");
    button.title = trans.__("Add the cell that has the inputs of this flow");
    button.onclick = () => void addCell(panel, trans);
    this.node.append(button);
    this.hide();
    // The model tells of a new cell before the notebook has its widget.
    panel.content.modelContentChanged.connect(() => queueMicrotask(() => this.draw()), this);
    context.saveState.connect((_, state) => {
      if (state === "completed") void this.ask();
    });
    void context.ready.then(() => this.ask());
  }

  private get flow(): string | null {
    return this.server.flowOf(this.context.localPath);
  }

  private draw(): void {
    const cell = parametersCell(this.panel);
    this.setHidden(this.flow === null || !canAdd(this.panel));
    if (!cell) this.inputs.remove();
    else if (this.inputs.parentElement !== cell.node) cell.node.append(this.inputs);
  }

  /** Ask the server for the inputs. Without an answer nothing is said. */
  private async ask(): Promise<void> {
    this.draw();
    const { flow, server } = this;
    if (!flow || server.problem || !parametersCell(this.panel)) return;
    const found = (await server.get(`flow/${encodeURIComponent(flow)}`).catch(() => null)) as Flow | null;
    this.inputs.replaceChildren(...(found ? this.partsOf(found) : []));
  }

  private partsOf({ broken, input_schema }: Flow): (Node | string)[] {
    const { trans } = this;
    if (broken) return [trans.__("This flow cannot run: %1", broken)];
    const { properties = {}, required = [] } = input_schema as Schema;
    const inputs = Object.entries(properties).sort(([, one], [, other]) => orderOf(one) - orderOf(other));
    if (inputs.length === 0) return [trans.__("This flow has no inputs.")];
    return [
      trans.__("Inputs:"),
      ...inputs.map(([name, schema]) => {
        const code = document.createElement("code");
        code.textContent = `${name}: ${String(schema["x-annotation"] ?? typeOf(schema))}`;
        const notes = [
          schema["x-annotation"] === undefined ? "" : trans.__("not checked"),
          required.includes(name) ? trans.__("required") : "",
        ];
        const part = document.createElement("span");
        part.append(code, ` ${notes.filter(Boolean).join(", ")}`);
        return part;
      }),
    ];
  }
}

const orderOf = (schema: Schema): number => Number(schema["x-order"] ?? 0);

/** The type in Python's words. */
function typeOf(schema: Schema): string {
  const { type, format, items } = schema;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (Array.isArray(type)) return type.map((one) => typeOf({ type: one })).join(" | ");
  if (type === "array" && items) return `list[${typeOf(items)}]`;
  return NAMES[(type === "string" && format) || type || ""] ?? "Any";
}

const NAMES: Record<string, string> = {
  string: "str",
  date: "date",
  "date-time": "datetime",
  time: "time",
  integer: "int",
  number: "float",
  boolean: "bool",
  array: "list",
  object: "dict",
  null: "None",
};
