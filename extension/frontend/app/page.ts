/** The page at `<base>cloudo/`: reads what the server sent with it, and mounts the app. */

import { FetchTransport } from "../api/fetch";
import { AddressPlace } from "./place";
import { mount } from "./start";
import { followSystemTheme } from "./theme";

const shell = document.getElementById("cloudo");
const data = document.getElementById("cloudo-data");
if (shell && data) {
  followSystemTheme();
  const { baseUrl = "/", eventsUrl, lastEvent, version } = shell.dataset;
  const preloaded = new Map(Object.entries(JSON.parse(data.textContent || "{}") as Record<string, unknown>));
  const transport = new FetchTransport(baseUrl, eventsUrl ?? null, lastEvent ? Number(lastEvent) : null);
  void mount(shell, { transport, place: new AddressPlace(`${baseUrl}cloudo/`), isPage: true, version, preloaded });
}
