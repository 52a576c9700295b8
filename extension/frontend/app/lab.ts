/** What the extension for JupyterLab imports from the server: panels with the page's views, a sidebar, and counts. */

import { effect, signal } from "@preact/signals";
import { Api, ApiError, segment } from "../api/client";
import { ExecutionNews } from "../api/executions";
import { FetchTransport } from "../api/fetch";
import { Live } from "../api/live";
import { Pace } from "../api/pace";
import type { Execution, Flow, Message, Page } from "../api/types";
import { newFlow } from "../views/flows/files";
import { plan } from "../views/flows/planners";
import { play, playWithInputs } from "../views/flows/run";
import { openNotebook, Properties } from "../views/lab/properties";
import { failedFirst, Sidebar } from "../views/lab/sidebar";
import type { App } from "./context";
import { addView } from "./frame";
import { RunFollower, type RunState } from "./lab-run";
import { MemoryPlace, type Route } from "./place";
import { RunNews, type Story } from "./run-news";
import { mount } from "./start";

/** What JupyterLab does for a view. */
export interface Host {
  baseUrl: string;
  eventsUrl: string | null;
  version: string;
  /** Open a view in a panel of its own. */
  open(route: Route): void;
  /** Open a file of the workspace. */
  openFile(path: string): void;
}

interface PanelOptions extends Host {
  route: Route;
  hasTabs: boolean;
  /** The panel shows another view now. */
  onMove(route: Route): void;
  /** The heading of the view. */
  onTitle(words: string): void;
}

/** Counts for the badge and the status bar. */
export interface Counts {
  running: number;
  questions: number;
}

const COUNT_MS = 500;
/** The server counts executions at most once a second: a look right after a change may be told an older count. */
const SETTLED_MS = 1_100;

addView("sidebar", Sidebar);
addView("properties", Properties);
addView("actions", () => null);

const transportOf = ({ baseUrl, eventsUrl }: Pick<Host, "baseUrl" | "eventsUrl">) =>
  new FetchTransport(baseUrl, eventsUrl);

/** Draw a view with links to all others. Returns the function that removes it, and one that shows another view. */
export async function mountPanel(
  element: HTMLElement,
  { route, hasTabs, onMove, onTitle, ...host }: PanelOptions,
): Promise<{ close: () => void; go: (route: Route) => void }> {
  const place = new MemoryPlace(route.view, route.id);
  place.reset(route);
  const title = signal("");
  const transport = transportOf(host);
  const remove = await mount(element, { transport, place, isPage: false, hasTabs, version: host.version, title });
  const stops = [effect(() => onMove(place.route.value)), effect(() => onTitle(title.value)), openFiles(element, host)];
  return {
    go: ({ view, id, query }) => place.go(view, id, query),
    close: () => [...stops, remove].forEach((stop) => stop()),
  };
}

/** A place whose links open panels in the main area. */
class SidePlace extends MemoryPlace {
  constructor(
    private readonly open: (route: Route) => void,
    view: string,
  ) {
    super(view);
  }

  override go(view: string, id?: string, query: Record<string, string> = {}): void {
    this.open({ view, id, query });
  }
}

/** Draw the sidebar, or the form for the open notebook. Returns the function that removes it. */
export async function mountSide(
  element: HTMLElement,
  host: Host,
  view: "sidebar" | "properties",
): Promise<{ close: () => void }> {
  const place = new SidePlace(host.open, view);
  const { version } = host;
  const remove = await mount(element, { transport: transportOf(host), place, isPage: false, hasTabs: false, version });
  const stop = openFiles(element, host);
  return {
    close: () => {
      stop();
      remove();
    },
  };
}

/** Have links to files of the workspace open them here, rather than in another JupyterLab. */
function openFiles(element: HTMLElement, { baseUrl, openFile }: Host): () => void {
  const root = `${baseUrl}lab/tree/`;
  const follow = (event: MouseEvent) => {
    const href = (event.target as Element).closest("a")?.getAttribute("href");
    if (!href?.startsWith(root) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openFile(decodeURIComponent(href.slice(root.length)));
  };
  element.addEventListener("click", follow);
  return () => element.removeEventListener("click", follow);
}

/** What can be done with flows outside of a panel. */
export interface Actions {
  run(flows: readonly string[]): Promise<void>;
  runWithInputs(flows: readonly string[]): Promise<void>;
  /** Open the form of a library flow that creates schedules. */
  plan(planner: string, flows: readonly string[]): Promise<void>;
  createWebhook(flow: string): Promise<void>;
  /** Run a notebook, as JSON, or the source of a script. */
  runOnce(name: string, source: string): Promise<void>;
  /** Ask for a name and a template. Resolves to null if the dialog was closed. */
  newFlow(): Promise<Flow | null>;
  /** Rejects if no flow can have this name. */
  checkName(name: string): Promise<void>;
  /** Rejects if the name is taken or invalid. */
  createFlow(name: string, source: string): Promise<void>;
}

/** Draw an app that shows only what its actions say and ask. */
export async function mountActions(body: HTMLElement, host: Host): Promise<Actions> {
  const element = document.createElement("div");
  element.className = "cloudo-lab-actions";
  body.append(element);
  const place = new SidePlace(host.open, "actions");
  const { version } = host;
  const app = await new Promise<App>((onApp, reject) => {
    mount(element, { transport: transportOf(host), place, isPage: false, hasTabs: false, version, onApp }).catch(
      reject,
    );
  });
  openFiles(element, host);
  return {
    run: (flows) => play(app, flows),
    runWithInputs: (flows) => playWithInputs(app, flows),
    plan: (planner, flows) => plan(app, planner, flows),
    createWebhook: async (flow) => {
      const { newWebhook } = await import("../views/webhooks/form");
      const webhook = await newWebhook(app, flow);
      if (webhook) host.open({ view: "webhook", id: webhook.name, query: {} });
    },
    runOnce: async (name, script) =>
      app.notices.started([await app.api.post<Execution>("execution", { name, script })]),
    newFlow: () => newFlow(app),
    checkName: async (name) => {
      const error: unknown = await app.api.get(`flow/${segment(name)}`).catch((reason: unknown) => reason);
      if (error instanceof ApiError && error.code === "name_invalid") throw error;
    },
    createFlow: async (name, source) => void (await app.api.post("flow", { name, source })),
  };
}

/** Follow the newest run of a flow. */
export const followRuns = (
  host: Pick<Host, "baseUrl" | "eventsUrl">,
  flow: string,
  isShown: () => boolean,
  tell: (state: RunState) => void,
): RunFollower => new RunFollower(transportOf(host), flow, isShown, tell);

/** Call `tell` with the end and the questions of each of the user's own runs, also of those since `since`. */
export function followOwnRuns(
  host: Pick<Host, "baseUrl" | "eventsUrl">,
  since: number,
  tell: (news: Story) => void,
): void {
  const transport = transportOf(host);
  const api = new Api(transport);
  const live = new Live(transport);
  const executions = new ExecutionNews(api, live);
  const news = new RunNews({ api, executions, live }, { told: new Set(), isWanted: async () => true, tell });
  news.follow();
  live.follow({ resync: () => void news.catchUp(since) });
  live.start();
  void news.catchUp(since);
}

/** Call `tell` with the counts, now and after each change. */
export function followCounts(host: Pick<Host, "baseUrl" | "eventsUrl">, tell: (counts: Counts) => void): void {
  const transport = transportOf(host);
  const api = new Api(transport);
  const live = new Live(transport);
  const pace = new Pace(async () => {
    const counts = await Promise.all([
      api.get<{ by_status: Record<string, number> }>("execution/count"),
      api.get<Page<Message>>("message", { unanswered: true, limit: 100 }),
    ]).catch(() => null); // the views say that the server is away
    if (counts) tell({ running: counts[0].by_status.RUNNING ?? 0, questions: counts[1].items.length });
  }, COUNT_MS);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    pace.want();
    clearTimeout(timer);
    timer = setTimeout(() => pace.want(), SETTLED_MS);
  };
  live.follow({
    news: (news) => {
      const isChange = [...news.of("execution").values()].some(
        (types) => types.size > 1 || !types.has("ExecutionLogged"),
      );
      if (isChange || news.has("message")) look();
    },
    resync: look,
  });
  live.start();
  look();
}

/** Whether the sidebar lists failures first: a setting of JupyterLab, which the sidebar's switch changes, too. */
export { failedFirst };

/** What the form of the property inspector is about. */
export { openNotebook };
