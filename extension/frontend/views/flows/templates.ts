/** Notebooks to begin a flow with. Each runs at once, needs only Cloudo, and says where to put one's own code. */

export interface Template {
  name: string;
  title: string;
  description: string;
  /** The key `cloudo` of the notebook's metadata. */
  metadata?: Record<string, unknown>;
  /** Text above the code. */
  text: string;
  parameters: string;
  cells: string[];
}

const EMPTY: Template = {
  name: "empty",
  title: "Empty",
  description: "A parameters cell and a code cell, both empty.",
  text: "",
  parameters: "",
  cells: [""],
};

const REPORT: Template = {
  name: "report",
  title: "Report",
  description: "Shows a table as a result, and leaves the source code out of the executed notebook.",
  metadata: { tags: ["report"], report_mode: true },
  text: "# Report\n\nPut your own data into the cell that begins with `sales`. What `this.show` keeps is on the page of the execution.",
  parameters: 'region: str = "north"  # which region to report on\ntop: int = 3  # how many products to list',
  cells: [
    `sales = {
    "north": {"apples": 120, "pears": 80, "plums": 45, "figs": 12},
    "south": {"apples": 60, "pears": 95, "plums": 30, "figs": 70},
}
if region not in sales:
    this.error(f"There is no region {region!r}. The regions are {', '.join(sales)}.")

best = sorted(sales[region].items(), key=lambda item: item[1], reverse=True)[:top]`,
    `from IPython.display import Markdown

lines = [f"| {product} | {sold} |" for product, sold in best]
table = Markdown("\\n".join(["| product | sold |", "|---|---:|", *lines]))
this.show("best products", table)
table`,
    `total = sum(sales[region].values())
this.set_output("total", total)
this.success(f"The region {region} sold {total} pieces.")`,
  ],
};

const CHECK: Template = {
  name: "check",
  title: "Check",
  description: "Ends in error, with the reason, if something is not as it should be.",
  metadata: { tags: ["check"] },
  text: "# Check\n\nChecks the free space of the disk. Write your own rules into the cell `rules`, and run it every hour with *Run recurring…*.",
  parameters: "min_free_gb: float = 0.1  # how much space has to be free",
  cells: [
    `import shutil

free_gb = shutil.disk_usage(".").free / 1e9
this.set_output("free_gb", round(free_gb, 1))`,
    `rules = {
    f"{min_free_gb} GB are free": free_gb >= min_free_gb,
}
broken = [rule for rule, is_kept in rules.items() if not is_kept]`,
    `if broken:
    this.error("Not true: " + "; ".join(broken))
this.success(f"All rules are kept: {free_gb:.1f} GB are free.")`,
  ],
};

const FAN_OUT: Template = {
  name: "fan-out",
  title: "Fan-out",
  description: "Runs another flow once for each item, all at the same time, and gathers the outputs.",
  metadata: { tags: ["children"] },
  text: "# Fan-out\n\nPut the name of your own flow in place of `examples/greeting`, and read its outputs in the last cell.",
  parameters: 'names: list[str] = ["Ada", "Grace", "Katherine"]  # one run for each',
  cells: [
    `runs = [this.flow("examples/greeting", inputs={"name": name}, wait=False) for name in names]`,
    `# Raises an error if a child fails, which ends this execution in error, too.
this.wait_for(*runs)`,
    `greetings = [run.load("output_value")["greeting"] for run in runs]
this.set_output("greetings", greetings)
this.success(f"{len(greetings)} runs have ended.")`,
  ],
};

const FORM: Template = {
  name: "form",
  title: "Form",
  description: "Inputs with choices and limits, and a question that is asked while the flow runs.",
  metadata: { tags: ["form"] },
  text: "# Form\n\n*Run with inputs…* shows a field for each line of the next cell. The question of the running flow is under *Input requests*.",
  parameters: `from typing import Literal

size: Literal["small", "medium", "large"] = "medium"  # of the parcel
amount: int = 1  # how many parcels
is_gift: bool = False  # wrap it`,
  cells: [
    `form = {
    "properties": {
        "intro": {"element": "markdown", "description": f"Size {size}, {amount} of them."},
        "note": {"element": "text", "label": "Note for the parcel"},
        "send": {"element": "submit", "label": "Send"},
        "stop": {"element": "submit", "label": "Stop"},
    },
}
answer = system.message("Send the parcels?", form).wait().get("response")`,
    `if answer["stop"]:
    this.error("The order was stopped.")
this.set_output("note", answer["note"])
this.success(f"{amount} {size} will be sent.")`,
  ],
};

const WEBHOOK: Template = {
  name: "webhook",
  title: "Webhook",
  description: "Answers calls from other programs. Create the webhook with Create webhook…",
  metadata: { tags: ["webhook"] },
  text: "# Webhook\n\n*Create webhook…* gives this flow an address. A call runs it, with the body that was sent; *Run as flow* uses the sample.",
  parameters: "json: dict | None = None  # the body of the call\nheaders: dict = {}  # of the call",
  cells: [
    `SAMPLE = {"order": 17, "items": ["apples", "pears"]}

call = json or SAMPLE
if "order" not in call:
    this.error("The body has no field 'order'.")`,
    `# The caller gets the outputs.
this.set_output("order", call["order"])
this.set_output("count", len(call.get("items", [])))`,
  ],
};

export const TEMPLATES: readonly Template[] = [EMPTY, REPORT, CHECK, FAN_OUT, FORM, WEBHOOK];

/** The notebook as JSON text. */
export function notebookOf({ metadata, text, parameters, cells }: Template): string {
  const code = (id: string, source: string, tags?: string[]) => ({
    cell_type: "code",
    execution_count: null,
    id,
    metadata: tags ? { tags } : {},
    outputs: [],
    source,
  });
  return JSON.stringify({
    cells: [
      ...(text ? [{ cell_type: "markdown", id: "about", metadata: {}, source: text }] : []),
      code("parameters", parameters, ["parameters"]),
      ...cells.map((source, at) => code(`cell-${at + 1}`, source)),
    ],
    metadata: {
      kernelspec: { display_name: "Cloudo", language: "python", name: "cloudo" },
      ...(metadata ? { cloudo: metadata } : {}),
    },
    nbformat: 4,
    nbformat_minor: 5,
  });
}
