/** More of JupyterLab's types: those of its window, outside of documents. See `jupyterlab.d.ts`. */

declare module "@jupyterlab/statusbar" {
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  export interface IStatusBar {
    registerStatusItem(
      id: string,
      item: { item: Widget; align?: "left" | "middle" | "right"; rank?: number; isActive?: () => boolean },
    ): unknown;
  }
  export const IStatusBar: Token<IStatusBar>;
}
