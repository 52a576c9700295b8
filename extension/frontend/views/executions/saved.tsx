/** The menu of filters: spans of time, the dialog for everything else, and the filters that the user has saved. */

import { useState } from "preact/hooks";
import { segment } from "../../api/client";
import type { Setting } from "../../api/types";
import { useApp, type App } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { useId } from "../../ui/ids";
import { MenuButton, type MenuGroup } from "../../ui/menu";
import { cut, originOf, reasonOf } from "../../ui/words";
import { ORIGIN_WORDS, RANGES, cleared, isFiltered, textOf } from "./filters";

/** Queries by name. */
type Saved = Record<string, string>;

export function FilterMenu() {
  const app = useApp();
  const { api, place, notices } = app;
  const { query } = place.route.value;
  const { name, value, set } = useSetting();
  const saved = value ?? {};
  const now = textOf(query);
  const current = Object.keys(saved).find((one) => saved[one] === now);
  const open = (wanted: Record<string, string>) => place.refine({ ...cleared(query), ...wanted });
  const save = async (wanted: Saved) => {
    await api.put(`setting/${segment(name)}`, { value: wanted });
    set(wanted);
  };
  const remove = async (one: string) => {
    const rest = Object.entries(saved).filter(([other]) => other !== one);
    await save(Object.fromEntries(rest)).catch((error: unknown) => notices.fail("act", error));
  };
  const mine = Object.entries(saved).map(([word, text]) => ({
    word,
    act: () => open(Object.fromEntries(new URLSearchParams(text))),
  }));
  const groups = (): MenuGroup[] => [
    ...(mine.length > 0 ? [{ title: "Saved filters", items: mine }] : []),
    {
      title: "Created",
      items: Object.entries(RANGES).map(([range, word]) => ({
        word,
        act: () => place.refine({ range, since: "", until: "" }),
      })),
    },
    {
      title: "Filters",
      items: [
        { word: "Flow, tag, user, time…", act: () => void ask(app) },
        { word: "Save these filters…", isDisabled: !isFiltered(query), act: () => void askName(app, saved, save) },
        ...(current === undefined ? [] : [{ word: `Delete “${current}”`, act: () => void remove(current) }]),
      ],
    },
  ];
  const word = cut(current ?? "Filters", 40);
  return <MenuButton label={current ? `Filters: ${word}` : word} word={word} class="cloudo-small" groups={groups} />;
}

/** The filters of the user, in a setting of their own. */
function useSetting(): { name: string; value: Saved | null; set: (value: Saved) => void } {
  const { api } = useApp();
  const { value, set } = useResource<{ name: string; value: Saved }>(
    "saved filters",
    async (signal) => {
      const user = await api.get<{ name: string }>("user/me", {}, signal);
      const name = `user.${user.name}.dashboard.filters`;
      return { name, value: (await api.get<Setting>(`setting/${segment(name)}`, {}, signal)).value as Saved };
    },
    { concerns: (news) => news.has("setting"), paceMs: 1_000 },
  );
  return { name: value?.name ?? "", value: value?.value ?? null, set: (now) => set((old) => ({ ...old, value: now })) };
}

function askName(app: App, saved: Saved, save: (wanted: Saved) => Promise<void>): Promise<void> {
  return app.dialogs.show((close) => <NameForm app={app} close={close} saved={saved} save={save} />);
}

interface NameFormProps {
  app: App;
  close: () => void;
  saved: Saved;
  save: (wanted: Saved) => Promise<void>;
}

function NameForm({ app, close, saved, save }: NameFormProps) {
  const [name, setName] = useState("");
  const [problem, setProblem] = useState("");
  const text = textOf(app.place.route.peek().query);
  const submit = async () => {
    try {
      await save({ ...saved, [name.trim()]: text });
      close();
    } catch (error) {
      setProblem(reasonOf(error));
    }
  };
  const buttons = (
    <Button type="submit" kind="primary" disabled={!name.trim()}>
      {name.trim() in saved ? "Replace" : "Save"}
    </Button>
  );
  return (
    <Dialog
      title="Save these filters"
      close={close}
      onSubmit={() => void submit()}
      buttons={buttons}
      focus={focusFirst}
    >
      <Field label="Name" value={name} onChange={setName} />
      <p class="cloudo-field-error" role="alert">
        {problem}
      </p>
    </Dialog>
  );
}

const focusFirst = (dialog: HTMLElement) => dialog.querySelector<HTMLElement>(".cloudo-control")?.focus();

interface FieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  isMoment?: boolean;
}

function Field({ label, value, onChange, isMoment = false }: FieldProps) {
  const id = useId();
  const attributes = {
    id,
    class: "cloudo-control",
    value,
    onInput: (event: { currentTarget: HTMLInputElement }) => onChange(event.currentTarget.value),
  };
  return (
    <div class="cloudo-field">
      <label class="cloudo-field-name" for={id}>
        {label}
      </label>
      {isMoment ? (
        <input type="datetime-local" {...attributes} />
      ) : (
        <input maxLength={100} autocomplete="off" spellcheck={false} {...attributes} />
      )}
    </div>
  );
}

/** Ask for the filters that no chip and no link sets. */
const ask = (app: App): Promise<void> => app.dialogs.show((close) => <FilterForm app={app} close={close} />);

/** Texts of the address and of the field for a moment, which is in the viewer's zone. */
function localOf(time: string | undefined): string {
  const at = new Date(time ?? "");
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function FilterForm({ app: { place }, close }: { app: App; close: () => void }) {
  const { query } = place.route.peek();
  const [fields, setFields] = useState<Record<string, string>>({
    ...query,
    since: localOf(query.since),
    until: localOf(query.until),
  });
  const change = (name: string) => (value: string) => setFields({ ...fields, [name]: value });
  const submit = () => {
    const { flow = "", tag = "", user = "", trigger = "", since, until } = fields;
    const times = {
      since: since ? new Date(since).toISOString() : "",
      until: until ? new Date(until).toISOString() : "",
    };
    const range = since || until ? "" : (query.range ?? "");
    place.refine({ flow: flow.trim(), tag: tag.trim(), user: user.trim(), trigger, ...times, range });
    close();
  };
  const buttons = (
    <Button type="submit" kind="primary">
      Apply
    </Button>
  );
  return (
    <Dialog title="Filter executions" close={close} onSubmit={submit} buttons={buttons} focus={focusFirst}>
      <Field label="Flow" value={fields.flow ?? ""} onChange={change("flow")} />
      <Field label="Tag" value={fields.tag ?? ""} onChange={change("tag")} />
      <Field label="User" value={fields.user ?? ""} onChange={change("user")} />
      <div class="cloudo-field">
        <label class="cloudo-field-name" for="cloudo-filter-origin">
          Started by
        </label>
        <select
          id="cloudo-filter-origin"
          class="cloudo-control"
          value={fields.trigger ?? ""}
          onChange={(event) => change("trigger")(event.currentTarget.value)}
        >
          <option value="">anything</option>
          {ORIGIN_WORDS.map((origin) => (
            <option key={origin} value={origin}>
              {originOf(origin)}
            </option>
          ))}
        </select>
      </div>
      <Field label="Created at or after" isMoment value={fields.since ?? ""} onChange={change("since")} />
      <Field label="Created before" isMoment value={fields.until ?? ""} onChange={change("until")} />
    </Dialog>
  );
}
