/** How to start a flow from a program or a shell, as text to copy. */

import { pathOf } from "../../api/client";

export interface Snippet {
  label: string;
  text: string;
}

/** Quote a text for a POSIX shell. */
export const shellQuoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

const python = (value: unknown): string => {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value as object)
      .map(([name, one]) => `${JSON.stringify(name)}: ${python(one)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value);
};

/** `server` is the server's address, ending in `/`. */
export function snippetsOf(name: string, inputs: Record<string, unknown>, server: string): Snippet[] {
  const body = JSON.stringify({ flow_name: name, inputs });
  const curl = [
    `curl -X POST ${shellQuoted(`${server}cloudo/api/1/execution`)}`,
    `-H "Authorization: token $CLOUDO_TOKEN" -H 'Content-Type: application/json'`,
    `-d ${shellQuoted(body)}`,
  ].join(" \\\n  ");
  const parameters = Object.entries(inputs).map(([input, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return ` -p ${shellQuoted(`${input}=${text}`)}`;
  });
  const isKeywords = Object.keys(inputs).every((input) => /^[A-Za-z_]\w*$/.test(input));
  const given = isKeywords
    ? Object.entries(inputs)
        .map(([input, value]) => `${input}=${python(value)}`)
        .join(", ")
    : `**${python(inputs)}`;
  return [
    { label: "curl", text: curl },
    {
      label: "Python",
      text: `import cloudo_kernel as cloudo\n\ncloudo.connect().flow(${JSON.stringify(name)}).run(${given})`,
    },
    { label: "Shell", text: `cloudo run ${shellQuoted(name)}${parameters.join("")}` },
  ];
}

/** The address of a flow's file in REST. */
export const fileOf = (path: string): string => `file/${pathOf(path)}`;
