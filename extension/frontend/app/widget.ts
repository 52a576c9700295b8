/** The widget that anywidget loads: the same views in a notebook's output. */

import { FetchTransport } from "../api/fetch";
import { KernelTransport, type Model } from "../api/kernel";
import type { Transport } from "../api/transport";
import { MemoryPlace } from "./place";
import { mount } from "./start";

interface WidgetModel extends Model {
  get(name: "view"): string;
}

interface Rendering {
  model: WidgetModel;
  el: HTMLElement;
}

/** REST of the page's own server, if the extension runs there and knows the user; otherwise the kernel. */
async function transportOf(model: WidgetModel): Promise<Transport> {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  const baseUrl = config ? (JSON.parse(config) as { baseUrl?: string }).baseUrl : undefined;
  if (baseUrl?.startsWith("/")) {
    const transport = new FetchTransport(baseUrl, null);
    const reply = await transport.request({ method: "GET", path: "user/me" }).catch(() => null);
    if (reply?.status === 200) return transport;
  }
  return new KernelTransport(model);
}

async function render({ model, el }: Rendering): Promise<() => void> {
  // JupyterLab would take keys such as "d", "d" on a row for its own; it asks the focused element first.
  el.addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLElement) target.dataset.lmSuppressShortcuts = "true";
  });
  return mount(el, { transport: await transportOf(model), place: new MemoryPlace(model.get("view")), isPage: false });
}

export default { render };
