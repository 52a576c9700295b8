/** The list of flows by folder: a heading for each folder, which hides and shows the flows in it. */

import type { Flow } from "../../api/types";
import { KeptSet } from "../../app/kept";

/** The heading of a folder. */
export interface Folder {
  folder: string;
  /** The number of flows in it, without those in its folders. */
  count: number;
  isOpen: boolean;
}

/** A row of the list. */
export type Line = Flow | Folder;

export const isFolder = (line: Line): line is Folder => "folder" in line;

/** The folder of a flow; empty for a flow in none. */
export const folderOf = ({ name }: Pick<Flow, "name">): string => name.slice(0, Math.max(0, name.lastIndexOf("/")));

/** Folders whose flows are hidden. */
export const closedFolders = new KeptSet("cloudo-closed-folders", 1_000);

/** Return flows by folder, in their order, below a heading each. Those in no folder come first, without a heading. */
export function inFolders(flows: readonly Flow[], closed: ReadonlySet<string>): Line[] {
  const byFolder = new Map<string, Flow[]>();
  for (const flow of flows) {
    const folder = folderOf(flow);
    const others = byFolder.get(folder);
    if (others) others.push(flow);
    else byFolder.set(folder, [flow]);
  }
  return [...byFolder.keys()].sort().flatMap((folder): Line[] => {
    const own = byFolder.get(folder) ?? [];
    const isOpen = !closed.has(folder);
    const heading = folder ? [{ folder, count: own.length, isOpen }] : [];
    return [...heading, ...(isOpen ? own : [])];
  });
}
