/** The widgets that anywidget loads: the same views in a notebook's output. The trait `view` says which one. */

import { FetchTransport } from "../api/fetch";
import { KernelTransport, type Model } from "../api/kernel";
import type { Transport } from "../api/transport";
import { ScheduleForm } from "../views/widgets/plan";
import { FlowForm, PlayButton } from "../views/widgets/run";
import { addView } from "./frame";
import { MemoryPlace } from "./place";
import { mount } from "./start";
import { followTraits, type Traits } from "./traits";

/** The part of anywidget's model that widgets use. */
interface WidgetModel extends Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, listener: (message: unknown) => void): void;
  off(name: string, listener: (message: unknown) => void): void;
}

interface Rendering {
  model: WidgetModel;
  el: HTMLElement;
}

addView("play", PlayButton);
addView("form", FlowForm);
addView("plan", ScheduleForm);

/** REST of the page's own server, if the extension runs there and knows the user; otherwise the kernel. */
async function transportOf(model: WidgetModel): Promise<Transport> {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  const baseUrl = config ? (JSON.parse(config) as { baseUrl?: string }).baseUrl : undefined;
  if (baseUrl?.startsWith("/")) {
    const transport = new FetchTransport(baseUrl, null);
    const reply = await transport.request({ method: "GET", path: "user/me" }).catch(() => null);
    if (reply?.status === 200) return (await withWorker(baseUrl, String(model.get("events_script")))) ?? transport;
  }
  return new KernelTransport(model);
}

/** Each widget is a module of its own: only a shared worker lets them share one event stream. */
async function withWorker(baseUrl: string, script: string): Promise<Transport | null> {
  const url = `${baseUrl}cloudo/static/${script}`;
  const reply = await fetch(url, { credentials: "same-origin" }).catch(() => null);
  return reply?.ok ? new FetchTransport(baseUrl, url) : null; // a server of another version has another script
}

const traitsOf = (model: WidgetModel): Traits => ({
  get: <T>(name: string) => model.get(name) as T | undefined,
  set: (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  },
  follow: (name, listener) => {
    model.on(`change:${name}`, listener);
    return () => model.off(`change:${name}`, listener);
  },
});

async function render({ model, el }: Rendering): Promise<() => void> {
  // JupyterLab would take keys such as "d", "d" on a row for its own; it asks the focused element first.
  el.addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLElement) target.dataset.lmSuppressShortcuts = "true";
  });
  const traits = traitsOf(model);
  const place = new MemoryPlace(String(model.get("view")));
  const unfollow = followTraits(traits, place);
  const transport = await transportOf(model);
  const close = await mount(el, { transport, place, isPage: false, hasTabs: Boolean(model.get("tabs")), traits });
  return () => {
    unfollow();
    close();
  };
}

export default { render };
