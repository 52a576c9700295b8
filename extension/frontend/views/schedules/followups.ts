/** What follows the end of a schedule's executions, in words and in the notation of its field. */

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
