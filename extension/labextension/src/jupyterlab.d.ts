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
    connect(slot: (sender: Sender, args: Args) => void): boolean;
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
  import type { CommandRegistry } from "@lumino/commands";
  import type { Token } from "@lumino/coreutils";
  import type { ISignal } from "@lumino/signaling";
  import type { Widget } from "@lumino/widgets";
  import type { WidgetTracker } from "@jupyterlab/apputils";

  interface Shell {
    add(widget: Widget, area?: string, options?: { rank?: number; mode?: string }): void;
    activateById(id: string): void;
    readonly currentWidget: Widget | null;
    readonly currentChanged?: ISignal<unknown, unknown>;
  }
  export interface JupyterFrontEnd {
    readonly name: string;
    readonly commands: CommandRegistry;
    readonly shell: Shell;
    readonly restored: Promise<unknown>;
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
  import type { Widget } from "@lumino/widgets";

  export interface ICommandPalette {
    addItem(item: { command: string; category: string; args?: Readonly<Record<string, unknown>> }): unknown;
  }
  export const ICommandPalette: Token<ICommandPalette>;

  export class WidgetTracker<T extends Widget = Widget> {
    constructor(options: { namespace: string });
    add(widget: T): Promise<void>;
    save(widget: T): Promise<void>;
    find(test: (widget: T) => boolean): T | undefined;
  }
}

declare module "@jupyterlab/launcher" {
  import type { Token } from "@lumino/coreutils";

  export interface ILauncher {
    add(item: { command: string; category?: string; rank?: number; args?: Readonly<Record<string, string>> }): unknown;
  }
  export const ILauncher: Token<ILauncher>;
}
