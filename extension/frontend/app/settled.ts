/** Text that follows a control once the typing pauses. */

import { useEffect, useState } from "preact/hooks";

const TYPING_MS = 250;

/** Return `text` as it was when the typing last paused. An emptied text is returned at once. */
export function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), text ? TYPING_MS : 0);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
