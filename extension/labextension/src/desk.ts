/** What the front end asks of JupyterLab. */

import type { Host } from "../../frontend/app/lab";
import type { Route } from "../../frontend/app/place";

export interface Desk {
  /** Open a view in a panel of its own. */
  open(route: Route): void;
  /** Open a file of the workspace. */
  openFile(path: string): void;
}

export const hostOf = (
  { baseUrl, eventsUrl, version }: Pick<Host, "baseUrl" | "eventsUrl" | "version">,
  desk: Desk,
): Host => ({ baseUrl, eventsUrl, version, ...desk });
