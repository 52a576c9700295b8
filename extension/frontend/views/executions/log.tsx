/** The log of one execution: its last lines first, earlier ones on demand, new ones as they come; searched by text and level. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Pace } from "../../api/pace";
import { segment, type Api } from "../../api/client";
import type { LogLine } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource, type Resource } from "../../app/resource";
import { useSettled } from "../../app/settled";
import { LinkButton, Panel } from "../../ui/controls";
import { count, cut, moment, reasonOf } from "../../ui/words";

const PAGE = 500;
/** Maximum number of lines in the page. While following, older ones leave at the top. */
const MAX_LINES = 3_000;
const MAX_LENGTH = 2_000;
/** Distance from the end, in pixels, at which the reader follows it. */
const AT_END = 24;
const PACE_MS = 300;
/** Maximum number of lines that a search shows. */
const MAX_FOUND = 1_000;
const SEARCH_PACE_MS = 1_000;

interface LogPage {
  items: LogLine[];
  next: string | null;
  total: number | null;
  matches: number | null;
  end: string | null;
}

/** The lines in the page, and the number of earlier ones. */
interface Shown {
  lines: readonly LogLine[];
  earlier: number;
  end: string | null;
}

const fetchTail = async (api: Api, id: string, tail: number): Promise<Shown> => {
  const page = await api.get<LogPage>(`execution/${id}/log`, { tail, streams: true });
  return { lines: page.items, earlier: (page.total ?? page.items.length) - page.items.length, end: page.end };
};

/** Return all lines after `from`. */
async function fetchAfter(api: Api, id: string, from: string | null): Promise<[LogLine[], string | null]> {
  const lines: LogLine[] = [];
  let end = from;
  let hasNext: boolean;
  do {
    const page: LogPage = await api.get<LogPage>(`execution/${id}/log`, { cursor: end, limit: PAGE, streams: true });
    lines.push(...page.items);
    end = page.end ?? end;
    hasNext = page.next !== null;
  } while (hasNext);
  return [lines, end];
}

/** `version` changes with everything that may have printed a line. */
function useLog(id: string, version: string) {
  const { api, live } = useApp();
  const [shown, setShown] = useState<Shown | null>(null);
  const [problem, setProblem] = useState("");
  const latest = useRef<Shown | null>(null);
  /** Whether the reader is at the end; then older lines may leave. */
  const isAtEnd = useRef(true);
  const set = (now: Shown) => {
    latest.current = now;
    setShown(now);
  };
  const read = async () => {
    try {
      const before = latest.current;
      if (!before) set(await fetchTail(api, id, PAGE));
      else {
        const [lines, end] = await fetchAfter(api, id, before.end);
        if (lines.length > 0 && latest.current === before) set(withMore(before, lines, end, isAtEnd.current));
      }
      setProblem("");
    } catch (error) {
      setProblem(reasonOf(error));
    }
  };
  const act = useRef(read);
  act.current = read;
  const pace = useRef<Pace | null>(null);
  useEffect(() => {
    const own = new Pace(() => act.current(), PACE_MS);
    pace.current = own;
    own.want();
    const unfollow = live.follow({
      news: (news) => news.tells("execution", id, "ExecutionLogged") && own.want(),
      resync: () => own.want(),
    });
    return () => {
      own.stop();
      unfollow();
    };
  }, [id]);
  useEffect(() => pace.current?.want(), [version]);
  const showEarlier = async () => {
    const now = latest.current;
    if (now) set(await fetchTail(api, id, Math.min(MAX_LINES, now.lines.length + PAGE)));
  };
  return { shown, problem, isAtEnd, showEarlier };
}

/** Return `before` with further lines; beyond the maximum the first ones leave, if the reader is at the end. */
function withMore(before: Shown, lines: readonly LogLine[], end: string | null, isAtEnd: boolean): Shown {
  const all = [...before.lines, ...lines];
  const leaving = isAtEnd || all.length > 2 * MAX_LINES ? Math.max(0, all.length - MAX_LINES) : 0;
  return { lines: all.slice(leaving), earlier: before.earlier + leaving, end };
}

/** What the reader looks for. */
interface Wanted {
  text: string;
  kind: string;
}

const KINDS: Record<string, string> = {
  "": "All lines",
  log: "Logged",
  warning: "Warnings and errors",
  error: "Errors",
  stdout: "stdout",
  stderr: "stderr",
};

/** The last lines of the whole log that the reader looks for; null without a search, and until they have come. */
function useFound(id: string, { text, kind }: Wanted, version: string): Resource<LogPage | null> {
  const { api } = useApp();
  const settled = useSettled(text.trim());
  const isRestricted = Boolean(settled || kind);
  const query = { tail: MAX_FOUND, streams: true, q: settled, kind };
  const fetch = (signal: AbortSignal) =>
    isRestricted ? api.get<LogPage>(`execution/${id}/log`, query, signal) : Promise.resolve(null);
  const found = useResource<LogPage | null>(`log ${id} ${settled} ${kind}`, fetch, {
    concerns: (news) => isRestricted && news.tells("execution", id, "ExecutionLogged"),
    paceMs: SEARCH_PACE_MS,
  });
  useEffect(() => {
    if (isRestricted) found.refresh();
  }, [version]);
  return found;
}

/** Fields that restrict the lines, and a link to the whole log. */
function LogTools({ id, wanted, onChange }: { id: string; wanted: Wanted; onChange: (wanted: Wanted) => void }) {
  const { baseUrl } = useApp().api.transport;
  return (
    <>
      <input
        type="search"
        class="cloudo-control cloudo-log-tool"
        aria-label="Search the log"
        placeholder="Search"
        value={wanted.text}
        onInput={({ currentTarget }) => onChange({ ...wanted, text: currentTarget.value })}
      />
      <select
        class="cloudo-control cloudo-log-tool"
        aria-label="Lines"
        value={wanted.kind}
        onChange={({ currentTarget }) => onChange({ ...wanted, kind: currentTarget.value })}
      >
        {Object.entries(KINDS).map(([kind, words]) => (
          <option key={kind} value={kind}>
            {words}
          </option>
        ))}
      </select>
      {baseUrl && (
        <a class="cloudo-link" href={`${baseUrl}cloudo/api/1/execution/${segment(id)}/log/file`} download>
          Download
        </a>
      )}
    </>
  );
}

export function LogPanel({ id, version }: { id: string; version: string }) {
  const { notices } = useApp();
  const { shown, problem, isAtEnd, showEarlier } = useLog(id, version);
  const [wanted, setWanted] = useState<Wanted>({ text: "", kind: "" });
  const found = useFound(id, wanted, version);
  const box = useRef<HTMLDivElement>(null);
  const heightBefore = useRef<number | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    if (heightBefore.current !== null) element.scrollTop += element.scrollHeight - heightBefore.current;
    else if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    heightBefore.current = null;
  }, [shown, found.value, wanted]);
  const earlier = async () => {
    // What is in sight stays in sight.
    heightBefore.current = box.current?.scrollHeight ?? null;
    await showEarlier().catch((error: unknown) => notices.fail("act", error));
    box.current?.focus();
  };
  const { lines = [], earlier: more = 0 } = shown ?? {};
  const isFull = lines.length >= MAX_LINES;
  const isRestricted = wanted.text.trim() !== "" || wanted.kind !== "";
  return (
    <Panel
      title="Log"
      count={lines.length + more > 0 ? count(lines.length + more, "line") : ""}
      actions={lines.length > 0 && <LogTools id={id} wanted={wanted} onChange={setWanted} />}
    >
      {(more > 0 || isRestricted) && (
        <p class="cloudo-log-more cloudo-muted">
          {isRestricted && <span role="status">{found.error?.message ?? matchesIn(found.value)}</span>}
          {more > 0 &&
            !isRestricted &&
            (isFull ? (
              <span>{`The last ${count(lines.length, "line")}`}</span>
            ) : (
              <LinkButton onClick={() => void earlier()}>
                {`Show earlier lines (${more.toLocaleString("en")})`}
              </LinkButton>
            ))}
        </p>
      )}
      {problem && <p class="cloudo-field-error">{problem}</p>}
      <div
        ref={box}
        class={`cloudo-log ${lines.length === 0 ? "cloudo-empty" : ""}`.trim()}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label="Log"
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < AT_END;
        }}
      >
        {shown && lines.length === 0 && <div class="cloudo-muted">Nothing logged.</div>}
        {isRestricted
          ? found.value?.items.map((line, at) => <Line key={at} line={line} />)
          : lines.map((line, at) => <Line key={more + at} line={line} />)}
      </div>
    </Panel>
  );
}

/** "12 of 200,000 lines match". */
function matchesIn(found: LogPage | null): string {
  if (!found) return "Searching…";
  const { matches, total, items } = found;
  const words = `${(matches ?? 0).toLocaleString("en")} of ${count(total ?? 0, "line")} match`;
  return items.length < (matches ?? 0) ? `${words}; these are the last ${items.length.toLocaleString("en")}` : words;
}

const clock = (time: string): string => new Date(time).toLocaleTimeString("en-GB");

function Line({ line: { time, level, text, source, cell } }: { line: LogLine }) {
  const isLogged = source === "log";
  const title = isLogged ? moment(time) : `Printed by cell ${(cell ?? 0) + 1}, which started ${moment(time)}`;
  return (
    <div data-level={level} data-source={source}>
      <time dateTime={time} title={title}>
        {clock(time)}
      </time>
      <span class="cloudo-log-text">
        {isLogged && level !== "info" && <b>{level} </b>}
        {cut(text, MAX_LENGTH)}
      </span>
    </div>
  );
}
