/** The modules that JupyterLab shares with extensions, by name. `container.ts` fills it before anything imports one. */
export const shared: Record<string, unknown> = {};
