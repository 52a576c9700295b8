/** Flows in the property inspector: the form for a notebook's metadata, and why a script has none. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { IPropertyInspectorProvider } from "@jupyterlab/property-inspector";
import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import type { OpenNotebook } from "../../frontend/views/lab/properties";
import { hostOf } from "./desk";
import type { NotebookTools } from "./notebook";
import { Panel } from "./panels";
import type { FrontEnd, Server } from "./server";

const KEY = "cloudo";

/** The form, which follows the current notebook. */
export class Properties extends Panel {
  private frontEnd: FrontEnd | null = null;
  private readonly watched = new WeakSet<NotebookPanel>();

  constructor(
    private readonly tools: NotebookTools,
    private readonly notebooks: INotebookTracker,
  ) {
    super(tools.server, tools.trans, (frontEnd, element) => {
      this.frontEnd = frontEnd;
      this.tell();
      return frontEnd.mountSide(element, hostOf(tools.server, tools.desk), "properties");
    });
    this.addClass("cloudo-lab-side");
    notebooks.currentChanged.connect(() => this.watch());
    this.watch();
  }

  private watch(): void {
    const panel = this.notebooks.currentWidget;
    this.tell();
    if (!panel || this.watched.has(panel)) return;
    this.watched.add(panel);
    const { context, content } = panel;
    const tell = () => this.tell();
    context.pathChanged.connect(tell);
    context.saveState.connect(tell);
    void context.ready.then(() => {
      content.model?.metadataChanged.connect(tell);
      tell();
    });
  }

  private tell(): void {
    if (this.frontEnd) this.frontEnd.openNotebook.value = this.current();
  }

  private current(): OpenNotebook | null {
    const panel = this.notebooks.currentWidget;
    const model = panel?.content.model;
    if (!panel || !model) return null;
    const { id, context } = panel;
    const metadata = model.getMetadata(KEY) ?? {};
    const isObject = typeof metadata === "object" && !Array.isArray(metadata);
    return {
      id,
      flow: this.tools.server.flowOf(context.localPath),
      metadata: isObject ? (metadata as Record<string, unknown>) : null,
      isReadOnly: model.readOnly,
      savedAt: context.contentsModel?.last_modified ?? "",
      write: (changed) => {
        if (Object.keys(changed).length > 0) model.setMetadata(KEY, changed);
        else model.deleteMetadata(KEY);
      },
      addToFlows: () => void this.tools.app.commands.execute("cloudo:add-to-flows"),
    };
  }
}

/** Say where the metadata of an open script is. */
export function explainScripts(
  app: JupyterFrontEnd,
  server: Server,
  trans: TranslationBundle,
  inspector: IPropertyInspectorProvider,
): void {
  app.docRegistry.addWidgetExtension("Editor", {
    createNew: (editor, { localPath }) => {
      const note = new Widget();
      if (!localPath.endsWith(".py") || server.flowOf(localPath) === null) return note;
      const words = document.createElement("p");
      words.style.margin = "12px";
      words.textContent = trans.__(
        "This flow is a script. Its title, tags and limits are in the comment “# cloudo:” at its top. There is no " +
          "form for them: a form could not keep the comment's layout.",
      );
      note.node.append(words);
      inspector.register(editor).render(note);
      return note;
    },
  });
}
