/** A plain table to read. It scrolls sideways where it is too wide. */

import type { ComponentChildren } from "preact";

interface SimpleTableProps {
  label: string;
  heads: readonly string[];
  /** The rows, as `<tr>`. */
  children: ComponentChildren;
}

export function SimpleTable({ label, heads, children }: SimpleTableProps) {
  return (
    <div class="cloudo-scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="cloudo-simple">
        <thead>
          <tr>
            {heads.map((word) => (
              <th key={word} scope="col">
                {word}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
