/**
 * What this extension uses of JupyterLab's and Lumino's own types. The packages with all of them are 397 packages of
 * npm, which would be installed for nothing but the type checker; see docs/decisions/0025-jupyterlab.md.
 */

declare module "@lumino/coreutils" {
  export class Token<T> {
    constructor(name: string, description?: string);
    readonly name: string;
    /** Never there: it ties the token to its type. */
    readonly _type?: T;
  }
}

declare module "@lumino/signaling" {
  export interface ISignal<Sender, Args> {
    connect(slot: (sender: Sender, args: Args) => void, owner?: unknown): boolean;
    disconnect(slot: (sender: Sender, args: Args) => void): boolean;
  }
}

declare module "@lumino/disposable" {
  export interface IDisposable {
    readonly isDisposed: boolean;
    dispose(): void;
  }
}

declare module "@lumino/widgets" {
  import type { ISignal } from "@lumino/signaling";
  import type { LabIcon } from "@jupyterlab/ui-components";

  interface Title {
    label: string;
    caption: string;
    className: string;
    closable: boolean;
    icon: LabIcon | undefined;
    dataset: Readonly<Record<string, string>>;
  }

  export class Widget {
    constructor(options?: { node?: HTMLElement });
    id: string;
    readonly node: HTMLElement;
    readonly title: Title;
    readonly isDisposed: boolean;
    readonly isAttached: boolean;
    readonly isVisible: boolean;
    readonly disposed: ISignal<this, void>;
    addClass(name: string): void;
    hide(): void;
    setHidden(isHidden: boolean): void;
    activate(): void;
    dispose(): void;
    protected onAfterAttach(message: unknown): void;
    protected onAfterShow(message: unknown): void;
    protected onActivateRequest(message: unknown): void;
  }
}

declare module "@lumino/commands" {
  import type { IDisposable } from "@lumino/disposable";
  import type { LabIcon } from "@jupyterlab/ui-components";

  type Arguments = Readonly<Record<string, unknown>>;
  type Text = string | ((args: Arguments) => string);

  interface Command {
    label: Text;
    caption?: Text;
    icon?: LabIcon | ((args: Arguments) => LabIcon | undefined);
    isEnabled?: (args: Arguments) => boolean;
    isVisible?: (args: Arguments) => boolean;
    isToggled?: (args: Arguments) => boolean;
    describedBy?: { args: object | null };
    execute: (args: Arguments) => unknown;
  }

  export class CommandRegistry {
    addCommand(id: string, command: Command): IDisposable;
    hasCommand(id: string): boolean;
    execute(id: string, args?: Arguments): Promise<unknown>;
    notifyCommandChanged(id?: string): void;
  }
}

declare module "@jupyterlab/ui-components" {
  export class LabIcon {
    constructor(options: { name: string; svgstr: string });
    element(options?: { className?: string; tag?: string }): HTMLElement;
  }
}

declare module "@jupyterlab/coreutils" {
  export namespace PageConfig {
    function getOption(name: string): string;
    function getBaseUrl(): string;
  }
}

declare module "@jupyterlab/translation" {
  import type { Token } from "@lumino/coreutils";

  export interface TranslationBundle {
    __(text: string, ...values: unknown[]): string;
    _n(one: string, many: string, count: number, ...values: unknown[]): string;
  }
  export interface ITranslator {
    load(domain: string): TranslationBundle;
  }
  export const ITranslator: Token<ITranslator>;
  export const nullTranslator: ITranslator;
}

declare module "@jupyterlab/application" {
  import type { Context } from "@jupyterlab/docregistry";
  import type { IDisposable } from "@lumino/disposable";
  import type { CommandRegistry } from "@lumino/commands";
  import type { Token } from "@lumino/coreutils";
  import type { ISignal } from "@lumino/signaling";
  import type { Widget } from "@lumino/widgets";
  import type { WidgetTracker } from "@jupyterlab/apputils";

  interface Shell {
    add(widget: Widget, area?: string, options?: { rank?: number; mode?: string }): void;
    activateById(id: string): void;
    widgets(area: string): Iterable<Widget>;
    readonly currentWidget: Widget | null;
    readonly currentChanged?: ISignal<unknown, unknown>;
  }
  export interface JupyterFrontEnd {
    readonly name: string;
    readonly commands: CommandRegistry;
    readonly shell: Shell;
    readonly restored: Promise<unknown>;
    readonly docRegistry: {
      addWidgetExtension(
        factory: string,
        extension: { createNew(widget: Widget, context: Context): IDisposable },
      ): IDisposable;
    };
    /** The nearest node around the last context menu for which `test` is true. */
    contextMenuHitTest(test: (node: HTMLElement) => boolean): HTMLElement | undefined;
  }
  export interface JupyterFrontEndPlugin<T> {
    id: string;
    description?: string;
    autoStart?: boolean;
    requires?: Token<unknown>[];
    optional?: Token<unknown>[];
    activate: (app: JupyterFrontEnd, ...services: never[]) => T;
  }
  export interface ILayoutRestorer {
    add(widget: Widget, name: string): void;
    restore<T extends Widget>(
      tracker: WidgetTracker<T>,
      options: {
        command: string;
        name: (widget: T) => string;
        args?: (widget: T) => Readonly<Record<string, string>>;
      },
    ): Promise<unknown>;
  }
  export const ILayoutRestorer: Token<ILayoutRestorer>;
}

declare module "@jupyterlab/apputils" {
  import type { Token } from "@lumino/coreutils";
  import type { ISignal } from "@lumino/signaling";
  import type { Widget } from "@lumino/widgets";

  export interface ICommandPalette {
    addItem(item: { command: string; category: string; args?: Readonly<Record<string, unknown>> }): unknown;
  }
  export const ICommandPalette: Token<ICommandPalette>;

  export namespace Dialog {
    interface Button {
      label: string;
      accept: boolean;
      actions: string[];
    }
    function cancelButton(options?: Partial<Button>): Readonly<Button>;
    function okButton(options?: Partial<Button>): Readonly<Button>;
    function warnButton(options?: Partial<Button>): Readonly<Button>;
  }
  export function showErrorMessage(title: string, error: string): Promise<void>;
  export function showDialog<T>(options: {
    title: string;
    body: string | (Widget & { getValue(): T });
    buttons?: readonly Readonly<Dialog.Button>[];
    focusNodeSelector?: string;
  }): Promise<{ button: Dialog.Button; value: T | null }>;

  export namespace Notification {
    interface Options {
      autoClose?: number | false;
      actions?: { label: string; callback: (event: MouseEvent) => void }[];
    }
    function error(message: string, options?: Options): string;
    function success(message: string, options?: Options): string;
    function warning(message: string, options?: Options): string;
  }

  export class WidgetTracker<T extends Widget = Widget> {
    constructor(options: { namespace: string });
    add(widget: T): Promise<void>;
    save(widget: T): Promise<void>;
    find(test: (widget: T) => boolean): T | undefined;
    readonly currentWidget: T | null;
    readonly currentChanged: ISignal<unknown, T | null>;
  }
}

declare module "@jupyterlab/launcher" {
  import type { Token } from "@lumino/coreutils";

  export interface ILauncher {
    add(item: { command: string; category?: string; rank?: number; args?: Readonly<Record<string, unknown>> }): unknown;
  }
  export const ILauncher: Token<ILauncher>;
}

declare module "@jupyterlab/services" {
  export namespace Contents {
    interface Model {
      path: string;
      name: string;
      type: string;
      content: unknown;
    }
    interface Manager {
      get(path: string, options?: { content?: boolean }): Promise<Model>;
      save(path: string, options: Partial<Model>): Promise<Model>;
      rename(path: string, newPath: string): Promise<Model>;
      localPath(path: string): string;
    }
  }
}

declare module "@jupyterlab/docregistry" {
  import type { ISignal } from "@lumino/signaling";

  export interface Context {
    readonly path: string;
    readonly localPath: string;
    readonly ready: Promise<void>;
    readonly contentsModel: { readonly last_modified: string } | null;
    readonly model: { readonly dirty: boolean };
    readonly pathChanged: ISignal<unknown, string>;
    readonly saveState: ISignal<unknown, "started" | "completed" | "failed" | "completed manually">;
    save(): Promise<void>;
  }
}

declare module "@jupyterlab/docmanager" {
  import type { Context } from "@jupyterlab/docregistry";
  import type { Contents } from "@jupyterlab/services";
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  export interface IDocumentManager {
    readonly services: { readonly contents: Contents.Manager };
    contextForWidget(widget: Widget): Context | undefined;
    findWidget(path: string, factory?: string | null): Widget | undefined;
  }
  export const IDocumentManager: Token<IDocumentManager>;
}

declare module "@jupyterlab/filebrowser" {
  import type { WidgetTracker } from "@jupyterlab/apputils";
  import type { Contents } from "@jupyterlab/services";
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  interface FileBrowser extends Widget {
    selectedItems(): Iterable<Contents.Model>;
  }
  export interface IFileBrowserFactory {
    readonly tracker: WidgetTracker<FileBrowser>;
  }
  export const IFileBrowserFactory: Token<IFileBrowserFactory>;
}

declare module "@jupyterlab/notebook" {
  import type { Widget } from "@lumino/widgets";

  type Bundle = Record<string, unknown>;

  interface CellModel {
    readonly id: string;
    readonly type: string;
    readonly sharedModel: { getSource(): string };
    getMetadata(key: string): unknown;
  }
  interface NotebookCell extends Widget {
    readonly ready: Promise<void>;
    readonly model: CellModel;
  }
  interface RenderMime {
    preferredMimeType(bundle: Bundle, safe: "ensure"): string | undefined;
    createRenderer(kind: string): Widget & { renderModel(model: unknown): Promise<void> };
    createModel(options: { data: Bundle; trusted: boolean }): unknown;
  }
  interface Notebook extends Widget {
    readonly widgets: readonly NotebookCell[];
    readonly rendermime: RenderMime;
  }
  export interface NotebookPanel extends Widget {
    readonly content: Notebook;
    readonly contentHeader: Widget & { addWidget(widget: Widget): void };
    readonly toolbar: Widget & { insertAfter(at: string, name: string, widget: Widget): boolean };
  }
}
