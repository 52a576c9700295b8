/** Running an execution again with other inputs: a dialog with its flow's form, filled in. */

import { useRef, useState } from "preact/hooks";
import { ApiError, pathOf } from "../../api/client";
import type { Execution, Flow, Schema } from "../../api/types";
import type { App } from "../../app/context";
import { focusFirst, InputFields, InputForm } from "../../forms/inputs";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { cut, reasonOf } from "../../ui/words";
import { complain } from "../flows/run";

/** REST shows protected values like this. */
const PROTECTED = "•••";

/** Ask for the inputs, then open the new execution. Nothing is created before the form is sent. */
export async function runAgain(app: App, id: string): Promise<void> {
  const { api } = app;
  // Records of lists lack large values.
  const execution = await api.get<Execution>(`execution/${id}`);
  const { flow_name } = execution;
  const flow = flow_name ? await api.get<Flow>(`flow/${pathOf(flow_name)}`) : scriptOf(execution);
  const again: Again = { execution, form: filledForm(flow, execution.input_value), started: null };
  await app.dialogs.show((close) => <AgainDialog app={app} close={close} again={again} />);
  if (again.started) app.place.go("execution", again.started.id);
}

interface Again {
  execution: Execution;
  form: InputForm;
  started: Execution | null;
}

/** A script has no schema: its form takes any inputs. */
const scriptOf = ({ name }: Execution): Flow => ({ name, title: name, input_schema: {} }) as Flow;

/** The form with earlier inputs. Hidden ones have to be entered again, also where they have a default. */
export function filledForm(flow: Flow, inputs: Record<string, unknown>): InputForm {
  const { properties = {}, required = [], ...schema } = flow.input_schema as Schema;
  const isHidden = (name: string) => inputs[name] === PROTECTED && name in properties;
  const asked = Object.entries(properties).map(([name, about]): [string, Schema] =>
    isHidden(name) ? [name, { ...about, default: undefined, "x-default": undefined }] : [name, about],
  );
  const names = new Set([...required, ...Object.keys(properties).filter(isHidden)]);
  const input_schema = { ...schema, properties: Object.fromEntries(asked), required: [...names] };
  const form = new InputForm({ ...flow, input_schema }, false);
  form.fill(Object.fromEntries(Object.entries(inputs).filter(([name]) => !isHidden(name))));
  return form;
}

/** Inputs that the form does not show, such as those of a webhook, stay the same where the flow accepts them. */
function unshown({ form: { flow, fields }, execution }: Again): Record<string, unknown> {
  if (flow.input_schema.additionalProperties === false || fields.some(({ pairs }) => pairs)) return {};
  const names = new Set(fields.map(({ name }) => name));
  return Object.fromEntries(Object.entries(execution.input_value).filter(([name]) => !names.has(name)));
}

function AgainDialog({ app, close, again }: { app: App; close: () => void; again: Again }) {
  const { execution, form } = again;
  const body = useRef<HTMLDivElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async () => {
    await form.ready(app.api);
    const inputs = form.read();
    if (!inputs) return void setTimeout(() => focusFirst(body.current));
    setBusy(true);
    setProblem("");
    try {
      const request = { inputs: { ...unshown(again), ...inputs } };
      again.started = await app.api.post<Execution>(`execution/${execution.id}/retry`, request);
      app.notices.started([again.started]);
      close();
    } catch (error) {
      if (error instanceof ApiError && error.status === 422) complain(form, { error });
      else setProblem(reasonOf(error));
      setTimeout(() => focusFirst(body.current));
    } finally {
      setBusy(false);
    }
  };
  const button = (
    <Button type="submit" icon="play" kind="primary" disabled={isBusy}>
      Run again
    </Button>
  );
  const title = `Run ${cut(form.flow.title, 100)} again`;
  return (
    <Dialog title={title} close={close} onSubmit={() => void submit()} buttons={button} focus={focusFirst}>
      <div ref={body}>
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
        <InputFields form={form} isAlone />
      </div>
    </Dialog>
  );
}
