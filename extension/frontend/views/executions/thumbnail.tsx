/** The newest image that an execution shows, small, for a row of a list. */

import { segment } from "../../api/client";
import type { Execution } from "../../api/types";
import { useApp } from "../../app/context";
import { cut } from "../../ui/words";

export const pathOfResult = (id: string, name: string): string => `execution/${id}/results/${segment(name)}`;

/** The browser loads it when the row comes near. */
export function RowThumbnail({ row: { id, status, thumbnail } }: { row: Execution }) {
  const { baseUrl } = useApp().api.transport;
  if (!thumbnail || !baseUrl) return null;
  // A result may be replaced until the end: for the browser, another fragment is another image.
  const source = `${baseUrl}cloudo/api/1/${pathOfResult(id, thumbnail)}?format=image#${status}`;
  return <img class="cloudo-thumbnail" loading="lazy" src={source} alt={`Result ${cut(thumbnail)}`} />;
}
