/**
 * The dialog that asks for the inputs of flows and starts them.
 */

import { openDialog } from "./dialogs.js";
import { button, h, put, say } from "./dom.js";
import { InputForm } from "./form.js";
import { count } from "./words.js";

/**
 * Ask for the inputs of `flows` and start them, those in `others` too.
 *
 * `start(items)` promises one `{row}` or `{error}` per item. Those that started leave the dialog; the others keep
 * what was typed and show what is wrong.
 */
export function askInputs(host, { flows, others = [], isBrief, start }) {
  let forms = flows.map((flow) => new InputForm(flow, { isBrief, isAlone: flows.length + others.length === 1 }));
  let rest = others;
  const go = button(`Play ${count(flows.length + rest.length, "flow")}`, { icon: "play", kind: ".primary" });
  go.type = "submit";
  const trouble = h("p.field-error", { role: "alert" });
  const list = h("div", ...forms.map((form) => form.element));

  const submit = async () => {
    const read = forms.map((form) => form.read());
    if (read.includes(null)) return focusFirst(dialog);
    go.disabled = true;
    say(trouble, "");
    try {
      const items = [...forms.map((form, at) => ({ flow_name: form.flow.name, inputs: read[at], isAsked: true })), ...rest];
      const results = await start(items);
      rest = [];
      const failed = forms.filter((form, at) => results[at].error && (form.complain(results[at].error.message, results[at].error.field), true));
      if (failed.length === 0) return dialog.close();
      forms = failed;
      put(list, ...forms.map((form) => form.element));
      put(go.lastChild, `Play ${count(forms.length, "flow")}`);
      focusFirst(dialog);
    } catch (problem) {
      say(trouble, problem.message);
    } finally {
      go.disabled = false;
    }
  };
  const title = flows.length + rest.length === 1 ? `Run ${flows[0].title}` : `Run ${count(flows.length + rest.length, "flow")}`;
  const also = rest.length > 0 && h("p.field-note", `With their defaults: ${rest.map((item) => item.flow_name).join(", ")}`);
  const dialog = openDialog(host, title, { body: [trouble, list, also].filter(Boolean), buttons: [go], onsubmit: submit });
  (dialog.querySelector(".cloudo-control, input") ?? go).focus();
}

function focusFirst(dialog) {
  const wrong = dialog.querySelector("[aria-invalid=true]");
  (wrong ?? dialog.querySelector(".cloudo-control"))?.focus();
}
