/** What every view and component can reach: requests, news, the place, and what is said across views. */

import type { Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect, useRef } from "preact/hooks";
import type { Api } from "../api/client";
import type { ExecutionFollower, ExecutionNews } from "../api/executions";
import type { Live } from "../api/live";
import type { Dialogs } from "../ui/dialog";
import type { Notices } from "../ui/notices";
import type { Place } from "./place";
import type { Traits } from "./traits";

export interface App {
  api: Api;
  live: Live;
  executions: ExecutionNews;
  place: Place;
  notices: Notices;
  dialogs: Dialogs;
  /** The heading of the current view; the page shows it in its title. */
  title: Signal<string>;
  /** Whether it is the page, with its own header and theme, rather than an output of a notebook. */
  isPage: boolean;
  /** Whether the tabs are above the view. Without them it is one view of a widget. */
  hasTabs: boolean;
  /** What a widget shares with its Python object; null in the page. */
  traits: Traits | null;
  /** The version of the server that has sent the page; empty for a widget. */
  version: string;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("This component must be inside a Cloudo app.");
  return app;
}

/** Call `follower` with changed and deleted executions while the component is there. */
export function useExecutionNews(follower: ExecutionFollower): void {
  const { executions } = useApp();
  const latest = useRef(follower);
  latest.current = follower;
  useEffect(() => executions.follow((changed, deleted) => latest.current(changed, deleted)), [executions]);
}
