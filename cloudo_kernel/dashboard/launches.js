/**
 * The library flows that make schedules, started from the arrow beside Play: each asks for the time, and what comes of
 * it is told, whatever view the reader is in by then.
 */

import { newId } from "./dom.js";
import { isEnded } from "./words.js";

/** What the menu offers: the words, and the flow behind them. */
export const PLANNERS = [
  ["Schedule run…", "Scheduled"],
  ["Run recurring…", "Recurring"],
  ["Run with delay…", "Delayed"],
  ["Run daily…", "Daily"],
];

const MOST_TOLD = 5;

/** Those that have not ended. */
export class Launches {
  constructor({ line, place, toasts, banners }) {
    Object.assign(this, { line, place, toasts, banners, going: new Map() });
  }

  /** Start the flow `planner` for the flows `names`; promises its execution, or null after saying why there is none. */
  async start(planner, names) {
    this.banners.set("start", "");
    try {
      const inputs = { flow_name: names.length === 1 ? names[0] : names };
      const [{ row, error }] = await this.line.call("start", { items: [{ flow_name: planner, inputs, key: newId() }] });
      if (error) throw error;
      this.going.set(row.id, { planner, names, asked: new Set(), isDone: false });
      return row;
    } catch (problem) {
      this.banners.fail("start", { message: `${planner}: ${problem.message}` });
      return null;
    }
  }

  /** Whether this message is a new question of what was started here: it is opened, once. */
  isToOpen({ id, execution_id }) {
    const { asked } = this.going.get(execution_id) ?? {};
    return asked !== undefined && !asked.has(id) && Boolean(asked.add(id));
  }

  /** Take news: schedules that were made, and ends. */
  follow({ rows, scheduled = [] }) {
    const launchOf = ({ flow_name }) => [...this.going.values()].find(({ names }) => names.includes(flow_name));
    const made = scheduled.filter(launchOf);
    for (const schedule of made) launchOf(schedule).isDone = true;
    for (const schedule of made.slice(0, MOST_TOLD)) this.#tell(schedule, launchOf(schedule));
    if (made.length > MOST_TOLD) this.toasts.tell(`and ${made.length - MOST_TOLD} more schedules`, this.place.link({ view: "schedules" }, ".link", "Show all"));
    for (const row of rows.filter(({ id, status }) => this.going.has(id) && isEnded(status))) {
      const { planner, isDone } = this.going.get(row.id);
      this.going.delete(row.id);
      if (row.status === "ENDED_SUCCESS") {
        // A copy may do something else than making schedules.
        if (!isDone) this.toasts.tell(`${planner}: ${row.message ?? "done"}`, this.place.toOne(row.id, ".link", "Show execution"));
        continue;
      }
      const why = row.message ?? (row.status === "ENDED_ERROR" ? "It ended in error." : "It was cancelled.");
      this.banners.set("start", `${planner}: ${why}`, { isClosable: true, word: "Show execution", act: () => this.place.go({ view: "execution", id: row.id }) });
    }
  }

  #tell({ id, name, next_text, timezone, when }, { names }) {
    const time = next_text ? `next ${next_text} (${timezone})` : when;
    this.toasts.tell(`Scheduled${names.length > 1 ? ` ${name}` : ""}: ${time}`, this.place.toSchedule(id, ".link", "Show schedule"));
  }
}
