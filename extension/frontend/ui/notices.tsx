/** What the dashboard says by itself: banners about problems, toasts about what was started, words for screen readers. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Execution } from "../api/types";
import { useApp } from "../app/context";
import { Button, IconButton, Link } from "./controls";
import { Icon } from "./icons";
import { StatusDot } from "./marks";
import { STATUSES, count, isEnded } from "./words";

const LINGER_MS = 12_000;
const MAX_LINKS = 5;
const MAX_TOASTS = 3;

interface Banner {
  cause: string;
  message: string;
  kind: "error" | "warning";
  isClosable: boolean;
  action?: { word: string; act: () => void };
}

type Started = Pick<Execution, "id" | "name" | "status">;

interface Toast {
  key: number;
  words: string;
  link?: ComponentChildren;
  rows: readonly Started[];
}

/** The banners and toasts of an app. */
export class Notices {
  readonly banners = signal<readonly Banner[]>([]);
  readonly toasts = signal<readonly Toast[]>([]);
  /** What a screen reader says. */
  readonly voice = signal("");
  private last = 0;

  /** Show `message` for `cause`; an empty message removes the banner. */
  set(cause: string, message: string, options: Partial<Omit<Banner, "cause" | "message">> = {}): void {
    const others = this.banners.peek().filter((banner) => banner.cause !== cause);
    if (!message && others.length === this.banners.peek().length) return;
    this.banners.value = message
      ? [...others, { cause, message, kind: "error", isClosable: false, ...options }]
      : others;
  }

  /** Show why an action failed. */
  fail(cause: string, error: unknown): void {
    this.set(cause, error instanceof Error ? error.message : String(error), { isClosable: true });
  }

  /** Have a screen reader say `words`. */
  announce(words: string): void {
    // The same words are read twice only if the region was empty in between.
    this.voice.value = "";
    setTimeout(() => (this.voice.value = words), 50);
  }

  /** Report executions that were just started, with links to them. */
  started(rows: readonly Started[]): void {
    if (rows.length === 0) return;
    const link = <Link view="executions">Show executions</Link>;
    this.show({ words: `Started ${count(rows.length, "execution")}`, link, rows });
  }

  /** Report what nothing else on the page shows. */
  tell(words: string, link?: ComponentChildren): void {
    this.show({ words, link, rows: [] });
  }

  /** Update the toasts with changed executions. */
  follow(rows: readonly Started[]): void {
    const news = new Map(rows.map((row) => [row.id, row]));
    for (const { rows: known } of this.toasts.peek()) {
      for (const { id, status, name } of known) {
        const now = news.get(id);
        if (now && isEnded(now.status) && !isEnded(status)) this.announce(`${name} has ended: ${STATUSES[now.status]}`);
      }
    }
    this.toasts.value = this.toasts
      .peek()
      .map((toast) => ({ ...toast, rows: toast.rows.map((row) => news.get(row.id) ?? row) }));
  }

  /** Ids of the executions in toasts that have not ended. */
  get pending(): string[] {
    return this.toasts.peek().flatMap(({ rows }) => rows.filter(({ status }) => !isEnded(status)).map(({ id }) => id));
  }

  close(key: number): void {
    this.toasts.value = this.toasts.peek().filter((toast) => toast.key !== key);
  }

  private show(toast: Omit<Toast, "key">): void {
    this.last += 1;
    this.toasts.value = [...this.toasts.peek(), { ...toast, key: this.last }].slice(-MAX_TOASTS);
    this.announce(toast.words);
  }
}

/** The banners, above the view. */
export function Banners({ notices }: { notices: Notices }) {
  return (
    <div class="cloudo-banners">
      {notices.banners.value.map(({ cause, message, kind, isClosable, action }) => (
        <div key={cause} class={`cloudo-banner cloudo-banner-${kind}`} role={kind === "error" ? "alert" : "status"}>
          <Icon name="alert" />
          <p>{message}</p>
          {action && <Button onClick={action.act}>{action.word}</Button>}
          {isClosable && <IconButton icon="close" label="Dismiss" onClick={() => notices.set(cause, "")} />}
        </div>
      ))}
    </div>
  );
}

/** The toasts, above everything but dialogs. */
export function Toasts({ notices }: { notices: Notices }) {
  const { view, id } = useApp().place.route.value;
  // The page of the one execution says it all.
  const isOpen = ({ rows }: Toast) => view === "execution" && rows.length === 1 && rows[0]?.id === id;
  const toasts = notices.toasts.value;
  useEffect(() => toasts.filter(isOpen).forEach(({ key }) => notices.close(key)));
  return (
    <>
      <div class="cloudo-toasts">
        {toasts
          .filter((toast) => !isOpen(toast))
          .map((toast) => (
            <ToastBox key={toast.key} toast={toast} close={() => notices.close(toast.key)} />
          ))}
      </div>
      <div class="cloudo-unseen" role="status" aria-live="polite">
        {notices.voice.value}
      </div>
    </>
  );
}

function ToastBox({ toast: { words, link, rows }, close }: { toast: Toast; close: () => void }) {
  const element = useRef<HTMLElement>(null);
  const isOver = rows.every(({ status }) => isEnded(status));
  useEffect(() => {
    if (!isOver) return undefined;
    const timer = setInterval(() => {
      // It stays while the reader is in it.
      if (!element.current?.matches(":hover, :focus-within")) close();
    }, LINGER_MS);
    return () => clearInterval(timer);
  }, [isOver]);
  return (
    <section ref={element} class="cloudo-toast" aria-label={words}>
      <header>
        <strong>{words}</strong>
        {link}
        <IconButton icon="close" label="Dismiss" onClick={close} />
      </header>
      {rows.length > 0 && (
        <ul>
          {rows.slice(0, MAX_LINKS).map(({ id, name, status }) => (
            <li key={id}>
              <StatusDot status={status} />
              <Link view="execution" id={id}>
                {name}
              </Link>
            </li>
          ))}
          {rows.length > MAX_LINKS && <li>and {rows.length - MAX_LINKS} more</li>}
        </ul>
      )}
    </section>
  );
}
