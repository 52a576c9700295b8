/** The outcomes of a schedule's occurrences: a word and a shape for each, and a picture of the last ones. */

import { signal } from "@preact/signals";
import type { Api } from "../../api/client";
import { segment } from "../../api/client";
import type { Occurrence, Page, Schedule } from "../../api/types";
import { Icon, Shape } from "../../ui/icons";
import { Time } from "../../ui/marks";
import { count, isEnded } from "../../ui/words";
import { inZone } from "../../ui/zones";

const MAX_SHOWN = 20;
/** One failure may be chance. */
const MIN_FAILURES = 2;
const MAX_REQUESTS = 4;
/** An occurrence that started later than this counts as late. */
const LATE_SECONDS = 5;

type Kind = "well" | "late" | "failed" | "running" | "skipped" | "missed" | "coalesced";

/** Shapes differ, so that colour only helps. */
const KINDS: Record<Kind, { word: string; strokes: string[] }> = {
  well: { word: "succeeded", strokes: ["#M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z"] },
  late: { word: "started late", strokes: ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M8 4.8V8.2l2.4 1.4"] },
  failed: { word: "failed", strokes: ["M3.5 3.5l9 9M12.5 3.5l-9 9"] },
  running: { word: "in progress", strokes: ["M8 2a6 6 0 1 1-6 6"] },
  skipped: { word: "skipped", strokes: ["M3 8h10"] },
  missed: {
    word: "missed",
    strokes: ["M8 2a6 6 0 0 1 4.2 1.8M14 8a6 6 0 0 1-1.8 4.2M8 14a6 6 0 0 1-4.2-1.8M2 8a6 6 0 0 1 1.8-4.2"],
  },
  coalesced: { word: "merged into a later run", strokes: ["#M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5Z"] },
};

const LEGEND =
  "The last 20 runs, the newest at the right. Disc: succeeded. Clock: started late. Cross: failed. Arc: in progress. " +
  "Dash: skipped. Broken ring: missed. Dot: merged into a later run.";

/** The mark of an occurrence. If its execution is no longer kept, its start counts. */
export function kindOf({ outcome, execution, lateness_seconds }: Occurrence): Kind {
  if (outcome !== "STARTED") return outcome.toLowerCase() as Kind;
  const status = execution?.status;
  if (status === "ENDED_ERROR" || status === "ENDED_CANCELLED") return "failed";
  if (status && !isEnded(status)) return "running";
  return (lateness_seconds ?? 0) > LATE_SECONDS ? "late" : "well";
}

/** The outcome of an occurrence in words. */
export function outcomeOf(occurrence: Occurrence): string {
  const kind = kindOf(occurrence);
  const { outcome, execution, lateness_seconds } = occurrence;
  if (kind === "late") return `started ${Math.round(lateness_seconds ?? 0)} s late`;
  if (outcome === "STARTED" && !execution) return "started";
  return execution?.status === "ENDED_CANCELLED" ? "cancelled" : KINDS[kind].word;
}

/** The due time of an occurrence in the zone of the schedule, or the span of several. */
export function dueOf({ due, until, count: number }: Occurrence, zone: string): string {
  return until ? `${inZone(due, zone)} to ${inZone(until, zone)} (${count(number, "run")})` : inZone(due, zone);
}

/** The shape beside its word. */
export function OutcomeMark({ occurrence }: { occurrence: Occurrence }) {
  const kind = kindOf(occurrence);
  return (
    <span class="cloudo-outcome" data-kind={kind}>
      <Shape strokes={KINDS[kind].strokes} />
      <span>{outcomeOf(occurrence)}</span>
    </span>
  );
}

/** The last occurrences as a row of shapes. Each says in words what it is. */
export function Picture({ occurrences, zone }: { occurrences: readonly Occurrence[] | undefined; zone: string }) {
  if (!occurrences) return null;
  const last = occurrences.at(-1);
  if (!last) return <span class="cloudo-muted">no runs yet</span>;
  return (
    <>
      <div class="cloudo-picture" role="group" aria-label="Past runs" title={LEGEND}>
        {occurrences.map((occurrence) => {
          const kind = kindOf(occurrence);
          const words = [`${dueOf(occurrence, zone)}: ${outcomeOf(occurrence)}`, occurrence.reason];
          const text = words.filter(Boolean).join(", ");
          return (
            <span
              key={`${occurrence.due} ${occurrence.execution_id}`}
              class="cloudo-mark"
              role="img"
              aria-label={text}
              title={text}
              data-kind={kind}
            >
              <Shape strokes={KINDS[kind].strokes} />
            </span>
          );
        })}
      </div>
      <div class="cloudo-muted">
        last {outcomeOf(last)}, <Time at={last.due} />
      </div>
    </>
  );
}

/** How many of the newest runs have failed in a row. Those in progress, cancelled or never started do not count. */
export function failuresOf(occurrences: readonly Occurrence[]): number {
  const counts = ["failed", "well", "late"];
  const ended = occurrences.filter(
    (one) => counts.includes(kindOf(one)) && one.execution?.status !== "ENDED_CANCELLED",
  );
  return ended.length - 1 - ended.findLastIndex((one) => kindOf(one) !== "failed");
}

/** Says that a schedule keeps failing. `occurrences` are the oldest first. */
export function FailingMark({ occurrences = [] }: { occurrences?: readonly Occurrence[] }) {
  const failures = failuresOf(occurrences);
  if (failures < MIN_FAILURES) return null;
  const more = failures === occurrences.length && failures >= MAX_SHOWN ? "at least " : "";
  return (
    <div class="cloudo-failing">
      <Icon name="alert" /> last {more}
      {failures} runs failed
    </div>
  );
}

/** Outcomes, those that need attention first: the order of the column. */
const BY_NEED: Kind[] = ["failed", "missed", "skipped", "late", "coalesced", "running", "well"];

export function needOf(occurrences: readonly Occurrence[] | undefined): number {
  const last = occurrences?.at(-1);
  return last ? BY_NEED.indexOf(kindOf(last)) : BY_NEED.length;
}

/** The last occurrences of many schedules, oldest first, by id. A few requests run at a time. */
export class Histories {
  readonly known = signal<ReadonlyMap<string, readonly Occurrence[]>>(new Map());
  private readonly wanted = new Set<string>();
  private running = 0;
  private isClosed = false;

  constructor(private readonly api: Api) {}

  /** Fetch those that are not known. */
  load(schedules: readonly Pick<Schedule, "id">[]): void {
    this.renew(schedules.map(({ id }) => id).filter((id) => !this.known.peek().has(id)));
  }

  /** Fetch these (again). */
  renew(ids: readonly string[]): void {
    for (const id of ids) this.wanted.add(id);
    while (this.running < MAX_REQUESTS && this.wanted.size > 0) void this.run();
  }

  close(): void {
    this.isClosed = true;
    this.wanted.clear();
  }

  private async run(): Promise<void> {
    this.running += 1;
    for (;;) {
      const [id] = this.wanted;
      if (id === undefined) break;
      this.wanted.delete(id);
      const path = `schedule/${segment(id)}/occurrence`;
      // A deleted schedule leaves the list by itself.
      const page = await this.api.get<Page<Occurrence>>(path, { limit: MAX_SHOWN }).catch(() => null);
      if (page && !this.isClosed) this.known.value = new Map(this.known.peek()).set(id, [...page.items].reverse());
    }
    this.running -= 1;
  }
}
