/**
 * Dialogs, such as "are you sure". The browser's own `<dialog>` keeps the focus inside, closes with Esc and gives the
 * focus back.
 */

import { button, h, iconButton, newId } from "./dom.js";

/** Open a dialog in `host`; it removes itself when closed. One that only tells has nothing to cancel. */
export function openDialog(host, title, { body, buttons, onsubmit, isTelling = false }) {
  const heading = h("h2", { id: newId() }, title);
  const close = () => dialog.close();
  const form = h(
    "form",
    { novalidate: true },
    h("header", heading, iconButton("close", "Close", { onclick: close })),
    h("div.dialog-body", ...body),
    h("footer", !isTelling && button("Cancel", { onclick: close }), ...buttons),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onsubmit();
  });
  // Inside JupyterLab the browser's own "Enter submits" does not happen.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  const dialog = h("dialog.dialog", { "aria-labelledby": heading.id }, form);
  dialog.addEventListener("close", () => dialog.remove());
  host.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask before something that cannot be undone; promises whether to go on. */
export function confirm(host, { title, text, word }) {
  return new Promise((resolve) => {
    let isSure = false;
    const go = button(word, { kind: ".danger" });
    go.type = "submit";
    const sure = () => {
      isSure = true;
      dialog.close();
    };
    const dialog = openDialog(host, title, { body: [h("p", text)], buttons: [go], onsubmit: sure });
    dialog.addEventListener("close", () => resolve(isSure));
    go.focus();
  });
}
