/** The cells of a notebook while it runs, and their outputs as text and images. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Api } from "../../api/client";
import type { Cell, CellOutput, Execution, ExecutionCells } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { Duration } from "../../ui/marks";
import { count, isEnded } from "../../ui/words";

/** The notebook is saved up to five times a second. A reply without news costs the server 2 ms. */
const PACE_MS = 250;
const MAX_CELLS = 500;
/** Longer outputs are folded. */
const MAX_OPEN_LINES = 30;
export const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const WORDS: Record<Cell["status"], string> = {
  pending: "",
  running: "running",
  done: "",
  failed: "failed",
  skipped: "not run",
};

export interface Known {
  version: string;
  cells: readonly Cell[];
}

const isFinal = ({ type, status }: Cell): boolean => type !== "code" || status === "done" || status === "failed";

/** Fetch the cells that may have changed since `known`. */
export async function fetchCells(api: Api, id: string, known: Known | null, signal: AbortSignal): Promise<Known> {
  const first = known ? known.cells.findIndex((cell) => !isFinal(cell)) : 0;
  const from = first < 0 ? (known?.cells.length ?? 0) : first;
  const cells = known ? known.cells.slice(0, from) : [];
  let next: number | null = from;
  let version = "";
  do {
    const query = { from: next, after: version ? undefined : known?.version };
    const page: ExecutionCells = await api.get<ExecutionCells>(`execution/${id}/cells`, query, signal);
    if (known && !version && page.version === known.version) return known;
    version = page.version;
    cells.push(...page.cells);
    next = page.next;
  } while (next !== null && cells.length < MAX_CELLS);
  return { version, cells };
}

interface CellsProps {
  execution: Execution;
  /** Called with the version of each save of the notebook. */
  onSave?: (version: string) => void;
}

export function Cells({ execution, onSave }: CellsProps) {
  const { api } = useApp();
  const { id, attempt, status } = execution;
  const known = useRef<Known | null>(null);
  const key = `cells ${id} ${attempt} ${isEnded(status)}`;
  const shownKey = useRef(key);
  if (shownKey.current !== key) {
    shownKey.current = key;
    known.current = null;
  }
  const { value, error } = useResource<Known>(
    key,
    async (signal) => (known.current = await fetchCells(api, id, known.current, signal)),
    {
      concerns: (news) => news.tells("execution", id),
      // A long cell prints without any event.
      everyMs: status === "RUNNING" ? PACE_MS : undefined,
      paceMs: PACE_MS,
    },
  );
  useEffect(() => onSave?.(value?.version ?? ""), [value?.version]);
  const { list, onScroll } = useNewestInView(value?.cells.find((cell) => cell.status === "running")?.index);
  if (error && !value) return <p class="cloudo-muted">{error.message}</p>;
  if (!value || value.cells.length === 0)
    return <p class="cloudo-muted">The notebook appears here when its first cells are done.</p>;
  return (
    <ol ref={list} class="cloudo-cells" aria-label="Cells" tabIndex={0} onScroll={onScroll}>
      {value.cells.slice(0, MAX_CELLS).map((cell) => (
        <CellBox key={cell.index} cell={cell} />
      ))}
      {value.cells.length >= MAX_CELLS && <li class="cloudo-muted">{`The first ${MAX_CELLS} cells.`}</li>}
    </ol>
  );
}

/** Pixels below a list at which the newest line still counts as in view for a reader who has scrolled. */
const NEAR = 24;

const currentIn = (list: HTMLElement): HTMLElement | null => list.querySelector<HTMLElement>("[aria-current]");

/** Whether the end of a cell is in view in its list, or nearly. */
function isEndInView(list: HTMLElement, cell: HTMLElement, near = 0): boolean {
  const end = cell.offsetTop - list.offsetTop + cell.offsetHeight - list.scrollTop;
  return end >= 0 && end <= list.clientHeight + near;
}

/** Scroll a list to the end of a cell; a short cell is below a part of the one before. */
function showEnd(list: HTMLElement, cell: HTMLElement): void {
  const top = cell.offsetTop - list.offsetTop;
  // Not `scrollIntoView`: the page itself stays where the reader is.
  list.scrollTop = Math.max(top - list.clientHeight / 4, top + cell.offsetHeight - list.clientHeight);
}

/** Keep the newest line of the current cell, which has this index, in view, unless the reader has scrolled away. */
function useNewestInView(index: number | undefined) {
  const list = useRef<HTMLOListElement>(null);
  const isFollowing = useRef(true);
  const shown = useRef<number | undefined>(undefined);
  useLayoutEffect(() => {
    const cell = list.current && currentIn(list.current);
    if (!list.current || !cell || !isFollowing.current) return;
    if (shown.current !== index || !isEndInView(list.current, cell)) showEnd(list.current, cell);
    shown.current = index;
  });
  const onScroll = ({ currentTarget }: { currentTarget: HTMLElement }) => {
    const cell = currentIn(currentTarget);
    if (cell) isFollowing.current = isEndInView(currentTarget, cell, NEAR);
  };
  return { list, onScroll };
}

/** The source of the cell that failed. */
export function FailedCell({ execution: { id, attempt }, index }: { execution: Execution; index: number }) {
  const { api } = useApp();
  const { value } = useResource<ExecutionCells>(`failed cell ${id} ${attempt}`, (signal) =>
    api.get(`execution/${id}/cells`, { from: index }, signal),
  );
  const cell = value?.cells[0];
  return (
    <>
      <p class="cloudo-muted">{`In cell ${index + 1} of the notebook.`}</p>
      {cell?.index === index && (
        <pre class="cloudo-cell-source" tabIndex={0} aria-label="Source of the failed cell">
          {cell.source}
          {cell.is_source_cut && "…"}
        </pre>
      )}
    </>
  );
}

function CellBox({ cell }: { cell: Cell }) {
  const { type, status, source, execution_count, outputs, is_source_cut } = cell;
  const isRunning = status === "running";
  return (
    <li class="cloudo-cell" data-cell={status} aria-current={isRunning ? "step" : undefined}>
      <div class="cloudo-cell-head">
        <span>{type === "code" ? `[${isRunning ? "*" : (execution_count ?? " ")}]` : ""}</span>
        {WORDS[status] && <span>{WORDS[status]}</span>}
        {type === "code" && <Duration of={cell} />}
      </div>
      <div class="cloudo-cell-body">
        <pre class={type === "code" ? "cloudo-cell-source" : "cloudo-cell-text"}>
          {source}
          {is_source_cut && "…"}
        </pre>
        {outputs.length > 0 && (
          <Outputs key={status} outputs={outputs} isOpen={isRunning || status === "failed"} isRunning={isRunning} />
        )}
      </div>
    </li>
  );
}

const textOf = ({ text, data }: CellOutput): string => String(text ?? data?.["text/plain"] ?? "");

/** Outputs with the texts of one stream in one piece. */
function joined(outputs: readonly CellOutput[]): CellOutput[] {
  const found: CellOutput[] = [];
  for (const output of outputs) {
    const last = found.at(-1);
    if (last?.type === "stream" && output.type === "stream" && last.name === output.name)
      found[found.length - 1] = {
        ...output,
        text: `${last.text ?? ""}${output.text ?? ""}`,
        is_cut: last.is_cut || output.is_cut,
      };
    else found.push(output);
  }
  return found;
}

/** The outputs of a cell. Long texts are folded, except while the cell runs and after it failed. */
function Outputs({
  outputs,
  isOpen,
  isRunning,
}: {
  outputs: readonly CellOutput[];
  isOpen: boolean;
  isRunning: boolean;
}) {
  const lines = outputs.reduce((sum, one) => sum + textOf(one).trimEnd().split("\n").length, 0);
  return (
    <details class="cloudo-cell-outputs" open={isOpen || lines <= MAX_OPEN_LINES}>
      <summary>{`Output, ${count(lines, "line")}`}</summary>
      {joined(outputs).map((output, at) => (
        <Output key={at} output={output} isEndShown={isRunning} />
      ))}
    </details>
  );
}

/** An output as text or image. The notebook itself shows everything else. */
export function Output({
  output: { type, name, text, data, is_cut },
  isEndShown = false,
}: {
  output: CellOutput;
  /** Whether the beginning of a long text is left out, rather than its end. */
  isEndShown?: boolean;
}) {
  const image = IMAGES.find((kind) => typeof data?.[kind] === "string");
  const plain = text ?? data?.["text/plain"];
  const other = Object.keys(data ?? {})[0];
  return (
    <div class="cloudo-cell-output" data-output={type === "error" || name === "stderr" ? "error" : undefined}>
      {is_cut && isEndShown && <p class="cloudo-muted">Only the end of this output is shown while the cell runs.</p>}
      {image ? (
        <img
          src={`data:${image};base64,${String(data?.[image]).replaceAll("\n", "")}`}
          alt={String(plain ?? "Output")}
        />
      ) : typeof plain === "string" ? (
        <pre>{plain}</pre>
      ) : (
        <p class="cloudo-muted">{other ? `An output of type ${other}. ` : "An output. "}Open the notebook to see it.</p>
      )}
      {is_cut && !isEndShown && (
        <p class="cloudo-muted">This output is shortened. Open the notebook to see all of it.</p>
      )}
    </div>
  );
}
