/**
 * Results of executions. Images and text are shown here, Markdown as the server has sanitised it. Everything else is
 * rendered by the server as a page that runs no scripts, in a frame that may do nothing.
 */

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Execution, Page, Result, ResultSummary } from "../../api/types";
import { useApp, type App } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Link, LinkButton, Panel } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { SanitizedHtml } from "../../ui/html";
import { Time } from "../../ui/marks";
import { Sandbox } from "../../ui/sandbox";
import { cut, isEnded } from "../../ui/words";
import { IMAGES } from "./cells";
import { useNear } from "./notebook";
import { pathOfResult } from "./thumbnail";

type Shown = readonly ResultSummary[];

const PACE_MS = 500;
/** Larger images are not loaded as thumbnails. */
const MAX_THUMB_BYTES = 500_000;
const MAX_LATEST = 6;
/** Frames that load at once. */
const MAX_FRAMES = 2;
/** Pixels of a frame's height: it cannot tell its own, as it runs no script, so the size of the content does. */
const MIN_HEIGHT = 110;
const MAX_HEIGHT = 420;
const BYTES_PER_PIXEL = 22;
/** Types that the view shows itself; a bundle with any other is shown in the frame. */
const PLAIN = new Set(["text/plain", "text/markdown", "application/json", ...IMAGES]);

const isImage = ({ types }: ResultSummary): boolean => types.some((type) => IMAGES.includes(type));
const titleOf = ({ name, is_from_notebook }: ResultSummary): string =>
  is_from_notebook ? "Last figure of the notebook" : cut(name);

/** What one execution shows; nothing while it shows nothing. */
export function ResultsPanel({ execution: { id, status, attempt } }: { execution: Execution }) {
  const { api } = useApp();
  const { value, error } = useResource<Page<ResultSummary>>(
    `results ${id} ${attempt} ${isEnded(status)}`,
    (signal) => api.get(`execution/${id}/results`, {}, signal),
    { concerns: (news) => news.tells("execution", id, "ExecutionChanged"), paceMs: PACE_MS },
  );
  if (error && !value && error.status !== 404)
    return (
      <Panel title="Results">
        <p class="cloudo-muted">{error.message}</p>
      </Panel>
    );
  if (!value?.items.length) return null;
  return (
    <Panel title="Results" count={value.items.length}>
      <ResultGrid items={value.items.map((one) => ({ id, result: one, caption: titleOf(one) }))} />
    </Panel>
  );
}

interface Item {
  id: string;
  result: ResultSummary;
  caption: ComponentChildren;
}

/** The height at which most content of this size needs no scrolling. */
const heightOf = ({ size }: ResultSummary): number =>
  Math.min(MAX_HEIGHT, MIN_HEIGHT + Math.round(size / BYTES_PER_PIXEL));

/** Show a result as large as the window allows. */
function enlarge(app: App, item: Item): Promise<void> {
  const { baseUrl } = app.api.transport;
  const { id, result } = item;
  return app.dialogs.show((close) => (
    <Dialog
      title={titleOf(result)}
      close={close}
      isWide
      isInformation
      focus={(dialog) => dialog.querySelector<HTMLElement>(".cloudo-dialog-foot button")?.focus()}
      buttons={<Button onClick={close}>Close</Button>}
    >
      <div class="cloudo-result cloudo-result-large">
        {isFramed(item, baseUrl) ? <Framed {...item} isTurn isLarge /> : <Content id={id} result={result} />}
      </div>
    </Dialog>
  ));
}

const isFramed = ({ result }: Item, baseUrl: string | null): boolean =>
  baseUrl !== null && !isImage(result) && !result.types.every((type) => PLAIN.has(type));

/** Results side by side. A browser has six connections: frames load one after the other, so that others go on. */
function ResultGrid({ items }: { items: readonly Item[] }) {
  const app = useApp();
  const [loaded, setLoaded] = useState(0);
  const framed = items.filter((item) => isFramed(item, app.api.transport.baseUrl));
  return (
    <div class="cloudo-results">
      {items.map((item) => {
        const place = framed.indexOf(item);
        return (
          <figure key={`${item.id} ${item.result.name}`} class="cloudo-result">
            <figcaption>
              <span>{item.caption}</span>
              <LinkButton aria-label={`Enlarge ${titleOf(item.result)}`} onClick={() => void enlarge(app, item)}>
                Enlarge
              </LinkButton>
            </figcaption>
            <div class="cloudo-result-body">
              {place < 0 ? (
                <NearContent {...item} />
              ) : (
                <Framed {...item} isTurn={place < loaded + MAX_FRAMES} onLoad={() => setLoaded((last) => last + 1)} />
              )}
            </div>
          </figure>
        );
      })}
    </div>
  );
}

/** A result as a page of the server, once it is its turn. */
function Framed({
  id,
  result,
  isTurn,
  isLarge = false,
  onLoad,
}: Item & { isTurn: boolean; isLarge?: boolean; onLoad?: () => void }) {
  const { baseUrl } = useApp().api.transport;
  const path = `${pathOfResult(id, result.name)}?format=html`;
  return isTurn ? (
    <Sandbox
      key={result.created_at}
      title={titleOf(result)}
      height={isLarge ? undefined : heightOf(result)}
      src={`${baseUrl}cloudo/api/1/${path}`}
      onLoad={onLoad}
    />
  ) : (
    <p class="cloudo-muted">Loading…</p>
  );
}

/** Content that is loaded when the reader comes near. */
function NearContent({ id, result }: Item) {
  const box = useRef<HTMLDivElement>(null);
  const isNear = useNear(box);
  return <div ref={box}>{isNear && <Content id={id} result={result} />}</div>;
}

function useBundle(id: string, { name, created_at }: ResultSummary) {
  const { api } = useApp();
  return useResource<Result>(`result ${id} ${name} ${created_at}`, (signal) =>
    api.get(pathOfResult(id, name), {}, signal),
  );
}

/** A result as image, sanitised Markdown or text. */
function Content({ id, result }: { id: string; result: ResultSummary }) {
  const { value, error } = useBundle(id, result);
  if (error && !value) return <p class="cloudo-muted">{error.message}</p>;
  if (!value) return <p class="cloudo-muted">Loading…</p>;
  const source = imageOf(value);
  if (source) return <img src={source} alt={titleOf(result)} />;
  if (value.markdown_html) return <SanitizedHtml html={value.markdown_html} />;
  const json = value.data["application/json"];
  const text = value.data["text/markdown"] ?? value.data["text/plain"] ?? JSON.stringify(json, null, 2);
  return <pre tabIndex={0}>{String(text ?? "Open the notebook to see this result.")}</pre>;
}

function imageOf({ data }: Result): string | null {
  const kind = IMAGES.find((type) => typeof data[type] === "string");
  return kind ? `data:${kind};base64,${String(data[kind]).replaceAll("\n", "")}` : null;
}

/** Results of ended runs by their ids. Each run is asked once. */
export function useResultsOf(runs: readonly Execution[]): ReadonlyMap<string, Shown> {
  const { api } = useApp();
  const known = useRef(new Map<string, Shown>());
  const ids = runs.filter(({ status }) => isEnded(status)).map(({ id }) => id);
  useResource(`results of ${ids.join()}`, async (signal) => {
    const fetchOne = async (id: string) => {
      const page = await api.get<Page<ResultSummary>>(`execution/${id}/results`, {}, signal);
      known.current.set(id, page.items);
    };
    // One that was deleted meanwhile has none.
    await Promise.allSettled(ids.filter((id) => !known.current.has(id)).map(fetchOne));
    return true;
  });
  return known.current;
}

/** The first image of a run, small. */
export function Thumbnail({ id, results = [] }: { id: string; results?: Shown }) {
  const first = results.find((one) => isImage(one) && one.size <= MAX_THUMB_BYTES);
  return first ? <SmallImage id={id} result={first} /> : null;
}

function SmallImage({ id, result }: { id: string; result: ResultSummary }) {
  const { value } = useBundle(id, result);
  const source = value && imageOf(value);
  return source ? <img class="cloudo-thumbnail" src={source} alt={titleOf(result)} /> : null;
}

function Caption({ run, one }: { run: Execution; one: ResultSummary }) {
  return (
    <>
      {titleOf(one)}{" "}
      <Link view="execution" id={run.id}>
        <Time at={run.created_at} />
      </Link>
    </>
  );
}

/** The newest results of a flow's runs side by side. */
export function LatestResults({ runs, results }: { runs: readonly Execution[]; results: ReadonlyMap<string, Shown> }) {
  const all = runs.flatMap((run) =>
    (results.get(run.id) ?? []).map((one): Item => ({
      id: run.id,
      result: one,
      caption: <Caption run={run} one={one} />,
    })),
  );
  if (all.length === 0) return null;
  return (
    <Panel title="Latest results">
      <ResultGrid items={all.slice(0, MAX_LATEST)} />
    </Panel>
  );
}
