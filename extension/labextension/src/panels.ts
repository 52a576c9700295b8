/** The panels: one of JupyterLab's widgets around a view of the front end, which is fetched when the panel is seen. */

import { Widget } from "@lumino/widgets";
import type { TranslationBundle } from "@jupyterlab/translation";
import type { Route } from "../../frontend/app/place";
import { hostOf, type Desk } from "./desk";
import { icon } from "./icon";
import type { FrontEnd, Server } from "./server";

/** A view that is drawn. Only those of the main area go elsewhere. */
interface Drawn {
  close(): void;
  go?(route: Route): void;
}

/** Draws a view into an element. */
type Draw = (frontEnd: FrontEnd, element: HTMLElement) => Promise<Drawn>;

/** A widget that fetches and draws its view when it is first visible. */
export class Panel extends Widget {
  private isDrawn = false;
  protected drawn: Drawn | null = null;

  constructor(
    private readonly server: Server,
    protected readonly trans: TranslationBundle,
    private readonly draw: Draw,
  ) {
    super();
    this.addClass("cloudo-lab");
    this.title.icon = icon;
    this.node.tabIndex = -1;
    this.disposed.connect(() => this.drawn?.close());
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) void this.open();
  }

  protected override onAfterShow(): void {
    void this.open();
  }

  protected override onActivateRequest(): void {
    if (!this.node.contains(document.activeElement)) this.node.focus();
  }

  private async open(): Promise<void> {
    if (this.isDrawn) return;
    this.isDrawn = true;
    this.node.setAttribute("aria-busy", "true");
    try {
      const frontEnd = await this.server.frontEnd();
      if (!this.isDisposed) this.drawn = await this.draw(frontEnd, this.node);
      if (this.isDisposed) this.drawn?.close();
    } catch (error) {
      this.fail(error);
    } finally {
      this.node.removeAttribute("aria-busy");
    }
  }

  /** Show why there is nothing, and a button for another attempt. */
  private fail(error: unknown): void {
    const words = document.createElement("p");
    words.setAttribute("role", "alert");
    words.style.margin = "12px";
    words.textContent = error instanceof Error ? error.message : String(error);
    const again = document.createElement("button");
    again.className = "jp-mod-styled";
    again.style.margin = "0 12px";
    again.textContent = this.trans.__("Try again");
    again.onclick = () => {
      this.isDrawn = false;
      this.node.replaceChildren();
      void this.open();
    };
    this.node.replaceChildren(words, again);
  }
}

const LABELS: Record<string, string> = {
  flow: "Flow",
  execution: "Execution",
  message: "Message",
};

/** The name of the panel for a route: single objects have one each, all lists share the dashboard's. */
export const panelName = ({ view, id }: Route): string => (id ? `${view}:${id}` : "dashboard");

/** The dashboard, or one flow, execution or other object, in the main area. */
export class MainPanel extends Panel {
  /** The view that it shows now, which is restored after a reload. */
  route: Route;

  constructor(server: Server, trans: TranslationBundle, desk: Desk, start: Route, moved: (panel: MainPanel) => void) {
    super(server, trans, (frontEnd, element) =>
      frontEnd.mountPanel(element, {
        ...hostOf(server, desk),
        route: this.route,
        hasTabs: !start.id,
        onMove: (route) => {
          this.route = route;
          moved(this);
        },
        onTitle: (words) => {
          if (words && start.id) this.title.label = words;
        },
      }),
    );
    this.route = start;
    this.id = `cloudo-${panelName(start)}`;
    this.title.closable = true;
    this.title.label = start.id?.split("/").at(-1) ?? trans.__("Cloudo");
    this.title.caption = start.id
      ? `${trans.__(LABELS[start.view] ?? "Cloudo")}: ${start.id}`
      : trans.__("Cloudo dashboard");
  }

  /** Show another view. */
  go(route: Route): void {
    if (this.drawn?.go) this.drawn.go(route);
    else this.route = route;
  }
}

/** The sidebar: flows, executions and input requests. */
export class SidePanel extends Panel {
  constructor(server: Server, trans: TranslationBundle, desk: Desk) {
    super(server, trans, (frontEnd, element) => frontEnd.mountSide(element, hostOf(server, desk), "sidebar"));
    this.id = "cloudo-sidebar";
    this.addClass("cloudo-lab-side");
    this.title.caption = trans.__("Cloudo");
  }

  /** Show the number of open input requests on the sidebar's tab. */
  set questions(count: number) {
    const { trans, title } = this;
    title.caption =
      count === 0
        ? trans.__("Cloudo")
        : trans._n("Cloudo: %1 input request", "Cloudo: %1 input requests", count, count);
    // JupyterLab finds the tab by what else is in there.
    title.dataset = { ...title.dataset, "cloudo-questions": count > 99 ? "99+" : String(count || "") };
  }
}
