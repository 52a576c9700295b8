/** The user's choices, in JupyterLab's settings editor under *Cloudo*. */

import type { ISettingRegistry } from "@jupyterlab/settingregistry";
import type { Server } from "./server";

const PLUGIN = "cloudo:plugin";

/** Which runs JupyterLab notifies about. */
export type Notifications = "all" | "problems" | "none";

export class Settings {
  private loaded: ISettingRegistry.Settings | null = null;

  /** Without a registry, such as in an application that has none, the defaults hold. */
  async load(registry: ISettingRegistry | null): Promise<void> {
    this.loaded = (await registry?.load(PLUGIN).catch(() => null)) ?? null; // JupyterLab says why
  }

  get notifications(): Notifications {
    return (this.loaded?.get("notifications").composite ?? "all") as Notifications;
  }

  /** Keep the order of the sidebar and the setting the same. */
  bindOrder(server: Server): void {
    const { loaded } = this;
    if (!loaded) return;
    const current = () => loaded.get("failedFirst").composite === true;
    server.onLoaded(({ failedFirst }) => {
      failedFirst.value = current();
      loaded.changed.connect(() => {
        failedFirst.value = current();
      });
      failedFirst.subscribe((isFirst) => {
        if (isFirst !== current()) void loaded.set("failedFirst", isFirst);
      });
    });
  }
}
