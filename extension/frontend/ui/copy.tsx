/** Texts with a button that copies them. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useApp } from "../app/context";
import { IconButton } from "./controls";

const DONE_MS = 1_200;

interface CopyableProps {
  text: string;
  /** What the button is called. */
  label: string;
}

/** One line of text with a button that copies it. */
export function Copyable({ text, label }: CopyableProps) {
  const shown = useRef<HTMLElement>(null);
  return (
    <span class="cloudo-id">
      <code ref={shown}>{text}</code>
      <CopyButton text={text} label={label} shown={shown} />
    </span>
  );
}

/** Lines for a shell, with a button that copies them. */
export function CopyableLines({ text, label }: CopyableProps) {
  const shown = useRef<HTMLPreElement>(null);
  return (
    <div class="cloudo-lines">
      <pre class="cloudo-curl" tabIndex={0} ref={shown}>
        {text}
      </pre>
      <CopyButton text={text} label={label} shown={shown} />
    </div>
  );
}

function CopyButton({ text, label, shown }: CopyableProps & { shown: { current: HTMLElement | null } }) {
  const { notices } = useApp();
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return undefined;
    const timer = setTimeout(() => setDone(false), DONE_MS);
    return () => clearTimeout(timer);
  }, [isDone]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      notices.announce("Copied");
      setDone(true);
    } catch {
      // Without a secure context there is no clipboard: select the text, for the reader's own keys.
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
    }
  };
  return <IconButton icon="copy" label={label} class={isDone ? "cloudo-done" : ""} onClick={() => void copy()} />;
}
