/** Named values, such as inputs, outputs and answers, as text. */

import type { ComponentChildren } from "preact";
import { Panel } from "./controls";
import { cut, size } from "./words";

const MAX_ENTRIES = 100;
const MAX_LENGTH = 20_000;
const MAX_ONE_LINE = 80;
/** A longer text scrolls, so it can take the focus. */
const MIN_SCROLLED = 400;

/** A value as text: JSON, in several lines if it is long. */
export function textOfValue(value: unknown): string {
  if (typeof value === "string") return value;
  const text = JSON.stringify(value) ?? "";
  return text.length > MAX_ONE_LINE ? JSON.stringify(value, null, 2) : text;
}

/** A panel of values by name; nothing without values, unless `none` says what that means. */
export function ValuesPanel({ title, values, none = "" }: { title: string; values: object; none?: string }) {
  const entries = Object.entries(values);
  if (entries.length === 0 && !none) return null;
  return (
    <Panel title={title}>
      {entries.length === 0 ? (
        <p class="cloudo-muted">{none}</p>
      ) : (
        <dl class="cloudo-values">
          {entries.slice(0, MAX_ENTRIES).map(([name, value]) => (
            <Value key={name} name={name} text={textOfValue(value)} />
          ))}
        </dl>
      )}
      {entries.length > MAX_ENTRIES && <p class="cloudo-muted">and {entries.length - MAX_ENTRIES} more</p>}
    </Panel>
  );
}

function Value({ name, text }: { name: string; text: string }) {
  return (
    <div class="cloudo-value">
      <dt>{cut(name)}</dt>
      <dd>
        <pre tabIndex={text.length > MIN_SCROLLED ? 0 : undefined}>{cut(text, MAX_LENGTH)}</pre>
        {text.length > MAX_LENGTH && (
          <p class="cloudo-muted">
            The first {size(MAX_LENGTH)} of {size(new Blob([text]).size)}.
          </p>
        )}
      </dd>
    </div>
  );
}

/** Facts of a detail view, in pairs of name and value. Empty values are left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="cloudo-facts">
      {facts.map(
        ([name, value]) =>
          value !== null &&
          value !== undefined &&
          value !== false &&
          value !== "" && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
