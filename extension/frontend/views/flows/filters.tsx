/** The filters of the list of flows, which the address holds. */

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

export const isFiltered = (query: Query): boolean => Boolean(query.q || query.tag) || kindsOf(query).length > 0;

/** Whether a flow is of one of the kinds, and has the tag and the text. */
export function matches(flow: Flow, query: Query): boolean {
  const { name, title, description, tags } = flow;
  const wanted = (query.q ?? "").toLowerCase();
  const kinds = kindsOf(query);
  return (
    (!query.tag || tags.includes(query.tag)) &&
    (kinds.length === 0 || kinds.some((kind) => KINDS[kind]?.fits(flow))) &&
    [name, title, description, ...tags].some((text) => text.toLowerCase().includes(wanted))
  );
}

/** One chip for each kind that there is, and one for the tag. */
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
