/** What follows the end of a schedule's executions, in words and in the notation of its field. */

import type { Reading } from "../../forms/values";

export interface FollowingFlow {
  flow: string;
  inputs?: Record<string, unknown>;
}

export interface Notification {
  url: string;
  secret?: string | null;
}

export type FollowUp = FollowingFlow | Notification;

/** "starts Notify by email, calls https://example.com/hook". */
export function describeFollowUps(followUps: readonly FollowUp[]): string {
  return followUps.map(describe).join(", ") || "nothing";
}

function describe(one: FollowUp): string {
  if ("url" in one) return `calls ${one.url}${one.secret ? `, signed with ${one.secret}` : ""}`;
  const inputs = Object.entries(one.inputs ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `starts ${one.flow}${inputs.length > 0 ? ` with ${inputs.join(", ")}` : ""}`;
}

/** One follow-up per line, as REST reads them. Empty for those of the flow, `[]` for none. */
export function writeFollowUps(followUps: readonly FollowUp[] | null | undefined): string {
  if (!followUps) return "";
  return followUps.map(write).join("\n") || "[]";
}

function write(one: FollowUp): string {
  const [name, plain] =
    "url" in one
      ? [one.url, one.secret ? { url: one.url, secret: one.secret } : { url: one.url }]
      : [one.flow, Object.keys(one.inputs ?? {}).length > 0 ? one : { flow: one.flow }];
  // A flow whose name looks like JSON, or like an address, needs its object.
  const isAmbiguous = /^[{[]/.test(name) || ("flow" in one && (/^https?:\/\//.test(name) || name === "null"));
  return Object.keys(plain).length > 1 || isAmbiguous ? JSON.stringify(plain) : name;
}

const MAX_FOLLOW_UPS = 10;
const FITS =
  'takes the name of a flow, {"flow": name, "inputs"?: {…}}, {"url": "https://…", "secret"?: setting}, or a list';

/** What lines stand for, as the metadata of a flow have it: each a flow, a URL, or JSON. No value without any. */
export function readFollowUps(text: string): Reading {
  const found: unknown[] = [];
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (/^[{[]/.test(line)) {
      try {
        found.push(JSON.parse(line));
      } catch (error) {
        return { problem: `'${line.slice(0, 60)}' is not valid JSON: ${(error as Error).message}` };
      }
    } else if (line) found.push(/^https?:\/\//.test(line) ? { url: line } : line);
  }
  const all = found.flat();
  if (!all.every(isFollowUp)) return { problem: FITS };
  if (all.length > MAX_FOLLOW_UPS)
    return { problem: `Tuple should have at most ${MAX_FOLLOW_UPS} items after validation, not ${all.length}` };
  return { value: all.length > 1 ? all : all[0] };
}

const isFollowUp = (one: unknown): boolean =>
  typeof one === "string" || (typeof one === "object" && one !== null && ("url" in one || "flow" in one));
