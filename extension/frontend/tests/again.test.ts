import { describe, expect, it } from "vitest";
import type { Flow } from "../api/types";
import { filledForm } from "../views/executions/again";

const flowOf = (properties: Record<string, unknown>, required: string[] = []): Flow =>
  ({ name: "f", title: "F", input_schema: { type: "object", properties, required } }) as unknown as Flow;

describe("the form of an earlier execution", () => {
  it("has its inputs, and sends those that differ from the defaults", () => {
    const form = filledForm(flowOf({ n: { type: "integer", default: 1 }, who: { type: "string" } }, ["who"]), {
      n: 5,
      who: "Ada",
    });
    expect(form.read()).toEqual({ n: 5, who: "Ada" });
  });

  it("asks for hidden inputs again, also where they have a default", () => {
    const properties = { key: { type: "string", writeOnly: true, default: "none" }, open: { type: "string" } };
    const form = filledForm(flowOf(properties), { key: "•••", open: "door" });
    expect(form.fields.map(({ name, text }) => [name, text.value])).toEqual([
      ["key", ""],
      ["open", "door"],
    ]);
    expect(form.read()).toBeNull();
    expect(form.fields[0]?.problem.value).toBe("This is required.");
  });

  it("takes any inputs where the flow has no schema, and values of another type", () => {
    const whole = filledForm({ name: "s", title: "s", input_schema: {} } as Flow, { a: 1 });
    expect(whole.read()).toEqual({ a: 1 });
    const lines = flowOf({ names: { type: "array", items: { type: "string" }, default: [] } });
    expect(filledForm(lines, { names: "Ada" }).read()).toEqual({ names: "Ada" });
  });
});
