/** The dialog that creates or changes a schedule. The next runs follow what is typed. */

import type { ComponentProps } from "preact";
import { useRef, useState } from "preact/hooks";
import { segment, ApiError } from "../../api/client";
import type { Schedule } from "../../api/types";
import type { App } from "../../app/context";
import { EntryField } from "../../forms/entry";
import { FlowInputs, useFlowNames } from "../../forms/flows";
import { focusFirst } from "../../forms/inputs";
import { NextTimes, TriggerFields, usePreview } from "../../forms/times";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { useId } from "../../ui/ids";
import { ScheduleDraft, type EntryName } from "./draft";
import { OCCASIONS } from "./facts";

const OVERLAPS = [
  ["skip", "Skip the next run"],
  ["queue", "Queue the next run"],
  ["cancel", "Cancel it and start the next run"],
  ["allow", "Run both"],
] as const;
const CATCH_UPS = [
  ["last", "Run the latest"],
  ["none", "Skip them"],
  ["all", "Run all, in order"],
] as const;
const FOLLOW_UPS = "One per line: a flow, a URL, or JSON. Empty: the flow's own follow-ups. []: none.";

/** The dialog waits so long for the inputs of its flow. Later ones move what is below them. */
const MAX_WAIT_MS = 500;

/** Open the dialog for a schedule that exists. `onSaved` gets the changed schedule. */
export const editSchedule = (app: App, schedule: Schedule, onSaved: (saved: Schedule) => void): Promise<void> =>
  openDialog(app, schedule, onSaved);

/** Open the dialog for a new schedule, of this flow if there is one. */
export const newSchedule = (app: App, flowName: string, onSaved: (saved: Schedule) => void): Promise<void> =>
  openDialog(app, { flow_name: flowName }, onSaved);

async function openDialog(app: App, schedule: Partial<Schedule>, onSaved: (saved: Schedule) => void): Promise<void> {
  const draft = new ScheduleDraft(app.api, schedule);
  const timeout = new Promise((resolve) => setTimeout(resolve, MAX_WAIT_MS));
  await Promise.race([draft.inputs.choose(draft.flowNames), timeout]);
  return app.dialogs.show((close) => <ScheduleDialog app={app} draft={draft} close={close} onSaved={onSaved} />);
}

interface ScheduleDialogProps {
  app: App;
  draft: ScheduleDraft;
  close: () => void;
  onSaved: (saved: Schedule) => void;
}

function ScheduleDialog({ app, draft, close, onSaved }: ScheduleDialogProps) {
  const body = useRef<HTMLDivElement>(null);
  const [turn, setTurn] = useState(0);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [isFolded, setFolded] = useState(true);
  const [mustConfirm, setMustConfirm] = useState(false);
  const fail = (error: unknown) => setProblem(draft.complain(error).join("\n"));
  const preview = usePreview(
    turn,
    () => {
      draft.clear();
      setProblem("");
      return { path: "schedule/preview", body: draft.preview() };
    },
    fail,
  );
  const isRetimed = draft.isNew || draft.times.isTouched;
  const needsConfirmation = mustConfirm || Boolean(preview?.needs_confirmation && isRetimed);

  const submit = async () => {
    draft.clear();
    setProblem("");
    setBusy(true);
    try {
      const saved = await save(app, draft);
      if (saved) onSaved(saved);
      close();
    } catch (error) {
      if (error instanceof ApiError && error.code === "not_confirmed") {
        setMustConfirm(true);
        draft.entries.confirmed.problem.value = error.message;
      } else fail(error);
      if (draft.hasFoldedProblem) setFolded(false);
      setTimeout(() => focusFirst(body.current));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={draft.isNew ? "New schedule" : `Edit ${draft.schedule.name ?? ""}`}
      close={close}
      onSubmit={() => void submit()}
      buttons={
        <Button type="submit" kind="primary" disabled={isBusy}>
          {draft.isNew ? "Create" : "Save"}
        </Button>
      }
      focus={focusFirst}
    >
      <div ref={body}>
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
        <FlowField draft={draft} />
        <TimingFields draft={draft} onInput={() => setTurn(turn + 1)} />
        <NextTimes preview={preview} label="Preview" isBusy={!preview && !problem} />
        {needsConfirmation && <DraftField draft={draft} name="confirmed" label="Save anyway" type="checkbox" />}
        <RunFields draft={draft} />
        <details open={!isFolded} onToggle={(event) => setFolded(!event.currentTarget.open)}>
          <summary>Limits, failures, version, follow-ups</summary>
          <RuleFields draft={draft} />
        </details>
      </div>
    </Dialog>
  );
}

/** Create or change the schedule. Returns null if there was nothing to change. */
async function save({ api }: App, draft: ScheduleDraft): Promise<Schedule | null> {
  draft.pick();
  await draft.inputs.choose(draft.flowNames);
  const changes = draft.changes();
  if (Object.keys(changes).length === 0) return null;
  const request = { ...changes, confirmed: draft.entries.confirmed.isOn };
  const { id } = draft.schedule;
  return id === undefined
    ? api.post<Schedule>("schedule", request)
    : api.patch<Schedule>(`schedule/${segment(id)}`, request);
}

type DraftFieldProps = Omit<ComponentProps<typeof EntryField>, "entry"> & { draft: ScheduleDraft; name: EntryName };

const DraftField = ({ draft, name, ...rest }: DraftFieldProps) => <EntryField entry={draft.entries[name]} {...rest} />;

/** The flow that a new schedule starts. */
function FlowField({ draft }: { draft: ScheduleDraft }) {
  const names = useFlowNames(draft.entries.flow_name.text.value);
  if (!draft.isNew) return null;
  return (
    <div onChange={() => draft.pick()}>
      <DraftField draft={draft} name="flow_name" label="Flow" suggestions={names} />
      <FlowProblem draft={draft} />
    </div>
  );
}

/** Why the flow has no form. */
const FlowProblem = ({ draft: { inputs } }: { draft: ScheduleDraft }) => (
  <p class="cloudo-field-error" role="alert">
    {inputs.problem.value}
  </p>
);

/** When it runs. */
function TimingFields({ draft, onInput }: { draft: ScheduleDraft; onInput: () => void }) {
  const placeholder = draft.isNew ? "the flow's name" : undefined;
  return (
    <div class="cloudo-schedule-form" onInput={onInput}>
      <DraftField draft={draft} name="name" label="Name" placeholder={placeholder} />
      <TriggerFields draft={draft.times} />
      <DraftField draft={draft} name="end_at" label="Ends at" type="datetime-local" />
    </div>
  );
}

/** What happens to runs that collide or are missed, and the inputs of all runs. */
function RunFields({ draft }: { draft: ScheduleDraft }) {
  const id = useId();
  const overlap = "If a run is still in progress";
  return (
    <>
      <div class="cloudo-schedule-form">
        <DraftField draft={draft} name="overlap" label={overlap} type="select" options={OVERLAPS} />
        <DraftField draft={draft} name="catch_up" label="Missed runs" type="select" options={CATCH_UPS} />
      </div>
      <div class="cloudo-schedule-inputs" role="group" aria-labelledby={id}>
        <p class="cloudo-field-name" id={id}>
          Inputs
        </p>
        <FlowInputs forms={draft.inputs} names={draft.flowNames} />
        {!draft.isNew && <FlowProblem draft={draft} />}
      </div>
    </>
  );
}

/** Limits, and what happens after failures. */
function RuleFields({ draft }: { draft: ScheduleDraft }) {
  const pinned = "It runs the flow as it was when it was pinned. Otherwise each run takes the current version.";
  const pin = "All runs take this version, even if the notebook changes. Otherwise each run takes the current version.";
  const isPinned = Boolean(draft.schedule.pin_source);
  return (
    <div>
      <DraftField
        draft={draft}
        name="catch_up_window_seconds"
        label="Maximum age of missed runs"
        placeholder="no limit"
      />
      <DraftField draft={draft} name="jitter_seconds" label="Maximum random delay" placeholder="none" />
      <DraftField
        draft={draft}
        name="pause_on_error_count"
        label="Pause after this many failures in a row"
        placeholder="never"
        inputMode="numeric"
      />
      <DraftField
        draft={draft}
        name="pin_source"
        label={isPinned ? "Keep the pinned version of the flow" : "Pin the current version of the flow"}
        type="checkbox"
        note={isPinned ? pinned : pin}
      />
      {OCCASIONS.map(([name, label]) => (
        <DraftField key={name} draft={draft} name={name} label={label} type="area" rows={2} note={FOLLOW_UPS} />
      ))}
    </div>
  );
}
