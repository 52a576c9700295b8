/**
 * The form that changes a schedule: what is typed is tried at once, and the next times stand below it.
 */

import { openDialog } from "./dialogs.js";
import { button, h, newId, put, say } from "./dom.js";
import { Entry, area, chosen, readObject, typed } from "./entry.js";
import { TRIED_AFTER } from "./reading.js";

const UNITS = [["86400", "days"], ["3600", "hours"], ["60", "minutes"], ["1", "seconds"]];
const WHOLE = { inputmode: "numeric" };
const DECIMAL = { inputmode: "decimal" };
const TRIGGERS = [["daily_at", "Every day"], ["monthly", "Every month"], ["every_seconds", "At an interval"], ["cron", "By cron"], ["at", "Once, at a moment"], ["delay_seconds", "Once, after a delay"]];
const OF_KIND = { at: ["at"], delay_seconds: ["delay_seconds"], every_seconds: ["every_seconds", "wait", "start", "max_iterations"], daily_at: ["daily_at", "max_iterations"], monthly: ["monthly", "max_iterations"], cron: ["cron", "max_iterations"] };
const OVERLAP_WORDS = [["skip", "Skip the next"], ["queue", "Let the next wait its turn"], ["cancel", "Cancel it, and start the next"], ["allow", "Run both"]];
const PIN = "Each run is of this version, whatever becomes of the notebook. Unticked, each takes the notebook as it is by then.";
const PINNED = "It runs as it was when it was pinned. Without the tick each run takes the notebook as it is by then; a new tick later keeps that one.";
/** What may follow its executions, in words. */
export const OCCASIONS = [["on_success", "After a success"], ["on_error", "After a failure"], ["on_recovery", "After the first success since a failure"]];
const FOLLOWING = 'A flow to start, an address to call, or JSON such as {"flow": "tell", "inputs": {"to": "ada"}}; one to a line. Empty: what the flow says. []: nothing.';
const CATCH_UP_WORDS = [["last", "Run the last one"], ["none", "Run none"], ["all", "Run all, in order"]];

function zoneControl(value) {
  const list = h("datalist", { id: newId() }, ...(Intl.supportedValuesOf?.("timeZone") ?? []).map((zone) => h("option", { value: zone })));
  return { control: typed("text", value, { list: list.id }), list };
}

/** The fields of a schedule, and the request that they make. */
class ScheduleForm {
  constructor({ row, trigger, options, follows, local, start }) {
    Object.assign(this, { start, options, follows });
    const seconds = trigger.every_seconds ?? 3600;
    this.firstUnit = UNITS.find(([size]) => seconds % Number(size) === 0)?.[0] ?? "1";
    this.unit = chosen(UNITS, this.firstUnit);
    this.unit.setAttribute("aria-label", "Unit");
    const zone = zoneControl(options.timezone);
    const every = seconds / Number(this.firstUnit);
    const when = { name: new Entry("Name", typed("text", row.name)), ...this.#timing(trigger, local, every), ...this.#span(zone.control, local) };
    const rest = this.#rules();
    this.entries = { ...when, ...rest, confirmed: new Entry("This is meant", h("input", { type: "checkbox" })) };
    this.element = h("div.schedule-form", ...Object.values(when).map((entry) => entry.element), zone.list);
    this.rest = h("div", ...Object.values(rest).map((entry) => entry.element));
    this.showKind();
  }

  #timing(trigger, local, every) {
    const kind = Object.keys(OF_KIND).find((name) => name in trigger);
    const from = [["true", "the end of the last run"], ["false", "the first run, no drift"]];
    return {
      kind: new Entry("Runs", chosen(TRIGGERS, kind)),
      daily_at: new Entry("Time of day", typed("time", trigger.daily_at ?? "08:30", { step: 1 })),
      every_seconds: new Entry("Every", typed("text", every, DECIMAL), null, this.unit),
      monthly: new Entry("Day and time", area(JSON.stringify(trigger.monthly ?? { day: 1, at: "08:30" })), 'JSON. The day is 1 to 31, "last", or such as "first monday". Shorter months run on their last day.'),
      cron: new Entry("Cron", typed("text", trigger.cron ?? "0 9 * * 1-5"), "Minute, hour, day, month, day of the week."),
      at: new Entry("Moment", typed("datetime-local", local.at ?? local.start, { step: 1 })),
      delay_seconds: new Entry("After, in seconds", typed("text", trigger.delay_seconds ?? 60, DECIMAL)),
      wait: new Entry("Counted from", chosen(from, String(trigger.wait !== false))),
      start: new Entry("First run, if not at once", typed("datetime-local", trigger.every_seconds ? local.start : "", { step: 1 })),
    };
  }

  #span(zone, local) {
    return {
      timezone: new Entry("Time zone", zone),
      max_iterations: new Entry("Most runs", typed("text", this.options.max_iterations, { ...WHOLE, placeholder: "no limit" })),
      end_at: new Entry("Nothing starts after", typed("datetime-local", local.end_at, { step: 1 })),
    };
  }

  #rules() {
    const { inputs, overlap, catch_up, catch_up_window_seconds, jitter_seconds, pause_on_error_count, pin_source } = this.options;
    return {
      inputs: new Entry("Inputs", area(JSON.stringify(inputs, null, 2)), "A JSON object; what is left out has the flow's default."),
      overlap: new Entry("While an execution of it runs", chosen(OVERLAP_WORDS, overlap)),
      catch_up: new Entry("Times that nobody could start", chosen(CATCH_UP_WORDS, catch_up)),
      catch_up_window_seconds: new Entry("Only those not older than, in seconds", typed("text", catch_up_window_seconds, { ...DECIMAL, placeholder: "of any age" })),
      jitter_seconds: new Entry("Start each up to so many seconds later", typed("text", jitter_seconds, DECIMAL)),
      pause_on_error_count: new Entry("Pause after so many failures in a row", typed("text", pause_on_error_count, { ...WHOLE, placeholder: "never" })),
      pin_source: new Entry(pin_source ? "Keep the flow as it was pinned" : "Keep the flow as it is now", h("input", { type: "checkbox", checked: pin_source }), pin_source ? PINNED : PIN),
      ...Object.fromEntries(OCCASIONS.map(([name, word]) => [name, new Entry(word, area(this.follows[name].written, { rows: 2 }), FOLLOWING)])),
    };
  }

  /** Show the fields of the chosen kind. */
  showKind() {
    const all = new Set(Object.values(OF_KIND).flat());
    for (const name of all) this.entries[name].element.hidden = !this.#kinds().includes(name);
  }

  #kinds() {
    return OF_KIND[this.entries.kind.control.value];
  }

  /** Whether what decides the times differs from what is saved. A moment means another one in another zone. */
  get isRetimed() {
    const { kind, timezone } = this.entries;
    const isMoved = timezone.isTouched && ["at", "every_seconds"].includes(kind.control.value);
    return kind.isTouched || isMoved || this.unit.value !== this.firstUnit || this.#kinds().some((name) => this.entries[name].isTouched);
  }

  /** The trigger as it is typed; throws `Wrong`. */
  trigger() {
    const { entries } = this;
    const kind = entries.kind.control.value;
    const limit = entries.max_iterations.number({ isWhole: true });
    const most = limit === null ? {} : { max_iterations: limit };
    if (kind === "at") return { at: entries.at.required("Say when, with day and time.") };
    if (kind === "delay_seconds") return { delay_seconds: entries.delay_seconds.number({ isRequired: true }) };
    if (kind === "monthly") return { monthly: readObject(entries.monthly), ...most };
    if (kind === "cron") return { cron: entries.cron.required("Write five fields, such as 0 9 * * 1-5."), ...most };
    if (kind === "daily_at") return { daily_at: entries.daily_at.required("Say at what time of the day."), ...most };
    const every = entries.every_seconds.number({ isRequired: true }) * Number(this.unit.value);
    // Untouched it is sent to the microsecond, so that the grid stays where it is.
    const start = entries.start.isTouched || entries.kind.isTouched ? entries.start.text : this.start;
    return { every_seconds: every, wait: entries.wait.control.value === "true", ...(start ? { start } : {}), ...most };
  }

  get zone() {
    return this.entries.timezone.required("Name a time zone, such as Europe/Vienna.");
  }

  get end() {
    return this.entries.end_at.text || null;
  }

  /** What is to change; throws `Wrong`. */
  changes() {
    const { entries } = this;
    const found = {};
    if (entries.name.isTouched) found.name = entries.name.required("Give it a name.");
    if (this.isRetimed) found.trigger = this.trigger();
    if (entries.timezone.isTouched || found.trigger) found.timezone = this.zone;
    if (entries.end_at.isTouched) found.end_at = this.end;
    if (entries.inputs.isTouched) found.inputs = readObject(entries.inputs);
    for (const name of ["overlap", "catch_up"]) if (entries[name].isTouched) found[name] = entries[name].control.value;
    if (entries.catch_up_window_seconds.isTouched) found.catch_up_window_seconds = entries.catch_up_window_seconds.number();
    if (entries.jitter_seconds.isTouched) found.jitter_seconds = entries.jitter_seconds.number() ?? 0;
    if (entries.pin_source.isTouched) found.pin_source = entries.pin_source.control.checked;
    if (entries.pause_on_error_count.isTouched) found.pause_on_error_count = entries.pause_on_error_count.number({ isWhole: true });
    for (const [name] of OCCASIONS) if (entries[name].isTouched) found[name] = entries[name].text;
    return found;
  }

  /** Say what is wrong beside its field; tells whether there is one for it. */
  complain({ message, field, entry }) {
    const parts = String(field ?? "").split(".");
    const name = OCCASIONS.some(([one]) => one === parts[0]) ? parts[0] : parts.at(-1);
    const found = entry ?? this.entries[name === "trigger" ? "kind" : name] ?? (field && this.entries.inputs);
    if (!found || found.element.hidden) return false;
    found.complain(message);
    const folded = found.element.closest("details");
    if (folded) folded.open = true;
    return true;
  }

  clear() {
    for (const entry of Object.values(this.entries)) entry.complain("");
  }

}

/** The dialog around the form: it tries what is typed, and saves it. */
class ScheduleDialog {
  constructor({ line, host }, whole, onsaved) {
    Object.assign(this, { line, whole, onsaved, form: new ScheduleForm(whole), turn: null, patience: null });
    this.confirmed = this.form.entries.confirmed;
    this.confirmed.element.hidden = true;
    this.trouble = h("p.field-error", { role: "alert" });
    this.words = h("p");
    this.notes = h("ul");
    this.save = button("Save", { kind: ".primary" });
    this.save.type = "submit";
    const preview = h("div.preview", { role: "status", "aria-label": "Preview" }, this.words, this.notes);
    const more = h("details", h("summary", "Inputs, overlap, catch-up, failures, version, what follows"), this.form.rest);
    const body = [this.trouble, this.form.element, preview, this.confirmed.element, more];
    this.dialog = openDialog(host, `Edit ${whole.row.name}`, { body, buttons: [this.save], onsubmit: () => this.#submit() });
    this.dialog.addEventListener("close", () => clearTimeout(this.patience));
    this.form.element.addEventListener("input", () => this.#typed());
    this.form.entries.name.control.focus();
    this.#look();
  }

  #typed() {
    this.form.showKind();
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.#look(), TRIED_AFTER);
  }

  /** Fetch the times that what is typed would make. */
  async #look() {
    const { form } = this;
    const asked = (this.turn = Symbol("the newest preview; answers to older ones are dropped"));
    form.clear();
    try {
      const end = form.end ? { end_at: form.end } : {};
      const found = await this.line.call("preview_schedule", { request: { trigger: form.trigger(), timezone: form.zone, ...end } });
      if (asked === this.turn) this.#show(found);
    } catch (problem) {
      if (asked !== this.turn) return;
      say(this.words, "");
      put(this.notes);
      this.#tell(problem);
    }
  }

  #show({ said, notes, needs_confirmation }) {
    say(this.words, said);
    put(this.notes, ...notes.map((note) => h("li", note)));
    this.confirmed.element.hidden = !(needs_confirmation && this.form.isRetimed);
  }

  #tell(problem) {
    if (!this.form.complain(problem)) say(this.trouble, problem.message);
  }

  async #submit() {
    clearTimeout(this.patience);
    this.turn = null;
    this.form.clear();
    say(this.trouble, "");
    this.save.disabled = true;
    try {
      const changes = this.form.changes();
      if (Object.keys(changes).length > 0) {
        const request = { ...changes, confirmed: this.confirmed.control.checked };
        const saved = await this.line.call("change_schedule", { schedule_id: this.whole.row.id, request });
        // Closed first, so that the focus is back in the page before that is drawn anew.
        this.dialog.close();
        this.onsaved(saved);
      } else this.dialog.close();
    } catch (problem) {
      if (problem.code === "not_confirmed") this.confirmed.element.hidden = false;
      this.#tell(problem);
      this.dialog.querySelector("[aria-invalid=true]")?.focus();
    } finally {
      this.save.disabled = false;
    }
  }
}

/** Open the form of a schedule; `onsaved` gets the schedule as it is then. */
export const editSchedule = (view, whole, onsaved) => new ScheduleDialog(view, whole, onsaved);
