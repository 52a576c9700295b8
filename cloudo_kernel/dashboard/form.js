/**
 * The form of one flow, drawn from its input schema.
 */

import { h, say } from "./dom.js";
import { Field } from "./field.js";

const order = (schema) => schema["x-order"] ?? Infinity;

/**
 * The fields of one flow. With `isBrief`, those that have a default are folded away; `isAlone` means that the dialog
 * names the flow already.
 */
export class InputForm {
  constructor(flow, { isBrief, isAlone = false }) {
    this.flow = flow;
    this.fields = this.#fields();
    this.error = h("p.field-error", { role: "alert" });
    const asked = this.fields.filter((field) => !isBrief || field.isRequired);
    const folded = this.fields.filter((field) => !asked.includes(field));
    const path = flow.title === flow.name ? null : h("span.path", flow.name);
    this.element = h(
      "fieldset.form", {},
      h(isAlone ? "legend.unseen" : "legend", flow.title, !isAlone && path),
      isAlone && path,
      flow.description && h("p.field-note", flow.description),
      this.error,
      ...asked.map((field) => field.element),
      this.fields.length === 0 && h("p.field-note", "This flow takes no inputs."),
      folded.length > 0 && h("details", h("summary", `Inputs with defaults (${folded.length})`), ...folded.map((field) => field.element)),
    );
  }

  /** The inputs to send, or null after saying beside each field what is wrong. */
  read() {
    const inputs = {};
    let isFine = true;
    say(this.error, "");
    for (const field of this.fields) {
      const { value, problem } = field.read();
      field.complain(problem ?? "");
      if (problem) isFine = false;
      else if (value !== undefined) this.#take(inputs, field, value);
    }
    return isFine ? inputs : null;
  }

  /** Show an error of the service where it belongs. */
  complain(message, name) {
    const field = this.fields.find((candidate) => candidate.name === name);
    if (field) field.complain(message);
    else say(this.error, message);
    const folded = field?.element.closest("details");
    if (folded) folded.open = true;
  }

  #take(inputs, field, value) {
    if (field.isWhole) Object.assign(inputs, value);
    else inputs[field.name] = value;
  }

  #fields() {
    const { properties = {}, required = [], additionalProperties } = this.flow.input_schema;
    const names = Object.keys(properties).sort((one, other) => order(properties[one]) - order(properties[other]) || 0);
    if (names.length > 0) return names.map((name) => new Field(name, properties[name], { isRequired: required.includes(name) }));
    if (additionalProperties === false) return [];
    const description = "This flow takes any inputs: write them as one JSON object.";
    const whole = new Field("inputs", { type: "object", description }, { isRequired: false });
    whole.isWhole = true;
    return [whole];
  }
}
