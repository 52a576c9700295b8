/** All messages: what flows reported and asked, and who answered. */

import { useEffect, useMemo } from "preact/hooks";
import type { Message } from "../../api/types";
import { useApp } from "../../app/context";
import { usePaged } from "../../app/paged";
import { Button, Empty, Link } from "../../ui/controls";
import { Icon } from "../../ui/icons";
import { List, NoMatch } from "../../ui/list";
import { Time } from "../../ui/marks";
import { Selection } from "../../ui/selection";
import { type Column } from "../../ui/table";
import { cut } from "../../ui/words";
import { AnsweredBy, deleteMessages, MESSAGE_STATES, MessageStateMark, type MessageState } from "./marks";

const columns: Column<Message>[] = [
  { name: "state", label: "State", cell: ({ state }) => <MessageStateMark state={state} /> },
  {
    name: "name",
    label: "Message",
    cell: ({ id, subject }) => (
      <Link view="message" id={id} class="cloudo-title cloudo-plain-link">
        {cut(subject)}
      </Link>
    ),
  },
  {
    name: "asker",
    label: "Execution",
    cell: ({ execution_id, execution_name }) =>
      execution_id && (
        <Link view="execution" id={execution_id}>
          {cut(execution_name ?? "Show execution")}
        </Link>
      ),
  },
  { name: "made", label: "Created", cell: ({ created_at }) => <Time at={created_at} /> },
  { name: "answer", label: "Answered by", cell: (message) => <AnsweredBy message={message} /> },
];

const keyOf = ({ id }: Message) => id;

export function MessageList() {
  const app = useApp();
  const { place } = app;
  const { q = "", state = "" } = place.route.value.query;
  const states = state.split(",").filter((one) => one in MESSAGE_STATES) as MessageState[];
  const page = usePaged<Message>(
    "message",
    { state: states },
    { concerns: (news) => news.has("message"), paceMs: 500 },
  );
  const selection = useMemo(() => new Selection(), []);
  const all = page.value?.items ?? [];
  useEffect(() => {
    if (page.value) selection.retain(new Set(page.value.items.map(keyOf)));
  }, [page.value]);
  // REST filters by state only: words are looked for among the loaded ones.
  const rows = page.value && all.filter((message) => matches(message, q));
  const isFiltered = q !== "" || states.length > 0;
  const remove = async () => {
    if (
      await deleteMessages(
        app,
        all.filter(({ id }) => selection.keys.peek().has(id)),
      )
    )
      page.refresh();
  };
  return (
    <List
      title="Messages"
      rows={rows}
      error={page.error}
      retry={page.refresh}
      columns={columns}
      keyOf={keyOf}
      wordOf={({ subject }) => cut(subject)}
      selection={selection}
      onOpen={({ id }) => place.go("message", id)}
      filter={q}
      onFilter={(text) => place.refine({ q: text.trim() })}
      more={<StateChips states={states} />}
      actions={
        <Button icon="trash" disabled={selection.keys.value.size === 0} onClick={() => void remove()}>
          Delete
        </Button>
      }
      empty={
        isFiltered ? (
          <NoMatch
            title="No matching messages"
            text="New messages that match appear here."
            onClear={() => place.refine({ q: "", state: "" })}
          />
        ) : (
          <NoMessages />
        )
      }
      footer={
        page.value?.next && (
          <div class="cloudo-more">
            <Button icon="down" onClick={page.more}>
              Load more
            </Button>
          </div>
        )
      }
    />
  );
}

function matches({ subject, execution_name, answered_by }: Message, q: string): boolean {
  const wanted = q.toLowerCase();
  return [subject, execution_name, answered_by].some((text) => (text ?? "").toLowerCase().includes(wanted));
}

function StateChips({ states }: { states: readonly MessageState[] }) {
  const { place } = useApp();
  const toggle = (state: MessageState) => {
    const chosen = states.includes(state) ? states.filter((other) => other !== state) : [...states, state];
    place.refine({ state: chosen.join() });
  };
  return (
    <div class="cloudo-chips" role="group" aria-label="Filter by state">
      {(Object.keys(MESSAGE_STATES) as MessageState[]).map((state) => (
        <button
          key={state}
          type="button"
          class="cloudo-chip"
          data-status={MESSAGE_STATES[state].tone}
          aria-pressed={states.includes(state)}
          onClick={() => toggle(state)}
        >
          <Icon name={MESSAGE_STATES[state].icon} />
          <span>{MESSAGE_STATES[state].word}</span>
        </button>
      ))}
    </div>
  );
}

const NoMessages = () => (
  <Empty title="No messages yet">
    <p>
      A flow reports with <code>system.message("…")</code> and asks with a form. Both appear here.
    </p>
  </Empty>
);
