/** Times in the time zone of a schedule, beside those in the viewer's own. */

import { now } from "./words";

/** The viewer's time zone. */
export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

type Parts = Record<"weekday" | "day" | "month" | "year" | "hour" | "minute" | "second", string>;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const options = {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  } as const;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
  } catch {
    format = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }); // a zone that the browser does not know
  }
  formats.set(zone, format);
  return format;
}

const partsOf = (time: number, zone: string): Parts =>
  Object.fromEntries(
    formatOf(zone)
      .formatToParts(time)
      .map(({ type, value }) => [type, value]),
  ) as Parts;

/** A time as "Wed 2 Dec 08:30" in a zone. The year appears if it is not the current one, seconds if there are any. */
export function inZone(time: string, zone: string): string {
  const { weekday, day, month, year, hour, minute, second } = partsOf(Date.parse(time), zone);
  const thisYear = partsOf(now(), zone).year;
  // Intl has "Sept" in British English.
  const date = `${weekday} ${day} ${month.slice(0, 3)}${year === thisYear ? "" : ` ${year}`}`;
  return `${date} ${hour}:${minute}${second === "00" ? "" : `:${second}`}`;
}

/** A time as the text of a `datetime-local` control, in a zone. */
export function toZoned(time: string | number, zone: string): string {
  const at = typeof time === "number" ? time : Date.parse(time);
  if (Number.isNaN(at)) return "";
  const { year, day, hour, minute, second } = partsOf(at, zone);
  const month = new Intl.DateTimeFormat("en-GB", { month: "2-digit", timeZone: knownZone(zone) }).format(at);
  return `${year.padStart(4, "0")}-${month}-${day.padStart(2, "0")}T${hour}:${minute}:${second}`;
}

const knownZone = (zone: string): string => formatOf(zone).resolvedOptions().timeZone;

/** The names of all zones that the browser knows. */
export const zoneNames = (): string[] => [
  "UTC",
  ...Intl.supportedValuesOf("timeZone").filter((name) => name !== "UTC"),
];
