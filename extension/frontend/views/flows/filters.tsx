/** The filters of the list of flows, which the address holds. */

import { useMemo } from "preact/hooks";
import type { Flow } from "../../api/types";
import { useApp } from "../../app/context";
import { Icon } from "../../ui/icons";
import { cut, isEnded } from "../../ui/words";

const isFailing = ({ last_executions }: Flow): boolean =>
  last_executions.find(({ status }) => isEnded(status))?.status === "ENDED_ERROR";

/** Kinds of flows by their names in the address. */
const KINDS: Record<string, { word: string; fits: (flow: Flow) => boolean }> = {
  failing: { word: "Failing", fits: isFailing },
  scheduled: { word: "Scheduled", fits: ({ next_run }) => Boolean(next_run) },
  never: { word: "Never run", fits: ({ last_executions }) => last_executions.length === 0 },
  broken: { word: "Broken", fits: ({ broken }) => Boolean(broken) },
  samples: { word: "Samples", fits: ({ source }) => source === "library" },
};

type Query = Readonly<Record<string, string>>;

/** The kinds that the address names; unknown ones are left out. */
const kindsOf = ({ kind = "" }: Query): string[] => kind.split(",").filter((one) => one in KINDS);

export const isFiltered = (query: Query): boolean =>
  Boolean(query.q || query.tag || query.folder) || kindsOf(query).length > 0;

/** The folders of flows, each with the number of flows in it and below it, by name. */
export function foldersOf(flows: readonly Pick<Flow, "name">[]): [string, number][] {
  const found = new Map<string, number>();
  for (const { name } of flows) {
    for (let end = name.indexOf("/"); end > 0; end = name.indexOf("/", end + 1)) {
      const folder = name.slice(0, end);
      found.set(folder, (found.get(folder) ?? 0) + 1);
    }
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Whether a flow is of one of the kinds, in the folder, and has the tag and the text. */
export function matches(flow: Flow, query: Query): boolean {
  const { name, title, description, tags } = flow;
  const wanted = (query.q ?? "").toLowerCase();
  const kinds = kindsOf(query);
  return (
    (!query.tag || tags.includes(query.tag)) &&
    (!query.folder || name.startsWith(`${query.folder}/`)) &&
    (kinds.length === 0 || kinds.some((kind) => KINDS[kind]?.fits(flow))) &&
    [name, title, description, ...tags].some((text) => text.toLowerCase().includes(wanted))
  );
}

/** One chip for each kind that there is, the folder, and one for the tag. */
export function KindChips({ flows }: { flows: readonly Flow[] }) {
  const { place } = useApp();
  const { query } = place.route.value;
  const chosen = kindsOf(query);
  const toggle = (kind: string) => {
    const now = chosen.includes(kind) ? chosen.filter((one) => one !== kind) : [...chosen, kind];
    place.refine({ kind: now.join(",") });
  };
  return (
    <div class="cloudo-chips" role="group" aria-label="Filters">
      {Object.entries(KINDS).map(([kind, { word, fits }]) => (
        <button
          key={kind}
          type="button"
          class="cloudo-chip"
          aria-pressed={chosen.includes(kind)}
          onClick={() => toggle(kind)}
        >
          <span>{word}</span>
          <span class="cloudo-chip-count" aria-hidden="true">
            {flows.filter(fits).length.toLocaleString("en")}
          </span>
        </button>
      ))}
      <FolderChoice flows={flows} folder={query.folder ?? ""} />
      {query.tag && (
        <button
          type="button"
          class="cloudo-chip"
          aria-pressed="true"
          aria-label={`Remove the filter Tag: ${query.tag}`}
          title="Remove this filter"
          onClick={() => place.refine({ tag: "" })}
        >
          <span>Tag: {cut(query.tag, 60)}</span>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}

/** The folder whose flows are listed. A folder of the address stays, even without flows. */
function FolderChoice({ flows, folder }: { flows: readonly Flow[]; folder: string }) {
  const { place } = useApp();
  const found = useMemo(() => foldersOf(flows), [flows]);
  const isKnown = !folder || found.some(([name]) => name === folder);
  const folders: [string, number][] = isKnown ? found : [...found, [folder, 0]];
  if (folders.length === 0) return null;
  return (
    <select
      class="cloudo-chip"
      aria-label="Folder"
      data-chosen={folder ? "true" : undefined}
      value={folder}
      onChange={({ currentTarget }) => place.refine({ folder: currentTarget.value })}
    >
      <option value="">All folders</option>
      {folders.map(([name, number]) => (
        <option key={name} value={name} selected={name === folder}>
          {`${cut(name, 60)} (${number.toLocaleString("en")})`}
        </option>
      ))}
    </select>
  );
}
