/** Starting flows: at once, or after a dialog that asks for their inputs. */

import { useRef, useState } from "preact/hooks";
import { ApiError, pathOf } from "../../api/client";
import type { Execution, Flow } from "../../api/types";
import type { App } from "../../app/context";
import { focusFirst, InputFields, InputForm } from "../../forms/inputs";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { count, reasonOf } from "../../ui/words";

interface Start {
  flow_name: string;
  inputs: Record<string, unknown>;
}

/** The result of one start, in the order of the request. */
export type Result = { execution: Execution } | { error: ApiError };

const asksFor = ({ input_schema }: Flow): boolean => ((input_schema.required as string[] | undefined) ?? []).length > 0;

/** Run flows with their defaults. A dialog asks for the inputs that have none. */
export async function play(app: App, names: readonly string[]): Promise<void> {
  const flows = await currentFlows(app, names);
  if (!flows) return;
  const asking = flows.filter(asksFor);
  const others = flows.filter((flow) => !asksFor(flow)).map(({ name }) => ({ flow_name: name, inputs: {} }));
  const start = starter(app);
  if (asking.length > 0) await openRunDialog(app, { flows: asking, others, isBrief: true, start });
  else showErrors(app, others, await start(others));
}

/** Ask for the inputs of flows, then run them. */
export async function playWithInputs(app: App, names: readonly string[]): Promise<void> {
  const flows = await currentFlows(app, names);
  if (flows) await openRunDialog(app, { flows, others: [], isBrief: false, start: starter(app) });
}

/** The flows as they are now: a notebook may have been edited since it was listed. */
async function currentFlows({ api, notices }: App, names: readonly string[]): Promise<Flow[] | null> {
  notices.set("start", "");
  try {
    return await Promise.all(names.map((name) => api.get<Flow>(`flow/${pathOf(name)}`)));
  } catch (error) {
    notices.fail("start", error);
    return null;
  }
}

/** Return a function that starts flows. Called again after a failure, it starts nothing twice. */
export function starter({ api, notices }: App): (starts: readonly Start[]) => Promise<Result[]> {
  const attempt = crypto.getRandomValues(new Uint32Array(4)).join("-");
  return async (starts) => {
    const results = await Promise.all(
      starts.map(async (start): Promise<Result> => {
        try {
          const headers = { "Idempotency-Key": `${attempt} ${start.flow_name}`.slice(0, 255) };
          return { execution: await api.post<Execution>("execution", start, { headers }) };
        } catch (error) {
          if (error instanceof ApiError) return { error };
          throw error;
        }
      }),
    );
    notices.started(results.flatMap((result) => ("execution" in result ? [result.execution] : [])));
    return results;
  };
}

export function showErrors({ notices }: App, starts: readonly Start[], results: readonly Result[]): void {
  const failed = results.flatMap((result, at) =>
    "error" in result ? [`${starts[at]?.flow_name}: ${result.error.message}`] : [],
  );
  notices.set("start", failed.join("\n"), { isClosable: true });
}

interface RunDialogProps {
  flows: readonly Flow[];
  /** Starts that need no form. */
  others: readonly Start[];
  isBrief: boolean;
  start: (starts: readonly Start[]) => Promise<Result[]>;
}

/** Ask for the inputs of flows and start them. */
export function openRunDialog(app: App, props: RunDialogProps): Promise<void> {
  return app.dialogs.show((close) => <RunDialog app={app} close={close} {...props} />);
}

function RunDialog({ app, close, flows, others, isBrief, start }: RunDialogProps & { app: App; close: () => void }) {
  const body = useRef<HTMLDivElement>(null);
  const [forms, setForms] = useState(() => flows.map((flow) => new InputForm(flow, isBrief)));
  const [rest, setRest] = useState(others);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const total = forms.length + rest.length;

  const submit = async () => {
    await Promise.all(forms.map((form) => form.ready(app.api)));
    const read = forms.map((form) => form.read());
    const focus = () => setTimeout(() => focusFirst(body.current));
    if (read.includes(null)) return void focus();
    setBusy(true);
    setProblem("");
    try {
      const asked = forms.map(({ flow }, at) => ({ flow_name: flow.name, inputs: read[at] ?? {} }));
      const results = await start([...asked, ...rest]);
      showErrors(app, rest, results.slice(forms.length));
      setRest([]);
      const failed = forms.filter((form, at) => complain(form, results[at]));
      if (failed.length === 0) return close();
      // Those that have started leave the dialog; the others keep what was typed.
      setForms(failed);
      focus();
    } catch (error) {
      setProblem(reasonOf(error));
    } finally {
      setBusy(false);
    }
  };

  const title = total === 1 ? `Run ${forms[0]?.flow.title}` : `Run ${count(total, "flow")}`;
  const button = (
    <Button type="submit" icon="play" kind="primary" disabled={isBusy}>
      {`Play ${count(total, "flow")}`}
    </Button>
  );
  return (
    <Dialog title={title} close={close} onSubmit={() => void submit()} buttons={button} focus={focusFirst}>
      <div ref={body}>
        <p class="cloudo-field-error" role="alert">
          {problem}
        </p>
        {forms.map((form) => (
          <InputFields key={form.flow.name} form={form} isAlone={total === 1} />
        ))}
        {rest.length > 0 && (
          <p class="cloudo-field-note">With their defaults: {rest.map(({ flow_name }) => flow_name).join(", ")}</p>
        )}
      </div>
    </Dialog>
  );
}

/** Show the error of a start beside its fields. Returns whether there was one. */
export function complain(form: InputForm, result: Result | undefined): boolean {
  if (!result || !("error" in result)) return false;
  const { error } = result;
  const all = error.errors.length > 0 ? error.errors : [{ field: error.field, message: error.message }];
  for (const { field, message } of all) form.complain(message, field);
  return true;
}
