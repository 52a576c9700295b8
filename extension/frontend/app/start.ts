/** Creates an app and draws it into an element. The page, the widget and JupyterLab all start here. */

import { signal, type Signal } from "@preact/signals";
import { render } from "preact";
import { Api } from "../api/client";
import { ExecutionNews } from "../api/executions";
import { Live } from "../api/live";
import type { Transport } from "../api/transport";
import { Dialogs } from "../ui/dialog";
import { Notices } from "../ui/notices";
import type { App } from "./context";
import { drawFrame, loadView } from "./frame";
import type { Place } from "./place";
import type { Traits } from "./traits";

interface Options {
  transport: Transport;
  place: Place;
  isPage: boolean;
  hasTabs?: boolean;
  traits?: Traits;
  version?: string;
  /** Follows the heading of the current view. */
  title?: Signal<string>;
  /** Called with the app before it is drawn. */
  onApp?: (app: App) => void;
  /** Replies that came with the page, by path. */
  preloaded?: Map<string, unknown>;
}

/** Draw an app. Returns the function that removes it. */
export async function mount(
  element: HTMLElement,
  { transport, place, isPage, hasTabs = true, traits, version = "", title = signal(""), preloaded, onApp }: Options,
): Promise<() => void> {
  const live = new Live(transport);
  const api = new Api(transport, preloaded);
  const app: App = {
    api,
    live,
    executions: new ExecutionNews(api, live),
    place,
    notices: new Notices(),
    dialogs: new Dialogs(),
    title,
    isPage,
    hasTabs,
    traits: traits ?? null,
    version,
  };
  onApp?.(app);
  await loadView(place.route.peek().view).catch(() => {}); // the frame shows the error
  element.replaceChildren(); // what the server painted
  render(drawFrame(app), element);
  live.start();
  return () => {
    render(null, element);
    live.stop();
    place.close();
  };
}
