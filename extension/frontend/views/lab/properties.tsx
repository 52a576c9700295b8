/** The form for a flow's metadata, in the property inspector of JupyterLab. */

import { signal } from "@preact/signals";
import type { ComponentProps } from "preact";
import { useEffect, useState } from "preact/hooks";
import { pathOf } from "../../api/client";
import type { Flow } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { EntryField } from "../../forms/entry";
import { MetadataDraft, type Key, type Metadata } from "../../forms/metadata";
import { Button } from "../../ui/controls";
import { useId } from "../../ui/ids";
import { OCCASIONS } from "../schedules/facts";

/** The notebook that is open in JupyterLab. Its model has the metadata. */
export interface OpenNotebook {
  id: string;
  /** The name of its flow; null for a notebook elsewhere. */
  flow: string | null;
  /** Below the key `cloudo`, as far as it is an object. */
  metadata: Metadata | null;
  isReadOnly: boolean;
  /** When its file was saved. */
  savedAt: string;
  write(metadata: Metadata): void;
  addToFlows(): void;
}

/** Null without an open notebook. */
export const openNotebook = signal<OpenNotebook | null>(null);

export function Properties() {
  const notebook = openNotebook.value;
  return (
    <section class="cloudo-view cloudo-side cloudo-properties" aria-label="Flow">
      {notebook && <Content notebook={notebook} />}
    </section>
  );
}

function Content({ notebook }: { notebook: OpenNotebook }) {
  const { id, flow, metadata, addToFlows } = notebook;
  if (flow === null) {
    return (
      <>
        <p class="cloudo-muted">This notebook is not a flow.</p>
        <Button kind="small" onClick={addToFlows}>
          Add to flows…
        </Button>
      </>
    );
  }
  if (metadata === null) {
    return (
      <p role="alert">
        The metadata key <code>cloudo</code> is not an object. Repair it under <em>Advanced Tools</em>,{" "}
        <em>Notebook Metadata</em>.
      </p>
    );
  }
  return <Form key={id} notebook={notebook} flow={flow} metadata={metadata} />;
}

function Form({ notebook, flow, metadata }: { notebook: OpenNotebook; flow: string; metadata: Metadata }) {
  const { api } = useApp();
  const id = useId();
  const [draft] = useState(() => new MetadataDraft(metadata));
  const { value: record, refresh } = useResource(flow, (aborted) => api.get<Flow>(`flow/${pathOf(flow)}`, {}, aborted));
  useEffect(refresh, [notebook.savedAt]);
  useEffect(() => draft.follow(metadata), [metadata]);
  useEffect(() => {
    if (record) draft.judge(record.broken ?? null);
  }, [record]);
  const field = (key: Key, rest: Omit<ComponentProps<typeof EntryField>, "entry">) => (
    <div
      key={key}
      onInput={() => {
        const changed = draft.read(key);
        if (changed) notebook.write(changed);
      }}
    >
      <EntryField entry={draft.entries[key]} {...rest} />
    </div>
  );
  const title = record && !record.metadata.title ? record.title : (flow.split("/").at(-1) ?? flow);
  return (
    <fieldset class="cloudo-properties-form" disabled={notebook.isReadOnly}>
      <legend class="cloudo-muted">{flow}</legend>
      <p class="cloudo-field-error" role="alert">
        {draft.problem.value && `This flow cannot run: ${draft.problem.value}`}
      </p>
      {field("title", { label: "Title", placeholder: title })}
      {field("tags", { label: "Tags", type: "area", rows: 2, note: "One per line.", placeholder: "none" })}
      {field("timeout_seconds", { label: "Time limit", placeholder: "no limit" })}
      {field("retries", { label: "Retries", inputMode: "numeric", placeholder: "0" })}
      {field("requires", {
        label: "Requires",
        type: "area",
        rows: 2,
        note: "Labels that a worker must have, one per line.",
        placeholder: "none",
      })}
      <div class="cloudo-field" role="group" aria-labelledby={id}>
        <h3 class="cloudo-field-name" id={id}>
          Follow-ups
        </h3>
        <p class="cloudo-field-note">One per line: a flow, a URL, or JSON.</p>
        {OCCASIONS.map(([key, label]) => field(key, { label, type: "area", rows: 2, placeholder: "nothing" }))}
      </div>
      <p class="cloudo-field-note">Save the notebook to apply changes. Other keys are kept.</p>
    </fieldset>
  );
}
