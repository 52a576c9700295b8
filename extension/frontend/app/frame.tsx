/** The frame around the views: header, navigation, banners, toasts, dialogs, and keys. */

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { fetchExecutions } from "../api/executions";
import type { Health } from "../api/types";
import { Button, Empty, IconButton, Link, Skeleton } from "../ui/controls";
import { DialogHost } from "../ui/dialog";
import { Banners, Toasts } from "../ui/notices";
import { PAGE_KEYS, pageKeys } from "../ui/keys";
import { count } from "../ui/words";
import { AppContext, useApp, type App } from "./context";
import { listOf } from "./place";
import { toggleTheme } from "./theme";
import { TITLES, VIEWS } from "./views";

export const TABS = [
  "home",
  "flows",
  "executions",
  "schedules",
  "messages",
  "webhooks",
  "tokens",
  "settings",
  "workers",
] as const;
const WORKERS_MS = 30_000;
/** A worker that is just starting gets a moment before the warning. */
const SECOND_LOOK_MS = 4_000;

export function Frame({ app }: { app: App }) {
  const root = useRef<HTMLDivElement>(null);
  useKeys(app, root);
  useNotifications(app);
  useConnectionBanner(app);
  useHealthBanners(app);
  useToastNews(app);
  const { view } = app.place.route.value;
  useEffect(() => {
    for (const cause of ["view", "start", "act"]) app.notices.set(cause, "");
  }, [view]);
  return (
    <AppContext.Provider value={app}>
      <div ref={root} class={`cloudo ${app.isPage ? "cloudo-page" : "cloudo-output"}`}>
        {app.isPage && (
          <a class="cloudo-skip" href="#cloudo-main">
            Skip to content
          </a>
        )}
        {app.hasTabs ? <Header app={app} /> : <WayBack app={app} />}
        <Banners notices={app.notices} />
        <main class="cloudo-main" id={app.isPage ? "cloudo-main" : undefined}>
          <CurrentView />
        </main>
        <Toasts notices={app.notices} />
        <DialogHost dialogs={app.dialogs} />
      </div>
    </AppContext.Provider>
  );
}

function Header({ app }: { app: App }) {
  const { view } = app.place.route.value;
  const base = app.api.transport.baseUrl;
  const tabs = useRef<HTMLElement>(null);
  // In a narrow window the tabs scroll: show the current one.
  useEffect(() => {
    const row = tabs.current;
    if (!row) return undefined;
    const reach = () => {
      const tab = row.querySelector<HTMLElement>("[aria-current]");
      if (tab) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
    };
    const resized = new ResizeObserver(reach);
    resized.observe(row);
    reach();
    return () => resized.disconnect();
  }, [view]);
  return (
    <header class="cloudo-header">
      {app.isPage && (
        <Link view="flows" class="cloudo-brand" aria-label="Cloudo">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="8" />
            <path d="M10.5 23a5.5 5.5 0 0 1-.6-10.97 7 7 0 0 1 13.5 1.1A5 5 0 0 1 22.5 23Z" />
            <path d="M14 13.8v6.4l5.2-3.2Z" />
          </svg>
          <span>Cloudo</span>
        </Link>
      )}
      <nav class="cloudo-tabs" aria-label="Views" ref={tabs}>
        {TABS.map((tab) => (
          <Link key={tab} view={tab} class="cloudo-tab" aria-current={listOf(view) === tab ? "page" : undefined}>
            {TITLES[tab]}
          </Link>
        ))}
      </nav>
      {app.isPage && (
        <span class="cloudo-header-end">
          <a class="cloudo-header-link" href={`${base}cloudo/explorer`}>
            REST
          </a>
          <a class="cloudo-header-link" href={`${base}lab`}>
            JupyterLab
          </a>
          <IconButton
            icon="help"
            class="cloudo-header-link"
            label="Keyboard shortcuts"
            onClick={(event) => PAGE_KEYS["?"]?.act(app, event.currentTarget.closest<HTMLElement>(".cloudo")!)}
          />
          <IconButton icon="theme" label="Light or dark" onClick={toggleTheme} />
        </span>
      )}
    </header>
  );
}

/** In a widget without tabs: the way back to its own view. */
function WayBack({ app: { place } }: { app: App }) {
  const { view, id } = place.route.value;
  const { home } = place;
  if (!home || (view === home.view && id === home.id)) return null;
  return (
    <nav aria-label="Back">
      <Link {...home} class="cloudo-link cloudo-back">
        Back
      </Link>
    </nav>
  );
}

/** The view of the current route. Views other than the first are fetched when they are first opened. */
function CurrentView() {
  const { place, isPage, title, live } = useApp();
  const { view, id } = place.route.value;
  const [attempt, setAttempt] = useState(0);
  const loaded = useLoadedView(view, attempt);
  const again = () => setAttempt((one) => one + 1);
  useEffect(() => (loaded instanceof Error ? live.follow({ resync: again }) : undefined), [loaded]);
  const heading = title.value;
  useEffect(() => {
    if (isPage) document.title = `${heading || (TITLES[view] ?? "Cloudo")} · Cloudo`;
  }, [heading, view]);
  if (loaded instanceof Error) {
    return (
      <section class="cloudo-view">
        <div class="cloudo-body">
          <Empty title="This view could not be loaded">
            <p>The server may be restarting, or it has a newer version of this page.</p>
            <Button icon="again" onClick={again}>
              Try again
            </Button>
          </Empty>
        </div>
      </section>
    );
  }
  const View = loaded;
  return View ? (
    <View key={`${view} ${id ?? ""}`} />
  ) : (
    <section class="cloudo-view">
      <div class="cloudo-body">
        <Skeleton />
      </div>
    </section>
  );
}

const fetched = new Map<string, ComponentType>();

/** Add a view that only widgets have. */
export const addView = (view: string, component: ComponentType): unknown => fetched.set(view, component);

/** Fetch the code of a view ahead of time. */
export async function loadView(view: string): Promise<void> {
  const load = VIEWS[view];
  if (load && !fetched.has(view)) fetched.set(view, await load());
}

function useLoadedView(view: string, attempt: number): ComponentType | Error | null {
  const [, setTurn] = useState(0);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    setError(null);
    if (fetched.has(view)) return;
    loadView(view).then(
      () => setTurn((turn) => turn + 1),
      (reason: unknown) => setError(reason instanceof Error ? reason : new Error(String(reason))),
    );
  }, [view, attempt]);
  return fetched.get(view) ?? error;
}

/** The keys of the page. Inside a notebook's output only those that are pressed there. */
function useKeys(app: App, root: { current: HTMLElement | null }): void {
  useEffect(() => {
    const onKey = pageKeys(app, () => root.current);
    const listener: HTMLElement | Document | null = app.isPage ? document : root.current;
    listener?.addEventListener("keydown", onKey as EventListener);
    return () => listener?.removeEventListener("keydown", onKey as EventListener);
  }, []);
}

/** Fetch what tells of runs, in a browser in which it is turned on: also later, in another tab. */
function useNotifications(app: App): void {
  useEffect(() => {
    if (!app.isPage) return undefined;
    const follow = () => {
      try {
        if (localStorage.getItem("cloudo-notifications")) {
          void import("./notifications").then(({ followRuns }) => followRuns(app));
        }
      } catch {
        // no storage, no notifications
      }
    };
    follow();
    addEventListener("storage", follow);
    return () => removeEventListener("storage", follow);
  }, []);
}

/** Say when the server is away, and when the session has expired. */
function useConnectionBanner({ live, api, notices }: App): void {
  const isLost = live.isConnected.value === false;
  const isSignedOut = api.isSignedOut.value;
  const isAway = api.isAway.value;
  const isWrong = isLost || isSignedOut || isAway;
  /** Whether it was looked if the server answers: short outages are not worth a banner. */
  const [isChecked, setChecked] = useState(false);
  useEffect(() => {
    const check = () => void api.checkSession().then(() => setChecked(true));
    const first = isWrong ? setTimeout(check, 500) : undefined;
    const timer = isWrong ? setInterval(check, 5_000) : undefined;
    addEventListener("offline", check);
    addEventListener("online", check);
    return () => {
      setChecked(false);
      clearTimeout(first);
      clearInterval(timer);
      removeEventListener("offline", check);
      removeEventListener("online", check);
    };
  }, [isWrong]);
  // The stream may have survived what a request has not.
  useEffect(() => (isAway ? () => live.resync() : undefined), [isAway]);
  useEffect(() => {
    const away = navigator.onLine
      ? "The server cannot be reached. This page continues when it answers."
      : "You are offline. This page continues when the connection is back.";
    const words = isAway ? away : "Reconnecting to the server. This page continues by itself.";
    if (isSignedOut) {
      const act = () => void open(`${api.transport.baseUrl ?? "/"}login`, "_blank", "noopener");
      const expired = "Your session has expired. Log in again; what you typed here stays.";
      notices.set("connection", expired, { action: { word: "Log in", act } });
    } else notices.set("connection", isAway || (isLost && isChecked) ? words : "", { kind: "warning" });
  }, [isLost, isSignedOut, isAway, isChecked]);
}

/** Warn when no worker would run what is started, and when the server has another version than this page. */
function useHealthBanners({ api, notices, live, version }: App): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const check = async (isSecond: boolean) => {
      clearTimeout(timer);
      // It answers 503 when no worker is alive, with the same record.
      const reply = await api.transport.request({ method: "GET", path: "health" }).catch(() => null);
      const health = reply && typeof reply.body === "object" ? (reply.body as Health | null) : null;
      const isOld = Boolean(version && health?.version && health.version !== version);
      const reload = { word: "Reload", act: () => location.reload() };
      const other = `The server now has version ${health?.version}; this page is of ${version}. Reload it to go on.`;
      notices.set("version", isOld ? other : "", { kind: "warning", action: reload });
      const isBad = health !== null && health.status === "no worker";
      const overdue = health?.overdue_schedules ?? 0;
      const late = overdue > 0 && `${count(overdue, "schedule")} ${overdue === 1 ? "is" : "are"} overdue`;
      const words = `No worker is running: ${late || "executions stay pending"}. Start one with: cloudo worker`;
      if (!isBad) notices.set("workers", "");
      else if (isSecond) notices.set("workers", words, { kind: "warning" });
      timer = setTimeout(() => void check(isBad), isBad && !isSecond ? SECOND_LOOK_MS : WORKERS_MS);
    };
    // Not before the first view has its rows.
    timer = setTimeout(() => void check(false), 1_000);
    const unfollow = live.follow({
      news: (news) => void (news.has("worker") && check(false)),
      resync: () => void check(false),
    });
    return () => {
      clearTimeout(timer);
      unfollow();
    };
  }, []);
}

/** Keep the toasts of started executions up to date. */
function useToastNews({ api, executions, notices, live }: App): void {
  useEffect(() => {
    const unfollow = executions.follow((changed) => notices.follow(changed));
    const resync = async () => notices.follow(await fetchExecutions(api, notices.pending).catch(() => []));
    const end = live.follow({ resync: () => void resync() });
    return () => {
      unfollow();
      end();
    };
  }, []);
}

/** The frame as an element, for modules without JSX. */
export const drawFrame = (app: App) => <Frame app={app} />;
