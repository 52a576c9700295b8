/** Draws the form of an input request: a control for each element, with its error beside it. */

import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { useApp } from "../app/context";
import { Button } from "../ui/controls";
import { SanitizedHtml } from "../ui/html";
import { useId } from "../ui/ids";
import { zoneNames } from "../ui/zones";
import { UnitSelect } from "./entry";
import { FlowInputs, useFlowNames } from "./flows";
import { focusFirst } from "./inputs";
import type { AnswerField, AnswerForm, FormElement } from "./answer";
import { NextTimes, TriggerFields, usePreview } from "./times";
import type { TriggerDraft } from "./trigger";

const INPUT_TYPES: Record<string, string> = {
  date: "date",
  time: "time",
  datetime: "datetime-local",
  password: "password",
  file: "file",
};
const DECIMAL = ["number", "duration"];

/** The elements of the form, without its buttons. */
export function AnswerFields({ form }: { form: AnswerForm }) {
  return (
    <div onInput={() => form.changed()}>
      {form.shown.map(({ key, about, field }) =>
        field ? (
          <FieldBox key={key} field={field} form={form} />
        ) : about.preview ? (
          <Preview key={key} form={form} about={about} />
        ) : (
          <Told key={key} about={about} />
        ),
      )}
      <p class="cloudo-field-error" role="alert">
        {form.closed.value || form.problem.value}
      </p>
    </div>
  );
}

/** A text of the form. */
export function Told({ about }: { about: FormElement }) {
  if (about.description_html) return <SanitizedHtml class="cloudo-told" html={about.description_html} />;
  return <p class="cloudo-told">{about.description || about.label}</p>;
}

/** The buttons that send the form. Enter presses the first one. */
export function AnswerButtons({ form }: { form: AnswerForm }) {
  const isOff = form.isBusy.value || form.closed.value !== "";
  return (
    <>
      {form.buttons.map(({ key, about }, at) => (
        <Button
          key={key ?? ""}
          type="submit"
          kind={at === 0 ? "primary" : ""}
          value={key ?? ""}
          title={about.description || undefined}
          disabled={isOff}
        >
          {about.label}
        </Button>
      ))}
    </>
  );
}

/** The key of the button that has sent a form; null for the form's own. */
export const pressedIn = (submitter: EventTarget | null): string | null =>
  (submitter instanceof HTMLButtonElement && submitter.value) || null;

/** A whole form in a view. `onAnswered` is called when the answer was accepted. */
export function AnswerBox({ form, onAnswered }: { form: AnswerForm; onAnswered: () => void }) {
  const { api } = useApp();
  const element = useRef<HTMLFormElement>(null);
  const submit = async (submitter: EventTarget | null) => {
    const send = (response: Record<string, unknown>) => api.post<void>(`message/${form.id}/response`, { response });
    if (await form.submit(pressedIn(submitter), send)) onAnswered();
    else setTimeout(() => focusFirst(element.current));
  };
  return (
    <form
      ref={element}
      class="cloudo-answer"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit((event as SubmitEvent).submitter);
      }}
      onKeyDown={(event) => {
        // Inside JupyterLab, Enter in a field does not submit by itself.
        if (event.key !== "Enter" || event.isComposing || !(event.target instanceof HTMLInputElement)) return;
        event.preventDefault();
        element.current?.requestSubmit();
      }}
    >
      <AnswerFields form={form} />
      <div class="cloudo-answer-buttons">
        <AnswerButtons form={form} />
      </div>
    </form>
  );
}

/** One field: label, description, control and error. */
function FieldBox({ field, form }: { field: AnswerField; form: AnswerForm }) {
  const id = useId();
  const { about, kind, isRequired } = field;
  const isGroup = field.inputs !== null || field.trigger !== null;
  const ids = { name: `${id}-name`, note: `${id}-note`, error: `${id}-error` };
  const note = about.description && (
    <div class="cloudo-field-note" id={ids.note}>
      {about.description_html ? <SanitizedHtml html={about.description_html} /> : about.description}
    </div>
  );
  const label = (
    <div class="cloudo-field-head">
      {isGroup ? (
        <span class="cloudo-field-name" id={ids.name}>
          {about.label}
        </span>
      ) : (
        <label class="cloudo-field-name" for={id} id={ids.name}>
          {about.label}
        </label>
      )}
      {isRequired && <span class="cloudo-field-hint">required</span>}
    </div>
  );
  const described = [note && ids.note, ids.error].filter(Boolean).join(" ");
  const control = isGroup ? (
    <div role="group" aria-labelledby={ids.name} aria-describedby={described}>
      {field.inputs && <FlowInputs forms={field.inputs} names={field.flowNames} />}
      {field.trigger && <TriggerBox draft={field.trigger} form={form} />}
    </div>
  ) : (
    <Control field={field} id={id} described={described} labelled={ids.name} />
  );
  const parts: ComponentChildren[] = kind === "toggle" ? [control, label, note] : [label, note, control];
  return (
    <div class={`cloudo-field ${kind === "toggle" ? "cloudo-field-checkbox" : ""}`.trim()}>
      {parts}
      <p class="cloudo-field-error" id={ids.error} role="alert">
        {field.problem.value || field.inputs?.problem.value}
      </p>
    </div>
  );
}

/** The times of a schedule, with a preview. */
function TriggerBox({ draft, form }: { draft: TriggerDraft; form: AnswerForm }) {
  const preview = usePreview(
    form.turn.value,
    () => {
      draft.clear();
      if (draft.kind === "never") return null;
      return { path: "schedule/preview", body: { trigger: draft.read(), timezone: draft.zone() } };
    },
    (error) => draft.complain(error),
  );
  return (
    <>
      <div class="cloudo-schedule-form">
        <TriggerFields draft={draft} />
      </div>
      <NextTimes preview={preview} label="Next times" />
    </>
  );
}

interface ControlProps {
  field: AnswerField;
  id: string;
  described: string;
  labelled: string;
}

function Control({ field, id, described, labelled }: ControlProps) {
  const { kind, about, isRequired } = field;
  const shared = {
    id,
    "aria-describedby": described,
    "aria-invalid": Boolean(field.problem.value),
    "aria-required": isRequired ? true : undefined,
    placeholder: about.example === undefined ? undefined : `e.g. ${String(about.example)}`,
    autocomplete: kind === "password" ? ("new-password" as const) : ("off" as const),
    spellcheck: false,
  };
  const onInput = (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement }) => {
    field.isIncomplete = event.currentTarget.validity.badInput;
    field.text.value = event.currentTarget.value;
  };
  const text = field.text.value;
  if (kind === "toggle") {
    const set = (isOn: boolean) => (field.text.value = String(isOn));
    return (
      <input
        {...shared}
        type="checkbox"
        checked={text === "true"}
        onInput={(event) => set(event.currentTarget.checked)}
      />
    );
  }
  if (kind === "multiselect") return <Choices field={field} id={id} described={described} labelled={labelled} />;
  if (kind === "file") {
    const take = (files: FileList | null) => {
      field.file = files?.[0] ?? null;
    };
    return (
      <input {...shared} class="cloudo-control" type="file" onChange={(event) => take(event.currentTarget.files)} />
    );
  }
  if (kind === "select") return <OneChoice field={field} shared={shared} />;
  if (kind === "text") return <textarea {...shared} class="cloudo-control" rows={4} value={text} onInput={onInput} />;
  const list = kind === "flow" || kind === "timezone" ? `${id}-list` : undefined;
  const input = (
    <input
      {...shared}
      class="cloudo-control"
      type={(INPUT_TYPES[kind] ?? "text") as "text"}
      step={kind === "time" || kind === "datetime" ? 1 : undefined}
      inputMode={kind === "integer" ? "numeric" : DECIMAL.includes(kind) ? "decimal" : undefined}
      list={list}
      value={text}
      onInput={onInput}
      onChange={() => field.pick()}
    />
  );
  if (list) return [input, <Suggestions key="list" field={field} id={list} />];
  return kind === "duration" ? <WithUnit field={field}>{input}</WithUnit> : input;
}

/** A number with the choice of its unit. */
const WithUnit = ({ field: { unit, about }, children }: { field: AnswerField; children: ComponentChildren }) => (
  <div class="cloudo-field-pair">
    {children}
    <UnitSelect unit={unit} label={about.label} />
  </div>
);

/** The names of flows or time zones that a typed text may mean. */
function Suggestions({ field, id }: { field: AnswerField; id: string }) {
  const isFlow = field.kind === "flow";
  const flows = useFlowNames(isFlow ? field.text.value : "");
  const zones = useMemo(() => (isFlow ? [] : zoneNames()), [isFlow]);
  return (
    <datalist id={id}>
      {(isFlow ? flows : zones).map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

/** One of the choices. Its text is the index. */
function OneChoice({ field, shared }: { field: AnswerField; shared: object }) {
  const text = field.text.value;
  const choose = (index: string) => (field.text.value = index);
  return (
    <select {...shared} class="cloudo-control" value={text} onInput={(event) => choose(event.currentTarget.value)}>
      <option value="" selected={text === ""}>
        {field.isRequired ? "Choose…" : "none"}
      </option>
      {field.choices.map((choice, at) => (
        <option key={at} value={at} selected={text === String(at)}>
          {String(choice)}
        </option>
      ))}
    </select>
  );
}

/** A checkbox for each choice. */
function Choices({ field, id, described, labelled }: ControlProps) {
  const set = (at: number, isOn: boolean) => {
    const chosen = new Set(field.chosen.peek());
    chosen[isOn ? "add" : "delete"](at);
    field.chosen.value = chosen;
  };
  const chosen = field.chosen.value;
  return (
    <div
      class="cloudo-choices"
      id={id}
      role="group"
      aria-labelledby={labelled}
      aria-describedby={described}
      data-invalid={field.problem.value ? "true" : undefined}
    >
      {field.choices.map((choice, at) => (
        <label key={at}>
          <input
            type="checkbox"
            aria-invalid={field.problem.value !== "" && at === 0}
            checked={chosen.has(at)}
            onInput={(event) => set(at, event.currentTarget.checked)}
          />
          <span>{String(choice)}</span>
        </label>
      ))}
    </div>
  );
}

/** The next times of the schedule that the answer would create. */
function Preview({ form, about }: { form: AnswerForm; about: FormElement }) {
  const [error, setError] = useState("");
  const preview = usePreview(
    form.turn.value,
    async () => {
      const answers = await form.values(Object.values(about.preview ?? {}));
      setError("");
      return { path: `message/${form.id}/preview`, body: { answers } };
    },
    (found) => setError(found instanceof Error ? found.message : String(found)),
  );
  return <NextTimes preview={preview} label={about.label} error={error} />;
}
