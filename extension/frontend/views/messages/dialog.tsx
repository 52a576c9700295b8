/** Opens what an execution asks as a dialog, as soon as it asks. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, segment } from "../../api/client";
import type { Execution, Message, Page } from "../../api/types";
import type { App } from "../../app/context";
import { useResource } from "../../app/resource";
import { AnswerForm } from "../../forms/answer";
import { AnswerButtons, AnswerFields, pressedIn } from "../../forms/answers";
import { focusFirst } from "../../forms/inputs";
import { Button, Link } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import { isEnded } from "../../ui/words";

/**
 * Show the input requests of an execution, one after another, until it ends. Resolves when the dialog has closed.
 * Cancel withdraws the request and cancels the execution.
 */
export function openRequestDialog(app: App, executionId: string, title: string): Promise<void> {
  return app.dialogs.show((close) => <RequestDialog app={app} executionId={executionId} title={title} close={close} />);
}

/** What the execution asks now, and whether it has ended and nothing is left to answer. */
interface Asked {
  message: Message | null;
  isOver: boolean;
}

interface RequestDialogProps {
  app: App;
  executionId: string;
  title: string;
  close: () => void;
}

function RequestDialog({ app, executionId, title, close }: RequestDialogProps) {
  const body = useRef<HTMLDivElement>(null);
  const [answered, setAnswered] = useState<ReadonlySet<string>>(new Set());
  const asked = useAsked(app, executionId);
  const current = asked.value?.message ?? null;
  const message = current && !answered.has(current.id) ? current : null;
  const form = useMemo(() => (message ? new AnswerForm(message, app.api) : null), [message?.id]);
  const isOver = asked.value?.isOver ?? false;
  useEffect(() => {
    if (isOver) close();
  }, [isOver]);
  useEffect(() => {
    if (form) focusFirst(body.current);
  }, [form]);

  const submit = async (submitter: HTMLElement | null) => {
    if (!form) return;
    const send = (response: Record<string, unknown>) => app.api.post<void>(`message/${form.id}/response`, { response });
    if (await form.submit(pressedIn(submitter), send)) {
      setAnswered((old) => new Set([...old, form.id]));
      asked.refresh();
    } else setTimeout(() => focusFirst(body.current));
  };
  // After an answer, closing the dialog leaves the execution alone.
  const isUndone = answered.size === 0 || message !== null;
  const cancel = () => {
    close();
    if (isUndone) void withdraw(app, executionId, message);
  };
  return (
    <Dialog
      title={title}
      close={cancel}
      isWide={form?.fields.some(({ inputs, flowNames }) => inputs?.isSeveral && flowNames.length > 1)}
      onSubmit={(submitter) => void submit(submitter)}
      buttons={
        form && (
          <>
            <Button onClick={close} title="Close this form. The request stays open in the list of input requests.">
              Answer later
            </Button>
            <AnswerButtons form={form} />
          </>
        )
      }
    >
      <div ref={body} class="cloudo-answer">
        {form ? (
          <AnswerFields key={form.id} form={form} />
        ) : (
          <Waiting executionId={executionId} error={asked.error} isAnswered={answered.size > 0} close={close} />
        )}
      </div>
    </Dialog>
  );
}

/** Follow the first open request of an execution. A request may outlive it: another execution waits for the answer. */
function useAsked({ api }: App, executionId: string) {
  const fetch = async (signal: AbortSignal): Promise<Asked> => {
    const query = { execution_id: executionId, unanswered: true, limit: 50 };
    // In this order: what it has asked before its end is in the list.
    const execution = await api.get<Execution>(`execution/${segment(executionId)}`, {}, signal);
    const page = await api.get<Page<Message>>("message", query, signal);
    const first = page.items.at(-1);
    // Only a single message has its texts rendered.
    const message = first ? await api.get<Message>(`message/${segment(first.id)}`, {}, signal) : null;
    return { message, isOver: !message && isEnded(execution.status) };
  };
  return useResource<Asked>(`request of ${executionId}`, fetch, {
    concerns: (news) => news.has("message") || news.tells("execution", executionId),
    paceMs: 50,
  });
}

interface WaitingProps {
  executionId: string;
  error: ApiError | null;
  isAnswered: boolean;
  close: () => void;
}

function Waiting({ executionId, error, isAnswered, close }: WaitingProps) {
  if (error) {
    return (
      <p class="cloudo-field-error" role="alert">
        {error.message}
      </p>
    );
  }
  return (
    <p class="cloudo-expected" role="status">
      <span class="cloudo-status" data-status="RUNNING">
        <Icon name="RUNNING" />
        <span>{isAnswered ? "The answer was sent. Waiting for the flow…" : "Waiting for the form…"}</span>
      </span>
      <span onClick={close}>
        <Link view="execution" id={executionId}>
          Show execution
        </Link>
      </span>
    </p>
  );
}

/** Cancel an execution and those that it has started, and delete what it asked. */
async function withdraw({ api, notices }: App, executionId: string, message: Message | null): Promise<void> {
  const failed: string[] = [];
  const attempt = async (act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (error) {
      // It has ended or is gone already.
      if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return;
      failed.push((error as Error).message);
    }
  };
  // In this order: a flow whose request disappears would fail instead.
  await attempt(() => api.post(`execution/${segment(executionId)}/cancel`, { tree: true }));
  if (message) await attempt(() => api.delete(`message/${segment(message.id)}`));
  if (failed.length > 0) notices.set("act", failed.join("\n"), { isClosable: true });
}
