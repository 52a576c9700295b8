/**
 * The executed notebook. While it runs, its cells are shown live; afterwards the server renders it as a page that runs
 * no scripts, in a frame that may do nothing.
 */

import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../../api/client";
import type { Execution, ExecutionCells } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Panel } from "../../ui/controls";
import { Sandbox } from "../../ui/sandbox";
import { isEnded } from "../../ui/words";
import { Cells } from "./cells";
import { MAX_ESTIMATED_CELLS, heightOfNotebook } from "./frame-height";

/** The frame is loaded when the reader comes this near to it. */
const NEAR = "300px";

export function NotebookPanel({ execution, onSave }: { execution: Execution; onSave: (version: string) => void }) {
  const { id, status, notebook, attempt } = execution;
  const isOver = isEnded(status);
  const box = useRef<HTMLDivElement>(null);
  const isNear = useNear(box);
  const [hasCells, setCells] = useState(false);
  const isRunning = !isOver && attempt > 0;
  return (
    <Panel
      title="Notebook"
      actions={
        isOver &&
        notebook && (
          <Button kind="small" aria-pressed={hasCells} onClick={() => setCells(!hasCells)}>
            Cells and times
          </Button>
        )
      }
    >
      <div ref={box} class="cloudo-notebook">
        {isRunning || (hasCells && isOver) ? (
          <Cells execution={execution} onSave={onSave} />
        ) : !isOver ? (
          <p class="cloudo-muted">The notebook appears here when its first cells are done.</p>
        ) : !notebook ? (
          <p class="cloudo-muted">This execution has no notebook.</p>
        ) : (
          isNear && (
            <Ended
              key={`${status} ${attempt}`}
              id={id}
              path={notebook}
              execution={execution}
              width={box.current?.clientWidth ?? 0}
            />
          )
        )}
      </div>
    </Panel>
  );
}

/** Whether the element has been near the window. */
export function useNear(element: { current: HTMLElement | null }): boolean {
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    if (!element.current) return undefined;
    const watcher = new IntersectionObserver(
      (seen) => setNear((was) => was || seen.some((one) => one.isIntersecting)),
      {
        rootMargin: NEAR,
      },
    );
    watcher.observe(element.current);
    return () => watcher.disconnect();
  }, []);
  return isNear;
}

/** The page of the notebook; its cells where no server can be reached by address. */
function Ended({ id, path, execution, width }: { id: string; path: string; execution: Execution; width: number }) {
  const { api } = useApp();
  const isShort = (execution.progress.total ?? 0) <= MAX_ESTIMATED_CELLS;
  // A frame shows no errors of its own: ask first. For a long notebook, `from` is past the last cell: none are sent.
  const found = useResource<ExecutionCells>(`notebook ${id} ${execution.status}`, (signal) =>
    api.get(`execution/${id}/cells`, { from: isShort ? 0 : 1_000_000 }, signal),
  );
  if (found.error) return <p class="cloudo-muted">{wordsOf(found.error, path)}</p>;
  if (!found.value) return <p class="cloudo-muted">Loading…</p>;
  if (!found.value.version) return <p class="cloudo-muted">{gone(path)}</p>;
  const { baseUrl } = api.transport;
  return baseUrl ? (
    <Sandbox
      title="Executed notebook"
      height={isShort ? heightOfNotebook(found.value.cells, width) : undefined}
      src={`${baseUrl}cloudo/api/1/execution/${id}/notebook?format=html`}
    />
  ) : (
    <Cells execution={execution} />
  );
}

const gone = (path: string): string => `${path} was moved or deleted.`;

const wordsOf = (error: ApiError, path: string): string => (error.status === 404 ? gone(path) : error.message);
