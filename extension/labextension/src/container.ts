/**
 * The entry of the extension, in the form that JupyterLab loads: a module-federation container. It takes the modules
 * that JupyterLab shares, and hands out the plugins. `extension/frontend/labextension.mjs` replaces the imports of
 * those modules; see docs/decisions/0025-jupyterlab.md.
 */

import { shared } from "./shared";

/** The names of the shared modules that the plugins import; the build finds them. */
declare const SHARED: readonly string[];

/** Modules by name and version. */
type Scope = Record<string, Record<string, { get(): Promise<() => unknown> }>>;

let scope: Scope = {};

const collator = new Intl.Collator("en", { numeric: true });

/** Load the newest version, as JupyterLab does. A module that this application lacks is empty. */
async function load(name: string): Promise<void> {
  const versions = scope[name] ?? {};
  const newest = Object.keys(versions).sort(collator.compare).at(-1);
  shared[name] = newest === undefined ? {} : (await versions[newest]!.get())();
}

const containers = ((globalThis as { _JUPYTERLAB?: Record<string, unknown> })._JUPYTERLAB ??= {});

containers.cloudo = {
  init: (given: Scope) => void (scope = given),
  get: async () => {
    await Promise.all(SHARED.map(load));
    const { default: plugin } = await import("./index");
    const exported = { __esModule: true, default: plugin }; // JupyterLab adds a property to it
    return () => exported;
  },
};
