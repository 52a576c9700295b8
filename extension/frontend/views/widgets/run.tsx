/** The widgets that run one flow: a button, and a form with that button. They report the run to Python. */

import { batch, effect } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, pathOf, segment } from "../../api/client";
import type { Execution, Flow } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { useResource } from "../../app/resource";
import { useTrait } from "../../app/traits";
import { focusFirst, InputFields, InputForm } from "../../forms/inputs";
import { Button, Link, LoadError, Skeleton } from "../../ui/controls";
import { Duration, ProgressBar, StatusMark } from "../../ui/marks";
import { cut, isEnded, messageOf, reasonOf } from "../../ui/words";

type Inputs = Record<string, unknown>;

export function PlayButton() {
  const flow = useFlow();
  const inputs = useTrait<Inputs>("inputs", {});
  const run = useRun();
  if (flow.error?.code === "flow_not_found" || (flow.error && !flow.value))
    return <LoadError what="The flow" message={flow.error.message} retry={flow.refresh} />;
  const start = () => void run.start(flow.value?.name ?? "", inputs);
  return (
    <div class="cloudo-run">
      <RunButton flow={flow.value} run={run} onClick={start} />
      <Outcome run={run} />
    </div>
  );
}

export function FlowForm() {
  const flow = useFlow();
  if (flow.error?.code === "flow_not_found" || (flow.error && !flow.value))
    return <LoadError what="The flow" message={flow.error.message} retry={flow.refresh} />;
  return flow.value ? <Form flow={flow.value} /> : <Skeleton lines={3} />;
}

function Form({ flow }: { flow: Flow }) {
  const element = useRef<HTMLFormElement>(null);
  const form = useMemo(() => new InputForm(flow, false), [flow.name, JSON.stringify(flow.input_schema)]);
  useInputsTrait(form);
  const run = useRun();
  const { api } = useApp();
  const submit = async () => {
    await form.ready(api);
    const inputs = form.read();
    const error = inputs && (await run.start(flow.name, inputs));
    for (const { field, message } of error?.errors ?? []) form.complain(message, field);
    if (!inputs || error) setTimeout(() => focusFirst(element.current));
  };
  return (
    <form
      ref={element}
      class="cloudo-panel"
      aria-label={flow.title}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <InputFields form={form} isAlone={false} />
      <div class="cloudo-run">
        <RunButton flow={flow} run={run} />
        <Outcome run={run} />
      </div>
    </form>
  );
}

function useFlow() {
  const { api } = useApp();
  const name = useTrait<string>("flow", "");
  return useResource<Flow>(`flow ${name}`, (signal) => api.get(`flow/${pathOf(name)}`, {}, signal), {
    concerns: (news) => news.tells("flow", name),
  });
}

/** The last run of the widget, and the function that starts the next one. */
function useRun() {
  const { api, traits } = useApp();
  const id = useTrait<string>("execution_id", "");
  const [problem, setProblem] = useState("");
  const [isStarting, setStarting] = useState(false);
  const fetch = (signal: AbortSignal): Promise<Execution | null> =>
    id ? api.get<Execution>(`execution/${segment(id)}`, {}, signal) : Promise.resolve(null);
  const execution = useResource<Execution | null>(`run ${id}`, fetch, {
    concerns: (news) => id !== "" && news.tells("execution", id),
  });
  useExecutionNews((changed) => {
    const row = changed.find((one) => one.id === id);
    if (row) execution.set(() => row);
  });
  const last = execution.value;
  useEffect(() => {
    if (last && last.id === id) traits?.set({ status: last.status });
  }, [last?.status, id]);
  const start = async (flow_name: string, inputs: Inputs): Promise<ApiError | null> => {
    setStarting(true);
    setProblem("");
    try {
      const { id: started, status } = await api.post<Execution>("execution", { flow_name, inputs });
      traits?.set({ execution_id: started, status });
      return null;
    } catch (error) {
      setProblem(reasonOf(error));
      return error instanceof ApiError ? error : null;
    } finally {
      setStarting(false);
    }
  };
  return { last, start, problem, isBusy: isStarting || Boolean(last && !isEnded(last.status)) };
}

type Run = ReturnType<typeof useRun>;

function RunButton({ flow, run, onClick }: { flow: Flow | null; run: Run; onClick?: () => void }) {
  const label = useTrait<string>("label", "");
  const isDisabled = useTrait<boolean>("disabled", false);
  return (
    <Button
      type={onClick ? "button" : "submit"}
      icon="play"
      kind="primary"
      title={flow?.broken ? `Broken: ${flow.broken}` : (flow?.description ?? "")}
      disabled={!flow || Boolean(flow.broken) || run.isBusy || isDisabled}
      onClick={onClick}
    >
      {cut(label || (onClick ? `Play ${flow?.title ?? ""}` : "Run"), 80)}
    </Button>
  );
}

/** How the last run goes. */
function Outcome({ run: { last, problem } }: { run: Run }) {
  return (
    <>
      {last && (
        <span class="cloudo-run-state" role="status">
          <Link view="execution" id={last.id} class="cloudo-plain-link">
            <StatusMark status={last.status} />
          </Link>
          {last.status === "RUNNING" && <ProgressBar of={last} />}
          <span class="cloudo-muted">
            <Duration of={last} />
          </span>
        </span>
      )}
      <p class="cloudo-field-error" role="alert">
        {problem || (last?.status === "ENDED_ERROR" && messageOf(last))}
      </p>
    </>
  );
}

/** Keep a form and the trait `inputs` alike. Protected inputs stay in the page: a notebook may store the trait. */
function useInputsTrait(form: InputForm): void {
  const { traits } = useApp();
  useEffect(() => {
    if (!traits) return undefined;
    const isSame = (inputs: Inputs) => JSON.stringify(inputs) === JSON.stringify(traits.get("inputs"));
    let told: Inputs = {};
    const take = () => {
      const inputs = traits.get<Inputs>("inputs") ?? {};
      if (isSame(told)) return;
      batch(() => {
        for (const field of form.fields) if (!field.isHidden) field.reset();
        form.fill(inputs);
      });
    };
    take();
    const unfollow = traits.follow("inputs", take);
    const stop = effect(() => {
      const { inputs, isValid } = valuesOf(form);
      told = inputs;
      traits.set({ is_valid: isValid, ...(isSame(inputs) ? {} : { inputs }) });
    });
    return () => {
      unfollow();
      stop();
    };
  }, [form, traits]);
}

/** The valid values of a form, including defaults, and whether all are valid. It shows no problem. */
function valuesOf(form: InputForm): { inputs: Inputs; isValid: boolean } {
  const inputs: Inputs = {};
  let isValid = true;
  for (const field of form.fields) {
    void field.text.value; // read, so that an effect follows it
    const { value, problem } = field.read(false);
    const found = value === undefined && !problem ? field.original.default : value;
    if (problem) isValid = false;
    else if (field.isHidden || found === undefined) continue;
    else if (field.pairs) Object.assign(inputs, found);
    else inputs[field.name] = found;
  }
  return { inputs, isValid };
}
