/** More of JupyterLab's types: those of its window, outside of documents. See `jupyterlab.d.ts`. */

declare module "@jupyterlab/statusbar" {
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  export interface IStatusBar {
    registerStatusItem(
      id: string,
      item: { item: Widget; align?: "left" | "middle" | "right"; rank?: number; isActive?: () => boolean },
    ): unknown;
  }
  export const IStatusBar: Token<IStatusBar>;
}

declare module "@jupyterlab/settingregistry" {
  import type { Token } from "@lumino/coreutils";
  import type { ISignal } from "@lumino/signaling";

  export namespace ISettingRegistry {
    interface Settings {
      readonly changed: ISignal<unknown, void>;
      get(key: string): { composite: unknown };
      set(key: string, value: unknown): Promise<void>;
    }
  }
  export interface ISettingRegistry {
    load(plugin: string): Promise<ISettingRegistry.Settings>;
  }
  export const ISettingRegistry: Token<ISettingRegistry>;
}

declare module "@jupyterlab/apputils" {
  export namespace Notification {
    function info(message: string, options?: Options): string;
  }
}

declare module "@jupyterlab/notebook" {
  import type { WidgetTracker } from "@jupyterlab/apputils";
  import type { Context } from "@jupyterlab/docregistry";
  import type { Token } from "@lumino/coreutils";
  import type { ISignal } from "@lumino/signaling";
  import type { Widget } from "@lumino/widgets";

  interface NewCell {
    cell_type: "code";
    source: string;
    metadata: Record<string, unknown>;
  }
  interface NotebookModel {
    readonly readOnly: boolean;
    readonly sharedModel: { insertCell(at: number, cell: NewCell): unknown };
    readonly metadataChanged: ISignal<unknown, unknown>;
    getMetadata(key: string): unknown;
    setMetadata(key: string, value: unknown): void;
    deleteMetadata(key: string): void;
  }
  interface Notebook {
    readonly model: NotebookModel | null;
    activeCellIndex: number;
    mode: "command" | "edit";
    readonly modelContentChanged: ISignal<unknown, void>;
  }
  export interface NotebookPanel {
    readonly context: Context;
  }
  export type INotebookTracker = WidgetTracker<NotebookPanel>;
  export const INotebookTracker: Token<INotebookTracker>;

  /** The widget of the property inspector for notebooks. */
  export interface INotebookTools {
    addSection(section: { sectionName: string; label: string; tool: Widget; rank: number }): void;
  }
  export const INotebookTools: Token<INotebookTools>;
}

declare module "@jupyterlab/property-inspector" {
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  export interface IPropertyInspectorProvider {
    register(widget: Widget): { render(content: Widget): void };
  }
  export const IPropertyInspectorProvider: Token<IPropertyInspectorProvider>;
}
