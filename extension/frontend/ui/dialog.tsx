/**
 * Dialogs. The browser's own `<dialog>` keeps the focus inside, closes with Escape, and returns the focus.
 */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button, IconButton } from "./controls";
import { useId } from "./ids";

interface OpenDialog {
  key: number;
  render: (close: () => void) => ComponentChildren;
  closed: () => void;
}

/** The open dialogs of an app. */
export class Dialogs {
  readonly open = signal<readonly OpenDialog[]>([]);
  private last = 0;

  /** Open a dialog. `render` gets the function that closes it. Resolves when it has closed. */
  show(render: (close: () => void) => ComponentChildren): Promise<void> {
    const key = (this.last += 1);
    return new Promise((resolve) => {
      const closed = () => {
        this.open.value = this.open.value.filter((one) => one.key !== key);
        resolve();
      };
      this.open.value = [...this.open.value, { key, render, closed }];
    });
  }

  /** Ask before an action that cannot be undone. Resolves to whether to go on. */
  async confirm({ title, text, word }: { title: string; text: string; word: string }): Promise<boolean> {
    let isSure = false;
    await this.show((close) => (
      <Dialog
        title={title}
        close={close}
        focus={(dialog) => dialog.querySelector<HTMLElement>("[type=submit]")?.focus()}
        onSubmit={() => {
          isSure = true;
          close();
        }}
        buttons={
          <Button type="submit" kind="danger">
            {word}
          </Button>
        }
      >
        <p>{text}</p>
      </Dialog>
    ));
    return isSure;
  }
}

interface DialogProps {
  title: string;
  close: () => void;
  /** Called by a submit button, which it gets, and by Enter. */
  onSubmit?: (submitter: HTMLElement | null) => void;
  buttons?: ComponentChildren;
  /** A dialog that only informs has nothing to cancel. */
  isInformation?: boolean;
  /** Moves the focus when the dialog has opened. */
  focus?: (dialog: HTMLElement) => void;
  /** Wide dialogs hold two columns. */
  isWide?: boolean;
  children: ComponentChildren;
}

/** A modal dialog with a title, a body that scrolls, and buttons. */
export function Dialog({
  title,
  close,
  onSubmit,
  buttons,
  isInformation = false,
  isWide = false,
  focus,
  children,
}: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    if (dialog && focus) focus(dialog);
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  // Inside JupyterLab, Enter in a field does not submit by itself.
  const submitByEnter = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.isComposing || !(event.target instanceof HTMLInputElement)) return;
    event.preventDefault();
    event.target.form?.requestSubmit();
  };
  return (
    <dialog
      ref={element}
      class={`cloudo-dialog ${isWide ? "cloudo-wide" : ""}`.trim()}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <form
        noValidate
        onKeyDown={submitByEnter}
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit?.((event as SubmitEvent).submitter);
        }}
      >
        {/* A header or footer here would be a second banner of the page: a dialog is no section. */}
        <div class="cloudo-dialog-head">
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={close} />
        </div>
        <div class="cloudo-dialog-body">{children}</div>
        <div class="cloudo-dialog-foot">
          {!isInformation && <Button onClick={close}>Cancel</Button>}
          {buttons}
        </div>
      </form>
    </dialog>
  );
}

/** Renders the open dialogs; part of the frame. */
export function DialogHost({ dialogs }: { dialogs: Dialogs }) {
  return (
    <>
      {dialogs.open.value.map(({ key, render, closed }) => (
        <div key={key} class="cloudo-dialog-place">
          {render(closed)}
        </div>
      ))}
    </>
  );
}
