/** One message: its form while it is open, and its answer. */

import { useMemo, useRef } from "preact/hooks";
import { segment } from "../../api/client";
import type { Message } from "../../api/types";
import { useApp } from "../../app/context";
import { useGone } from "../../app/gone";
import { useResource } from "../../app/resource";
import { AnswerForm, type FormBody, type FormElement } from "../../forms/answer";
import { AnswerBox, Told } from "../../forms/answers";
import { Button, Heading, Link, Panel } from "../../ui/controls";
import { Single } from "../../ui/single";
import { Time } from "../../ui/marks";
import { Facts, ValuesPanel } from "../../ui/values";
import { cut, duration, size } from "../../ui/words";
import { AnsweredBy, deleteMessages, MessageStateMark } from "./marks";

const LEVELS: Record<string, string> = { success: "Success", warning: "Warning", error: "Error" };
const REASONS: Partial<Record<Message["state"], string>> = {
  EXPIRED: "It expired before it was answered.",
  WITHDRAWN: "It was withdrawn because the execution that asked has ended.",
};

export function MessageDetail() {
  const { api, place } = useApp();
  const id = place.route.value.id ?? "";
  const message = useResource<Message>(`message ${id}`, (signal) => api.get(`message/${segment(id)}`, {}, signal), {
    concerns: (news) => news.tells("message", id) && !news.tells("message", id, "MessageDeleted"),
  });
  const isDeleted = useGone("message", id, "MessageDeleted");
  const isGone = isDeleted || message.error?.status === 404;
  return (
    <Single
      label="Message"
      list="messages"
      heading="Message"
      error={message.error}
      isGone={isGone}
      gone="It was deleted or has expired, or the address is mistyped."
      retry={message.refresh}
    >
      {message.value && <Whole message={message.value} refresh={message.refresh} />}
    </Single>
  );
}

function Whole({ message, refresh }: { message: Message; refresh: () => void }) {
  const app = useApp();
  const { state, execution_id, execution_name, created_at, expires_at, level } = message;
  const remove = async () => {
    if (await deleteMessages(app, [message])) app.place.go("messages");
  };
  const head = useRef<HTMLDivElement>(null);
  const isPast = state === "EXPIRED";
  return (
    <>
      <div class="cloudo-heading" ref={head}>
        <div class="cloudo-heading-title">
          <Heading>{message.subject}</Heading>
          <MessageStateMark state={state} />
        </div>
        <div class="cloudo-bar cloudo-bar-inline" role="toolbar" aria-label="Actions">
          <Button icon="trash" onClick={() => void remove()}>
            Delete
          </Button>
        </div>
      </div>
      <div class="cloudo-detail">
        <Facts
          facts={[
            [
              "Execution",
              execution_id && (
                <Link view="execution" id={execution_id}>
                  {cut(execution_name ?? "Show execution")}
                </Link>
              ),
            ],
            ["Created", <Time at={created_at} />],
            ["Expires", state === "OPEN" && (expires_at ? <Time at={expires_at} /> : "never")],
            ["Expired", isPast && expires_at && <Time at={expires_at} />],
            ["Answered by", state === "ANSWERED" && <AnsweredBy message={message} />],
            ["Level", LEVELS[level ?? ""]],
          ]}
        />
        <Content
          message={message}
          refresh={refresh}
          onAnswered={() => head.current?.querySelector("h1")?.focus({ preventScroll: true })}
        />
      </div>
    </>
  );
}

interface ContentProps {
  message: Message;
  refresh: () => void;
  onAnswered: () => void;
}

function Content({ message, refresh, onAnswered }: ContentProps) {
  const { api, notices } = useApp();
  const { id, state, subject } = message;
  const isOpen = state === "OPEN";
  // The form stays the same object while it is open: news must not take away what is typed.
  const form = useMemo(() => (isOpen ? new AnswerForm(message, api) : null), [id, isOpen]);
  const told = Object.entries(elementsOf(message)).filter(
    ([, { element, preview }]) => element === "markdown" && !preview,
  );
  if (form) {
    const answered = () => {
      notices.tell(`Answered: ${cut(subject)}`);
      refresh();
      onAnswered();
    };
    return (
      <Panel title="Answer" class="cloudo-messages">
        <AnswerBox form={form} onAnswered={answered} />
      </Panel>
    );
  }
  const reason = REASONS[state];
  return (
    <>
      {(told.length > 0 || reason) && (
        <section class="cloudo-panel" aria-label="Text">
          {told.map(([key, about]) => (
            <Told key={key} about={about} />
          ))}
          {reason && <p class="cloudo-muted">{reason}</p>}
        </section>
      )}
      {state === "ANSWERED" && (
        <ValuesPanel title="Answer" values={answersOf(message)} none="It was answered without values." />
      )}
    </>
  );
}

const elementsOf = ({ body }: Message): Record<string, FormElement> =>
  (body as unknown as FormBody | null)?.properties ?? {};

/** The answer by the labels of the form's elements, in their order, with the button that was pressed. */
function answersOf(message: Message): Record<string, unknown> {
  const elements = elementsOf(message);
  const order = (key: string) => elements[key]?.order ?? Infinity;
  const shown: Record<string, unknown> = {};
  const response = Object.entries(message.response ?? {}).sort(([one], [other]) => order(one) - order(other) || 0);
  for (const [key, value] of response) {
    const about = elements[key];
    if (about?.element === "submit" && value !== true) continue;
    const label = about?.label || key;
    shown[label in shown ? `${label} (${key})` : label] = readable(value, about);
  }
  return shown;
}

function readable(value: unknown, about: FormElement | undefined): unknown {
  if (about?.element === "submit") return "pressed";
  if (about?.element === "toggle") return value ? "yes" : "no";
  if (about?.element === "duration") return duration(Number(value) * 1000);
  if (about?.element === "file" && typeof value === "object" && value !== null) {
    const { name = "a file", content = "" } = value as { name?: string; content?: string };
    return `${name} (${size(Math.floor((content.length * 3) / 4))})`;
  }
  return value ?? "–";
}
