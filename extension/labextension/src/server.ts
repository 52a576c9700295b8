/** The server's part of Cloudo: whether it is there, and the front end that it serves. */

import { PageConfig } from "@jupyterlab/coreutils";
import type { TranslationBundle } from "@jupyterlab/translation";
import type * as Lab from "../../frontend/app/lab";
import type { Actions } from "../../frontend/app/lab";
import type { FileCell } from "./cells";
import { hostOf, type Desk } from "./desk";

declare const VERSION: string;

export type FrontEnd = typeof Lab;

/** What the server's extension puts into the page's configuration. Addresses are below the base URL. */
interface Part {
  version: string;
  /** Null if the front end is not built. */
  script: string | null;
  style: string | null;
  events: string | null;
  /** The workspace below the server's root folder, without slashes around it; null if it is elsewhere. */
  workspace: string | null;
}

/** Why there is no front end, and what to do about it. */
export class Unusable extends Error {}

export class Server {
  readonly baseUrl = PageConfig.getBaseUrl().replace(location.origin, "");
  private readonly part: Part | null;
  private imported: Promise<FrontEnd> | null = null;
  private acting: Promise<Actions> | null = null;
  private loaded: FrontEnd | null = null;
  private readonly waiting: ((frontEnd: FrontEnd) => void)[] = [];

  constructor(private readonly trans: TranslationBundle) {
    const part = PageConfig.getOption("cloudo");
    this.part = part ? (JSON.parse(part) as Part) : null;
  }

  get version(): string {
    return this.part?.version ?? "";
  }

  get eventsUrl(): string | null {
    return this.part?.events ? this.baseUrl + this.part.events : null;
  }

  /** The path for JupyterLab of a file of the workspace; null if the workspace is outside of the root folder. */
  pathOf(path: string): string | null {
    if (!this.part || this.part.workspace === null) return null;
    return this.part.workspace ? `${this.part.workspace}/${path}` : path;
  }

  /** The folder of the flows for JupyterLab; null if it is outside of the server's root folder. */
  get flowsFolder(): string | null {
    return this.pathOf("flows");
  }

  /** Why JupyterLab cannot open, save or move files of the workspace, and what to do about it. */
  get outside(): string {
    return this.trans.__(
      "The workspace of Cloudo is outside of this server's root folder, %1. Start the server in the workspace, or set " +
        "c.Cloudo.workspace to a folder below the root.",
      PageConfig.getOption("serverRoot"),
    );
  }

  /** The name of the flow that a file is, or null. */
  flowOf(path: string): string | null {
    const folder = `${this.flowsFolder}/`;
    return this.flowsFolder !== null && path.startsWith(folder)
      ? path.slice(folder.length).replace(/\.(ipynb|py)$/, "")
      : null;
  }

  /** What the front end does with flows outside of a panel; its dialogs are above everything. */
  async actions(desk: Desk): Promise<Actions> {
    const frontEnd = await this.frontEnd();
    this.acting ??= frontEnd.mountActions(document.body, hostOf(this, desk));
    return this.acting;
  }

  /** The cells of the executed notebook of a run. */
  async executedNotebook(id: string): Promise<FileCell[]> {
    return ((await this.get(`execution/${id}/notebook?format=ipynb`)) as { cells: FileCell[] }).cells;
  }

  /** Ask REST. For what has to be known before the front end is loaded. */
  async get(path: string): Promise<unknown> {
    const reply = await fetch(`${this.baseUrl}cloudo/api/1/${path}`, { credentials: "same-origin" });
    const body = (await reply.json()) as { error?: { message: string } };
    if (!reply.ok) throw new Error(body.error?.message ?? this.trans.__("The server answered %1.", reply.status));
    return body;
  }

  /** Call `act` once the front end is loaded, which may be now. */
  onLoaded(act: (frontEnd: FrontEnd) => void): void {
    if (this.loaded) act(this.loaded);
    else this.waiting.push(act);
  }

  /** Why Cloudo cannot work here; empty if it can. */
  get problem(): string {
    const { part, trans } = this;
    if (!part) {
      return trans.__(
        "This server does not run Cloudo. Install cloudo in the environment of the server, then restart the server. " +
          "If it is installed: jupyter server extension enable cloudo_extension",
      );
    }
    if (part.version !== VERSION) {
      return trans.__(
        "JupyterLab has Cloudo %1, and the server runs Cloudo %2. If you have upgraded Cloudo, restart the server. " +
          "Otherwise install cloudo %2 in the environment of JupyterLab, then reload this page.",
        VERSION,
        part.version,
      );
    }
    if (!part.script) return trans.__("The front end is not built. Run make frontend, then reload this page.");
    return "";
  }

  /** Import the views from the server. Rejects with `Unusable`. */
  frontEnd(): Promise<FrontEnd> {
    this.imported ??= this.load();
    this.imported.catch(() => (this.imported = null)); // the next panel tries again
    return this.imported;
  }

  private async load(): Promise<FrontEnd> {
    if (this.problem || !this.part?.script) throw new Unusable(this.problem);
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = this.baseUrl + this.part.style;
    const isStyled = new Promise((resolve, reject) => {
      link.onload = resolve;
      link.onerror = reject;
    });
    document.head.append(link);
    try {
      const [frontEnd] = await Promise.all([
        import(new URL(this.baseUrl + this.part.script, location.href).href) as Promise<FrontEnd>,
        isStyled,
      ]);
      this.loaded = frontEnd;
      for (const act of this.waiting.splice(0)) act(frontEnd);
      return frontEnd;
    } catch (error) {
      link.remove();
      const updated = this.trans.__("Cloudo was updated on the server. Reload this page.");
      throw new Unusable((await this.outage()) || updated, { cause: error });
    }
  }

  /** Why the server refuses everything, and what to do about it; empty if it does not. */
  async outage(): Promise<string> {
    const { trans, baseUrl } = this;
    const reply = await fetch(`${baseUrl}cloudo/api/1/user/me`).catch(() => null);
    if (!reply) return trans.__("The server cannot be reached. Start it, then try again.");
    return reply.status === 401 || reply.status === 403
      ? trans.__("Your session has expired. Log in again in another tab, then try again.")
      : "";
  }
}
