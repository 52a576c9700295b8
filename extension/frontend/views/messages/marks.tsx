/** What the views of messages share: states, answers, and deleting. */

import { ApiError, segment } from "../../api/client";
import type { Message } from "../../api/types";
import type { App } from "../../app/context";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/marks";
import { count, cut, moment } from "../../ui/words";

export type MessageState = Message["state"];

interface StateMark {
  word: string;
  icon: string;
  /** The status of executions that has the same colour. */
  tone?: string;
}

export const MESSAGE_STATES: Record<MessageState, StateMark> = {
  OPEN: { word: "Open", icon: "WAITING", tone: "WAITING" },
  ANSWERED: { word: "Answered", icon: "ENDED_SUCCESS", tone: "ENDED_SUCCESS" },
  EXPIRED: { word: "Expired", icon: "ENDED_CANCELLED" },
  WITHDRAWN: { word: "Withdrawn", icon: "ENDED_CANCELLED" },
  INFO: { word: "Info", icon: "info" },
};

/** Icon and word of a message's state. */
export function MessageStateMark({ state }: { state: MessageState }) {
  const { word, icon, tone } = MESSAGE_STATES[state];
  return (
    <span class="cloudo-status" data-status={tone}>
      <Icon name={icon} />
      <span>{word}</span>
    </span>
  );
}

/** Who answered, and when; of an open request, when it expires. */
export function AnsweredBy({ message }: { message: Message }) {
  const { state, answered_by, answered_at, expires_at } = message;
  if (answered_at) {
    return (
      <span class="cloudo-muted">
        {answered_by}, <Time at={answered_at} />
      </span>
    );
  }
  return state === "OPEN" && expires_at ? (
    <span class="cloudo-muted" title={moment(expires_at)}>
      expires <Time at={expires_at} />
    </span>
  ) : null;
}

/** Delete messages after asking. Resolves to whether it was done. */
export async function deleteMessages({ api, dialogs, notices }: App, messages: readonly Message[]): Promise<boolean> {
  const [first] = messages;
  if (!first) return false;
  const what = messages.length === 1 ? cut(first.subject) : count(messages.length, "message");
  const isAwaited = messages.some(({ state }) => state === "OPEN");
  const text = isAwaited
    ? "A flow that waits for an answer gets an error."
    : messages.length === 1
      ? "The message and its answer are removed."
      : "The messages and their answers are removed.";
  if (!(await dialogs.confirm({ title: `Delete ${what}?`, text, word: "Delete" }))) return false;
  notices.set("act", "");
  const failed: string[] = [];
  for (const { id, subject } of messages) {
    try {
      await api.delete(`message/${segment(id)}`);
    } catch (error) {
      // Another person was quicker.
      if (error instanceof ApiError && error.status === 404) continue;
      failed.push(`${cut(subject)}: ${(error as Error).message}`);
    }
  }
  if (failed.length > 0) notices.set("act", failed.join("\n"), { isClosable: true });
  return true;
}
