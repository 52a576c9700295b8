/** The open input requests, above the list of flows: each is opened and answered in place. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { segment } from "../../api/client";
import type { Message, Page } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { AnswerForm } from "../../forms/answer";
import { AnswerBox } from "../../forms/answers";
import { focusFirst } from "../../forms/inputs";
import { Link } from "../../ui/controls";
import { Time } from "../../ui/marks";
import { count, cut, moment } from "../../ui/words";

const MAX_SHOWN = 500;
const GONE = "This request is no longer open. It was answered, has expired, or was withdrawn.";

export function OpenMessages() {
  const { api, notices } = useApp();
  const element = useRef<HTMLElement>(null);
  const page = useResource<Page<Message>>(
    "open messages",
    (signal) => api.get("message", { unanswered: true, limit: MAX_SHOWN }, signal),
    { concerns: (news) => news.has("message") },
  );
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [answered, setAnswered] = useState<ReadonlySet<string>>(new Set());
  const rows = useKept(page.value?.items ?? [], open, answered);
  const onToggle = (id: string, isOpen: boolean) =>
    setOpen((old) => new Set(isOpen ? [...old, id] : [...old].filter((other) => other !== id)));
  const onAnswered = (message: Message) => {
    const next = nextSummary(element.current, message.id);
    setAnswered((old) => new Set([...old, message.id]));
    notices.tell(`Answered: ${cut(message.subject)}`);
    page.refresh();
    (next ?? element.current?.closest(".cloudo-view")?.querySelector<HTMLElement>("h1"))?.focus();
  };
  const isOpen = (id: string) => page.value?.items.some((message) => message.id === id) ?? false;
  const number = rows.filter(({ message: { id } }) => isOpen(id)).length;
  if (rows.length === 0) return null;
  return (
    <section ref={element} class="cloudo-panel cloudo-messages" aria-label="Input requests">
      <header>
        <h2>{page.value?.next ? `More than ${count(number, "input request")}` : count(number, "input request")}</h2>
        <Link view="messages">All messages</Link>
      </header>
      <ul class="cloudo-message-list">
        {rows.map(({ message }) => (
          <Item
            key={message.id}
            message={message}
            isGone={!isOpen(message.id)}
            onToggle={(isNow) => onToggle(message.id, isNow)}
            onAnswered={() => onAnswered(message)}
          />
        ))}
      </ul>
    </section>
  );
}

interface Kept {
  message: Message;
}

/** The open messages, and those that are not open any more but that the reader has unfolded: the text stays. */
function useKept(items: readonly Message[], open: ReadonlySet<string>, answered: ReadonlySet<string>): Kept[] {
  const kept = useRef<readonly Message[]>([]);
  return useMemo(() => {
    const ids = new Set(items.map(({ id }) => id));
    const gone = kept.current.filter(({ id }) => !ids.has(id) && open.has(id));
    const all = [...items, ...gone].filter(({ id }) => !answered.has(id));
    kept.current = all.sort((one, other) => (one.id < other.id ? 1 : -1));
    return kept.current.map((message) => ({ message }));
  }, [items, open, answered]);
}

/** The summary of the request below, else above, the one that leaves. */
function nextSummary(list: HTMLElement | null, id: string): HTMLElement | null {
  const item = list?.querySelector(`[data-id="${CSS.escape(id)}"]`);
  return (item?.nextElementSibling ?? item?.previousElementSibling)?.querySelector("summary") ?? null;
}

interface ItemProps {
  message: Message;
  /** Whether it cannot be answered any more. */
  isGone: boolean;
  onToggle: (isOpen: boolean) => void;
  onAnswered: () => void;
}

function Item({ message, isGone, onToggle, onAnswered }: ItemProps) {
  const { subject, level, created_at, expires_at } = message;
  const [isUnfolded, setUnfolded] = useState(false);
  const [isOpen, setOpen] = useState(false);
  return (
    <li class="cloudo-message" data-id={message.id} data-level={level}>
      <details
        open={isOpen}
        onToggle={(event) => {
          const isNow = event.currentTarget.open;
          setOpen(isNow);
          if (isNow) setUnfolded(true);
          onToggle(isNow);
        }}
      >
        <summary>
          <span class="cloudo-subject">{cut(subject)}</span>
          <span class="cloudo-muted">
            <Time at={created_at} />
            {expires_at && ` · expires ${moment(expires_at)}`}
          </span>
        </summary>
        {/* Its form stays when it is folded: nothing typed is lost. */}
        {isUnfolded && <Body id={message.id} isGone={isGone} onAnswered={onAnswered} />}
      </details>
    </li>
  );
}

function Body({ id, isGone, onAnswered }: { id: string; isGone: boolean; onAnswered: () => void }) {
  const { api } = useApp();
  const body = useRef<HTMLDivElement>(null);
  // The list has no rendered texts, so the form is fetched with its message, once.
  const message = useResource<Message>(`message ${id} in place`, (signal) =>
    api.get(`message/${segment(id)}`, {}, signal),
  );
  const whole = message.value;
  const form = useMemo(() => (whole?.body ? new AnswerForm(whole, api) : null), [whole !== null]);
  useEffect(() => {
    if (form) form.closed.value = isGone ? GONE : "";
  }, [form, isGone]);
  useEffect(() => {
    if (form && body.current?.closest("details")?.contains(document.activeElement)) focusControl(body.current);
  }, [form]);
  return (
    <div class="cloudo-message-body" ref={body}>
      {whole?.execution_id && (
        <p class="cloudo-muted">
          From{" "}
          <Link view="execution" id={whole.execution_id}>
            {cut(whole.execution_name ?? "an execution")}
          </Link>
        </p>
      )}
      {form && <AnswerBox form={form} onAnswered={onAnswered} />}
      {message.error && !whole && (
        <p class="cloudo-field-error" role="alert">
          {isGone ? GONE : message.error.message}
        </p>
      )}
    </div>
  );
}

/** Move the focus to the first control, or to the first button if there is none. */
function focusControl(element: HTMLElement): void {
  focusFirst(element);
  if (!element.contains(document.activeElement)) element.querySelector<HTMLElement>("[type=submit]")?.focus();
}
