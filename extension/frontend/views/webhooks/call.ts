/** How one calls a webhook, and the words for how callers prove who they are. */

import type { Webhook } from "../../api/types";

export type Callable = Pick<
  Webhook,
  "name" | "signature" | "has_key" | "key_header" | "allowed_methods" | "signature_header" | "signed_content"
>;

const SIGNATURES: Record<string, string> = {
  "standard-webhooks": "Standard Webhooks signature",
  github: "GitHub signature",
  "hmac-sha256": "HMAC-SHA256 signature",
};

const titled = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** "API key", "GitHub signature", or "None (anyone can call it)". */
export function authenticationOf({ signature, has_key }: Pick<Webhook, "signature" | "has_key">): string {
  if (signature) return SIGNATURES[signature] ?? `${titled(signature)} signature`;
  return has_key ? "API key" : "None (anyone can call it)";
}

/** The address of a webhook. */
export const webhookUrl = (baseUrl: string | null, name: string): string =>
  new URL(`${baseUrl ?? "/"}cloudo/webhook/${encodeURIComponent(name)}`, document.baseURI).href;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A command that calls a webhook, or null if that takes more than a line or two. `key` is a key just generated. */
export function callLine(webhook: Callable, url: string, key: string | null = null): string | null {
  const { signature, has_key, key_header, allowed_methods, signature_header, signed_content } = webhook;
  if (![null, "github", "hmac-sha256"].includes(signature)) return null;
  if (/{(timestamp|method|url)}/.test(signed_content)) return null;
  const secret = key === null ? '"$KEY"' : quoted(key);
  const json = `-H "Content-Type: application/json"`;
  if (signature) {
    const header = signature === "github" ? "X-Hub-Signature-256: sha256=" : `${signature_header}: `;
    return [
      `body='{"ref": "main"}'`,
      `mac=$(printf %s "$body" | openssl dgst -sha256 -hmac ${secret} | sed 's/.* //')`,
      `curl ${url} -H ${quoted(header)}"$mac" \\\n  ${json} -d "$body"`,
    ].join("\n");
  }
  const sent = key === null ? `"${key_header}: $KEY"` : quoted(`${key_header}: ${key}`);
  const proof = has_key ? ` \\\n  -H ${sent}` : "";
  if (!allowed_methods.includes("POST")) return `curl "${url}?ref=main"${proof}`;
  return `curl ${url}${proof} \\\n  ${json} -d '{"ref": "main"}'`;
}
