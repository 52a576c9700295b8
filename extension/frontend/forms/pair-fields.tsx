/** The controls of inputs that a flow does not name: rows, or YAML. */

import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app/context";
import { Button, IconButton, LinkButton } from "../ui/controls";
import { useId } from "../ui/ids";
import type { InputField } from "./inputs";
import { PAIR_TYPES, type Pair, type Pairs, type PairType } from "./pairs";

/** How long the YAML stays as it is before the server reads it. */
const PAUSE_MS = 400;

export function PairFields({ field, pairs }: { field: InputField; pairs: Pairs }) {
  const { api } = useApp();
  const id = useId();
  const isYaml = pairs.yaml.value !== null;
  const toggle = async () => {
    field.problem.value = isYaml ? await pairs.toRows(api) : pairs.toYaml();
  };
  return (
    <div class="cloudo-field" role="group" aria-labelledby={id}>
      <div class="cloudo-field-head">
        <span class="cloudo-field-name" id={id}>
          Inputs
        </span>
        <LinkButton onClick={() => void toggle()}>{isYaml ? "Edit as rows" : "Edit as YAML"}</LinkButton>
      </div>
      <p class="cloudo-field-note">This flow accepts any inputs.</p>
      {isYaml ? <YamlField field={field} pairs={pairs} /> : <PairRows pairs={pairs} />}
      <p class="cloudo-field-error" role="alert">
        {field.problem.value}
      </p>
    </div>
  );
}

function YamlField({ field, pairs }: { field: InputField; pairs: Pairs }) {
  const { api } = useApp();
  const yaml = pairs.yaml.value ?? "";
  useEffect(() => {
    const check = async () => {
      await pairs.check(api);
      if (pairs.yaml.peek() === yaml) field.problem.value = pairs.read().problem ?? "";
    };
    const timer = setTimeout(() => void check(), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [yaml]);
  return (
    <textarea
      class="cloudo-control"
      aria-label="Inputs as YAML"
      aria-invalid={field.problem.value !== ""}
      rows={Math.min(16, Math.max(4, yaml.split("\n").length))}
      value={yaml}
      placeholder="region: north"
      spellcheck={false}
      onInput={(event) => pairs.write(event.currentTarget.value)}
    />
  );
}

function PairRows({ pairs }: { pairs: Pairs }) {
  const element = useRef<HTMLDivElement>(null);
  const focusLast = (selector: string) =>
    setTimeout(() => [...(element.current?.querySelectorAll<HTMLElement>(selector) ?? [])].at(-1)?.focus());
  const add = () => {
    pairs.add();
    focusLast(".cloudo-pair > :first-child");
  };
  const remove = (id: number) => {
    pairs.remove(id);
    focusLast(".cloudo-button");
  };
  return (
    <div ref={element}>
      {pairs.rows.value.map((row, at) => (
        <PairRow key={row.id} pairs={pairs} row={row} at={at + 1} remove={() => remove(row.id)} />
      ))}
      <Button icon="plus" kind="small" onClick={add}>
        Add an input
      </Button>
    </div>
  );
}

function PairRow({ pairs, row, at, remove }: { pairs: Pairs; row: Pair; at: number; remove: () => void }) {
  const id = useId();
  const problem = pairs.problems.value[row.id];
  const shared = { "aria-describedby": id, class: "cloudo-control", spellcheck: false };
  return (
    <div class="cloudo-pair">
      <input
        {...shared}
        aria-label={`Name of input ${at}`}
        aria-invalid={problem?.isOfName === true}
        placeholder="name"
        autocomplete="off"
        value={row.name}
        onInput={(event) => pairs.change(row.id, { name: event.currentTarget.value })}
      />
      <select
        {...shared}
        aria-label={`Type of input ${at}`}
        value={row.type}
        onInput={(event) => pairs.change(row.id, { type: event.currentTarget.value as PairType })}
      >
        {PAIR_TYPES.map(([type, word]) => (
          <option key={type} value={type} selected={type === row.type}>
            {word}
          </option>
        ))}
      </select>
      <PairValue
        pairs={pairs}
        row={row}
        shared={{ ...shared, "aria-label": `Value of input ${at}`, "aria-invalid": problem?.isOfName === false }}
      />
      <IconButton icon="trash" label={`Remove input ${at}`} onClick={remove} />
      <p class="cloudo-field-error" id={id} role="alert">
        {problem?.text}
      </p>
    </div>
  );
}

const HINTS: Partial<Record<PairType, string>> = { list: "one item per line, or JSON", object: '{"key": 1}' };

function PairValue({ pairs, row: { id, type, text }, shared }: { pairs: Pairs; row: Pair; shared: object }) {
  const onInput = (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement }) =>
    pairs.change(id, { text: event.currentTarget.value });
  if (type === "null") return <span class="cloudo-muted">nothing</span>;
  if (type === "boolean") {
    return (
      <select {...shared} value={text} onInput={onInput}>
        <option value="true" selected={text === "true"}>
          yes
        </option>
        <option value="false" selected={text !== "true"}>
          no
        </option>
      </select>
    );
  }
  const isLong = type === "list" || type === "object" || (type === "text" && text.includes("\n"));
  if (isLong) {
    const rows = Math.min(8, Math.max(2, text.split("\n").length));
    return <textarea {...shared} rows={rows} placeholder={HINTS[type]} value={text} onInput={onInput} />;
  }
  const inputMode = type === "number" ? "decimal" : undefined;
  return (
    <input {...shared} placeholder="value" autocomplete="off" inputMode={inputMode} value={text} onInput={onInput} />
  );
}
