"""The open notebook as a flow: run from its toolbar, and progress and outputs beside its cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import APIResponse, Browser, Locator, Page, Route, expect

from cloudo_kernel.models import ExecutionFilter, StartExecution
from tests.acceptance.page import BOOT, button, command, newest, open_file
from tests.flows import notebook as notebook_of
from tests.flows import write_flow, write_script
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)
#: With a key that the form does not have, and one that Cloudo does not know.
DESCRIBED = {"tags": ["old"], "on_error": {"flow": "tell", "inputs": {"a": 1}}, "priority": 5, "mine": {"x": 1}}
GATE = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)\nprint('through')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Serve) -> RunningServer:
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "gated", "print('before')", GATE.format(str(workspace / "open")), "6 * 7")
    write_flow(workspace, "failing", "print('so far')", "1 / 0", "print('never')")
    write_flow(workspace, "asking", "who", parameters="who: str  # whom to greet")
    write_flow(workspace, "bare", "6 * 7")
    second = str(workspace / "second")
    text = (
        f"import pathlib, time\nprint('line', 1 + pathlib.Path({second!r}).exists(), 'of a long cell')\ntime.sleep(600)"
    )
    write_flow(workspace, "elsewhere", text)
    write_flow(workspace, "described", "6 * 7", metadata=DESCRIBED)
    write_flow(workspace, "overloaded", "6 * 7", metadata={"priority": 200})
    write_script(workspace, "scripted", "def handler(system, this): pass")
    (workspace / "outside.ipynb").write_text(notebook_of("6 * 7"))
    return start(workspace)


def notebook(page: Page, server: RunningServer, flow: str) -> Locator:
    """Open the notebook of a flow in a JupyterLab of its own."""
    page.goto(f"{server.url}lab/workspaces/{flow}/tree/flows/{flow}.ipynb?reset")
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(panel.locator(".cloudo-run-bar")).to_be_visible(timeout=BOOT)
    expect(panel.locator(".jp-CodeCell").first).to_be_visible(timeout=BOOT)
    # Until its kernel is there, JupyterLab may take the focus away from what is being typed.
    expect(panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle", timeout=BOOT)
    return panel


@pytest.fixture
def another(browser: Browser, server: RunningServer) -> Iterator[Page]:
    """A page of another browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(40_000)
    context.request.get(f"{server.url}api/me?token={server.token}")
    yield context.new_page()
    context.close()


def marks(panel: Locator) -> Locator:
    return panel.locator(".cloudo-cell-run")


def test_a_failure_is_shown_beside_its_cell(another: Page, server: RunningServer) -> None:
    panel = notebook(another, server, "failing")
    button(panel, "Run as flow").dblclick()
    bar = panel.locator(".cloudo-run-strip")
    expect(bar.get_by_role("status")).to_contain_text("Failed")
    with server.client() as api:
        assert len(api.executions(ExecutionFilter(flow_name="failing")).items) == 1
    expect(bar.get_by_role("status")).to_contain_text("ZeroDivisionError")
    expect(marks(panel).filter(has_text="done")).to_contain_text("so far")
    expect(marks(panel).filter(has_text="failed")).to_contain_text("division by zero")
    button(bar, "Open executed notebook").click()
    expect(another.locator(".lm-DockPanel-tabBar .lm-TabBar-tab")).to_have_count(2)


def test_the_reply_to_a_start_may_come_after_the_end_of_the_run(another: Page, server: RunningServer) -> None:
    panel = notebook(another, server, "bare")
    held: list[tuple[Route, APIResponse]] = []
    another.route(re.compile("/execution$"), lambda route: held.append((route, route.fetch())))
    button(panel, "Run as flow").click()
    status = panel.locator(".cloudo-run-strip").get_by_role("status")
    expect(status).to_contain_text("Success")
    [(route, reply)] = held
    with another.expect_event("requestfinished", lambda request: request == route.request):
        route.fulfill(response=reply)
    another.evaluate("new Promise(requestAnimationFrame)")
    assert "Success" in status.inner_text()


def test_a_flow_that_needs_inputs_asks_for_them(another: Page, server: RunningServer) -> None:
    panel = notebook(another, server, "asking")
    button(panel, "Run as flow").click()
    dialog = another.locator("dialog.cloudo-dialog[open]")
    dialog.get_by_label("who").fill("Ada")
    another.keyboard.press("Enter")
    expect(marks(panel).filter(has_text="Ada")).to_have_count(1)


def test_a_run_goes_on_without_a_browser_and_is_taken_over_in_another_one(
    browser: Browser, another: Page, server: RunningServer
) -> None:
    first = browser.new_context()
    first.set_default_timeout(40_000)
    first.request.get(f"{server.url}api/me?token={server.token}")
    panel = notebook(first.new_page(), server, "gated")
    button(panel, "Run as flow").click()
    expect(marks(panel).filter(has_text="before")).to_have_count(1)
    expect(marks(panel).filter(has_text="running")).to_have_count(1)
    first.close()

    panel = notebook(another, server, "gated")
    expect(marks(panel).filter(has_text="running")).to_have_count(1)
    (server.workspace / "open").touch()
    status = panel.locator(".cloudo-run-strip").get_by_role("status")
    expect(status).to_contain_text("Success")
    expect(marks(panel).filter(has_text="through")).to_have_count(1)
    another.reload()  # it has ended since the notebook was saved
    expect(marks(panel).filter(has_text="through")).to_have_count(1, timeout=BOOT)
    button(panel, "Take over outputs").click()
    expect(marks(panel)).to_have_count(0)
    expect(panel.locator(".jp-OutputArea-output").filter(has_text="42")).to_have_count(1)
    another.keyboard.press("Control+s")
    path = server.workspace / "flows" / "gated.ipynb"
    until(lambda: '"execute_result"' in path.read_text())
    outputs = [cell["outputs"] for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [one[0]["output_type"] for one in outputs if one] == ["stream", "stream", "execute_result"]


def test_a_run_started_elsewhere_is_shown_in_the_open_notebook(another: Page, server: RunningServer) -> None:
    panel = notebook(another, server, "elsewhere")
    with server.client() as api:
        for number in (1, 2):
            run = api.start_execution(StartExecution(flow_name="elsewhere"))
            expect(marks(panel).filter(has_text="running")).to_contain_text(f"line {number} of a long cell")
            api.cancel_execution(run.id)
            expect(panel.locator(".cloudo-run-strip").get_by_role("status")).to_contain_text("Cancelled")
            (server.workspace / "second").touch()


def test_cells_with_another_source_are_left_alone_and_a_run_is_dismissed(another: Page, server: RunningServer) -> None:
    panel = notebook(another, server, "gated")
    expect(panel.locator(".cloudo-run-strip").get_by_role("status")).to_have_count(0)
    button(panel, "Run as flow").click()
    expect(marks(panel).filter(has_text="done")).to_have_count(3)
    panel.locator(".jp-CodeCell .cm-content").last.click()
    another.keyboard.press("Control+End")
    another.keyboard.type(" + 1")
    button(panel, "Take over outputs").click()
    dialog = another.locator(".jp-Dialog")
    expect(dialog).to_contain_text("Their source is not the one that was run: cell")
    button(dialog, "Ok").click()
    with server.client() as api:
        assert newest(api, "gated").status == "ENDED_SUCCESS"
    button(panel, "Run as flow").click()
    expect(panel.locator(".cloudo-run-strip").get_by_role("status")).to_contain_text("Success")
    button(panel, "Dismiss").click()
    expect(marks(panel)).to_have_count(0)


def test_a_parameters_cell_is_added_and_its_inputs_are_shown_as_the_server_reads_them(
    another: Page, server: RunningServer
) -> None:
    panel = notebook(another, server, "asking")
    expect(panel.locator(".cloudo-inputs")).to_contain_text("who: str required")
    expect(button(panel, "Add parameters cell")).to_be_hidden()

    panel = notebook(another, server, "bare")
    button(panel, "Add parameters cell").click()
    expect(panel.locator(".jp-CodeCell .cm-content").first).to_be_focused()
    another.keyboard.press("Control+End")
    another.keyboard.type("\nn: int = 5")
    another.keyboard.press("Control+s")
    expect(panel.locator(".cloudo-inputs")).to_contain_text("n: int")
    first, second = json.loads((server.workspace / "flows" / "bare.ipynb").read_text())["cells"]
    assert (first["metadata"]["tags"], second["metadata"].get("tags")) == (["parameters"], None)
    with server.client() as api:
        assert api.flow("bare").input_schema["properties"]["n"]["type"] == "integer"

    panel = notebook(another, server, "failing")
    panel.locator(".jp-CodeCell .cm-content").first.click()
    command(another, "Add parameters cell")
    expect(panel.locator(".jp-CodeCell").first).to_contain_text("The inputs of this flow")
    expect(button(panel, "Add parameters cell")).to_be_hidden()


# --- the form of the property inspector ---------------------------------------------------------------


def properties(page: Page) -> Locator:
    """Unfold the form in the property inspector."""
    page.locator(".jp-SideBar [data-id=jp-property-inspector]").click()
    page.locator(".jp-Collapse-header").filter(has_text="Flow").click()
    return page.locator(".cloudo-properties")


def field(form: Locator, label: str) -> Locator:
    return form.get_by_label(label, exact=True)


def test_metadata_of_a_flow_are_changed_in_the_property_inspector(another: Page, server: RunningServer) -> None:
    notebook(another, server, "described")
    form = properties(another)
    expect(field(form, "Title")).to_have_attribute("placeholder", "described")
    expect(field(form, "Retries")).to_have_attribute("placeholder", "0")
    expect(field(form, "On error")).to_have_value('{"flow":"tell","inputs":{"a":1}}')
    field(form, "Title").fill("A report")
    field(form, "Tags").fill("report\nsales")
    field(form, "Retries").fill("3")
    field(form, "Time limit").fill("1.5")
    field(form, "On success").fill("Notify by email\nhttps://example.com/hook")
    field(form, "On error").fill("")
    field(form, "Requires").fill("gpu")
    another.keyboard.press("Control+s")
    path = server.workspace / "flows" / "described.ipynb"
    until(lambda: "A report" in path.read_text())
    assert json.loads(path.read_text())["metadata"]["cloudo"] == {
        "title": "A report",
        "tags": ["report", "sales"],
        "retries": 3,
        "timeout_seconds": 90,
        "on_success": ["Notify by email", {"url": "https://example.com/hook"}],
        "requires": ["gpu"],
        "priority": 5,
        "mine": {"x": 1},
    }
    with server.client() as api:
        flow = api.flow("described")
    assert (flow.title, flow.tags, flow.metadata.retries, flow.broken) == ("A report", ("report", "sales"), 3, None)


#: A field, its key, a wrong text, and the value that it would be.
WRONG = (
    ("Retries", "retries", "101", 101),
    ("Retries", "retries", "-1", -1),
    ("Time limit", "timeout_seconds", "0", 0),
    ("Requires", "requires", "GPU", ["GPU"]),
    ("Requires", "requires", "\n".join(f"l{n}" for n in range(21)), [f"l{n}" for n in range(21)]),
    ("On error", "on_error", '{"x": 1}', [{"x": 1}]),
    ("On error", "on_error", "\n".join("abcdefghijk"), list("abcdefghijk")),
)


def test_a_wrong_value_is_named_in_the_words_of_the_server_and_is_not_kept(
    another: Page, server: RunningServer
) -> None:
    notebook(another, server, "overloaded")
    form = properties(another)
    # What only the server knows is there from the beginning.
    expect(form.get_by_role("alert").first).to_contain_text("cloudo.priority' is invalid")
    for label, key, text, value in WRONG:
        field(form, label).fill(text)
        write_flow(server.workspace, "judged", "1", metadata={key: value})
        with server.client() as api:
            broken = api.flow("judged").broken or ""
        around = form.locator(".cloudo-field").filter(has=another.get_by_label(label, exact=True)).last
        words = around.locator(".cloudo-field-error")
        expect(words).not_to_be_empty()
        assert broken.startswith(f"its metadata 'cloudo.{key}")
        assert broken.endswith(f"' is invalid: {words.inner_text()}")
    field(form, "On recovery").fill("{")
    expect(form.get_by_text("'{' is not valid JSON")).to_be_visible()
    field(form, "Retries").fill("many")
    expect(form.get_by_text("Enter a whole number")).to_be_visible()
    field(form, "Title").fill("Kept")
    another.keyboard.press("Control+s")
    path = server.workspace / "flows" / "overloaded.ipynb"
    until(lambda: "Kept" in path.read_text())
    assert json.loads(path.read_text())["metadata"]["cloudo"] == {"priority": 200, "title": "Kept"}

    # Other documents say why they have no form.
    open_file(another, "flows/scripted.py")
    expect(another.locator("#jp-property-inspector")).to_contain_text("This flow is a script.")
    open_file(another, "outside.ipynb")
    expect(form).to_contain_text("This notebook is not a flow.")
    button(form, "Add to flows…").click()
    another.locator(".jp-Dialog").get_by_label("Name of the flow").fill("inside")
    button(another.locator(".jp-Dialog"), "Move").click()
    expect(field(form, "Title")).to_have_attribute("placeholder", "inside")
