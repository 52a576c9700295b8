/** The folders of flows, for the sidebar. */

import type { Flow } from "../../api/types";

export interface Folder {
  /** The last part of its path; empty for the root. */
  name: string;
  path: string;
  folders: readonly Folder[];
  flows: readonly Flow[];
}

/** Return the tree of `flows`: folders first, each in alphabetical order. */
export function treeOf(flows: readonly Flow[], path = ""): Folder {
  const depth = path ? path.split("/").length : 0;
  const below = new Map<string, Flow[]>();
  const here: Flow[] = [];
  for (const flow of flows) {
    const parts = flow.name.split("/");
    const folder = parts[depth] ?? "";
    if (parts.length === depth + 1) here.push(flow);
    else below.set(folder, [...(below.get(folder) ?? []), flow]);
  }
  const folders = [...below].sort(([one], [other]) => one.localeCompare(other));
  return {
    name: path.split("/").at(-1) ?? "",
    path,
    folders: folders.map(([name, inside]) => treeOf(inside, path ? `${path}/${name}` : name)),
    flows: here.sort((one, other) => one.title.localeCompare(other.title)),
  };
}
