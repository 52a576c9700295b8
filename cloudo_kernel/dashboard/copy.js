/**
 * Copying a text: a button beside it, which says that it was done.
 */

import { h, iconButton } from "./dom.js";

const DONE_FOR = 1200;

/** A text with a button that copies it. Without a secure context there is no clipboard: then the text is selected. */
export function copyable(text, label, toasts, shown = h("code", text)) {
  const copy = iconButton("copy", label, {
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        toasts.announce("Copied");
        copy.classList.add("cloudo-done");
        setTimeout(() => copy.classList.remove("cloudo-done"), DONE_FOR);
      } catch {
        getSelection().selectAllChildren(shown);
      }
    },
  });
  return h(shown.tagName === "PRE" ? "div.lines" : "span.id", shown, copy);
}

/** Lines for a shell, with a button that copies them. */
export const copyableLines = (text, label, toasts) => copyable(text, label, toasts, h("pre.curl", { tabindex: 0 }, text));
