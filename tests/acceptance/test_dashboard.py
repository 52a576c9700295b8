"""The dashboard as a reader uses it: a real server, real kernels, a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.dashboard import page_source
from cloudo_kernel.models import CreateMessage, ExecutionFilter, StartExecution, Status, Trigger
from tests.acceptance.page import BOOT, RUN, Open, button, check, ready, row
from tests.flows import write_flow, write_script
from tests.original_scripts import asking
from tests.server import RunningServer, start_server, until

pytestmark = pytest.mark.timeout(240)

HOSTILE = "<img src=x onerror=alert(1)>"
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose root has nothing but a workspace with a few flows."""
    workspace = tmp_path_factory.mktemp("workspace é")
    write_flow(
        workspace, "reports/quick", "print('the answer', n)", "this.set_output('twice', 2 * n)", parameters="n = 21"
    )
    write_flow(
        workspace,
        "reports/asking",
        "this.log('hello', who, times)\nthis.set_output('said', who * times)",
        parameters="who: str  # whom to greet\ntimes: int = 1",
        metadata={"title": "Asks a name", "tags": ["salute"]},
    )
    write_flow(workspace, "failing", "before = 1", "def inner():\n    return before / 0\ninner()", "after = 2")
    write_flow(workspace, "endless", "import time\nwhile True: time.sleep(0.05)")
    write_flow(workspace, "broken", "1", parameters="def (")
    body = f"this.log({HOSTILE!r})\nthis.set_output({HOSTILE!r}, {HOSTILE!r})\nprint('<script>alert(2)</script>')"
    write_flow(workspace, "hostile", body, metadata={"title": HOSTILE, "tags": [HOSTILE], "description": HOSTILE})
    running = start_server(workspace, tmp_path_factory.mktemp("home"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def run(api: Client, flow_name: str, **inputs: Any) -> str:
    """Run a flow to its end, from elsewhere; return the execution's id."""
    started = api.start_execution(StartExecution(flow_name=flow_name, inputs=inputs))
    until(lambda: api.execution(started.id).is_ended, seconds=60)
    return started.id


def newest(api: Client, flow_name: str) -> Any:
    return api.executions(ExecutionFilter(flow_name=flow_name), limit=1).items[0]


def kernels(server: RunningServer) -> set[str]:
    reply = httpx.get(f"{server.url}api/kernels", headers={"Authorization": f"token {server.token}"})
    return {kernel["id"] for kernel in reply.raise_for_status().json()}


# --- playing -----------------------------------------------------------------------------------------


def test_play_runs_every_checked_flow_and_the_end_shows_by_itself(show: Open, api: Client) -> None:
    page = show()
    check(page, "reports/quick", "failing")
    button(page, "Play").click()
    expect(page.get_by_text("Started 2 executions").first).to_be_visible()
    page.get_by_role("link", name="Show executions").click()
    expect(row(page, "reports/quick")).to_contain_text("Success", timeout=RUN)
    expect(row(page, "failing")).to_contain_text("Error", timeout=RUN)
    expect(row(page, "failing")).to_contain_text("ZeroDivisionError")
    expect(row(page, "reports/quick").get_by_role("progressbar")).to_have_attribute("aria-valuenow", "3")
    assert newest(api, "reports/quick").trigger is Trigger.UI


def test_play_asks_only_for_inputs_without_default_and_loses_nothing_typed(show: Open, api: Client) -> None:
    page = show("flows")
    check(page, "reports/quick", "reports/asking")
    button(page, "Play").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("who", exact=True)).to_be_focused()
    expect(dialog.get_by_label("times", exact=True)).to_be_hidden()
    dialog.get_by_text("Inputs with defaults").click()
    dialog.get_by_label("times", exact=True).fill("2x")
    button(dialog, "Play 2 flows").click()
    expect(dialog.get_by_text("This has no default")).to_be_visible()
    expect(dialog.get_by_text("This must be a whole number")).to_be_visible()
    expect(dialog.get_by_label("who", exact=True)).to_be_focused()
    expect(dialog.get_by_label("times", exact=True)).to_have_value("2x")
    dialog.get_by_label("times", exact=True).fill("2")
    dialog.get_by_label("who", exact=True).fill("ho")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Started 2 executions").first).to_be_visible()
    until(lambda: newest(api, "reports/asking").is_ended, seconds=60)
    assert newest(api, "reports/asking").output_value == {"said": "hoho"}


def test_what_the_service_refuses_shows_beside_its_field(show: Open, server: RunningServer) -> None:
    write_flow(server.workspace, "changing", "n", parameters="n: int")
    page = show("flows")
    check(page, "changing")
    button(page, "Run with inputs…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("n", exact=True).fill("7")
    write_flow(server.workspace, "changing", "n", parameters="n: list[int]")
    page.keyboard.press("Enter")
    expect(dialog.locator(".cloudo-field-error").filter(has_text=re.compile("array|list"))).to_be_visible()
    expect(dialog.locator(".cloudo-control").first).to_have_value("7")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button(page, "Run with inputs…")).to_be_focused()


def test_run_with_inputs_sends_what_was_changed_only(show: Open, api: Client) -> None:
    page = show("flows")
    check(page, "reports/quick")
    button(page, "Run with inputs…").click()
    expect(page.get_by_role("dialog").locator(".cloudo-control")).to_have_value("21")
    page.get_by_role("dialog").locator(".cloudo-control").fill("4")
    button(page, "Play 1 flow").click()
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    until(lambda: newest(api, "reports/quick").input_value == {"n": 4}, seconds=60)


def test_a_broken_flow_shows_its_reason_and_cannot_be_checked(show: Open) -> None:
    page = show("flows")
    expect(row(page, "broken")).to_contain_text("syntax error")
    expect(page.get_by_label("Select broken", exact=True)).to_be_disabled()
    page.get_by_label("Select all").check()
    expect(page.get_by_label("Select broken", exact=True)).not_to_be_checked()


def test_flows_are_filtered_sorted_and_selected_by_range(show: Open) -> None:
    page = show("flows")
    names = page.locator("tbody .cloudo-path")
    page.get_by_label("Filter flows").fill("SALUTE")
    expect(names).to_have_text(["reports/asking"])
    page.get_by_label("Filter flows").fill("nothing has this")
    expect(page.get_by_text("No flow fits the filter")).to_be_visible()
    button(page, "Clear the filter").click()
    page.get_by_role("button", name="Flow", exact=True).click()
    expect(page.get_by_role("columnheader", name="Flow")).to_have_attribute("aria-sort", "descending")
    assert (shown := names.all_inner_texts()) != sorted(shown)
    boxes = page.locator("tbody input[type=checkbox]:not(:disabled)")
    boxes.nth(0).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()


def test_a_new_flow_shows_up_when_the_reader_comes_back(show: Open, server: RunningServer) -> None:
    page = show("flows")
    write_flow(server.workspace, "brand new", "1")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(row(page, "brand new")).to_be_visible()


# --- following ---------------------------------------------------------------------------------------


def test_executions_started_elsewhere_appear_and_change_without_reloading(show: Open, api: Client) -> None:
    page = show("executions")
    started = api.start_execution(StartExecution(flow_name="endless", name="from elsewhere"))
    expect(row(page, "from elsewhere")).to_contain_text("Running", timeout=RUN)
    api.cancel_execution(started.id)
    expect(row(page, "from elsewhere")).to_contain_text("Cancelled", timeout=RUN)
    api.delete_execution(started.id)
    expect(page.get_by_text("from elsewhere")).to_have_count(0)


def test_an_execution_shows_inputs_outputs_log_and_notebook(show: Open, api: Client) -> None:
    execution_id = run(api, "reports/asking", who="ab", times=2)
    page = show(f"executions/{execution_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("reports/asking")
    expect(page.locator(".cloudo-heading .cloudo-status")).to_have_text("Success")
    panels = page.locator(".cloudo-panel")
    expect(panels.filter(has_text="Inputs")).to_contain_text("ab")
    expect(panels.filter(has_text="Outputs")).to_contain_text("abab")
    expect(panels.filter(has_text="Log")).to_contain_text("hello ab 2")
    frame = page.frame_locator("iframe[sandbox='']")
    expect(frame.get_by_text("this.set_output").first).to_be_visible()
    lab = page.get_by_role("link", name="Open in JupyterLab").first
    expect(lab).to_have_attribute("href", re.compile(rf"/lab/tree/executions/reports/asking/{execution_id}\.ipynb$"))


def test_an_error_shows_its_name_its_cell_and_its_traceback(show: Open, api: Client) -> None:
    page = show(f"executions/{run(api, 'failing')}")
    panel = page.get_by_label("Error", exact=True)
    expect(panel).to_contain_text("ZeroDivisionError")
    expect(panel).to_contain_text("return before / 0")
    expect(panel).to_contain_text("In cell")


def test_a_running_execution_is_followed_and_cancelled_then_retried(show: Open, api: Client) -> None:
    started = api.start_execution(StartExecution(flow_name="endless"))
    page = show(f"executions/{started.id}")
    status = page.locator(".cloudo-heading .cloudo-status")
    expect(status).to_have_text("Running", timeout=RUN)
    until(lambda: api.execution(started.id).progress.cell, seconds=60)  # its notebook is there
    button(page, "Cancel").click()
    expect(status).to_have_text("Cancelled", timeout=RUN)
    button(page, "Retry").click()
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    again = newest(api, "endless")
    assert again.retry_of == started.id
    api.cancel_execution(again.id)
    button(page, "Delete").click()
    button(page.get_by_role("dialog"), "Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Executions")
    assert started.id not in {one.id for one in api.executions().items}


def test_an_execution_is_paused_and_resumed_by_keyboard(show: Open, api: Client, server: RunningServer) -> None:
    go = server.workspace / "flows" / "go"
    write_flow(
        server.workspace,
        "in two steps",
        "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)",
        "2",
    )
    started = api.start_execution(StartExecution(flow_name="in two steps"))
    page = show(f"executions/{started.id}")
    status = page.locator(".cloudo-heading .cloudo-status")
    expect(status).to_have_text("Running", timeout=RUN)
    expect(button(page, "Resume")).to_have_count(0)
    expect(button(page, "Retry")).to_have_count(0)
    until(lambda: api.execution(started.id).progress.cell, seconds=60)
    button(page, "Pause").press("Enter")
    expect(page.locator(".cloudo-toast")).to_contain_text("pauses before its next cell")
    go.touch()
    expect(status).to_have_text("Paused", timeout=RUN)
    expect(button(page, "Resume")).to_be_focused()
    page.keyboard.press("Enter")
    expect(status).to_have_text("Success", timeout=RUN)
    go.unlink()


def test_several_executions_are_paused_and_resumed_in_the_list(show: Open, api: Client) -> None:
    names = ("one of both", "the other one")
    ids = [api.start_execution(StartExecution(flow_name="endless", name=name, delay_seconds=1e6)).id for name in names]
    page = show("executions")
    for name in names:
        row(page, name).get_by_role("checkbox").check()
    expect(button(page, "Resume")).to_be_disabled()
    expect(button(page, "Retry")).to_be_disabled()
    button(page, "Pause").click()
    for name in names:
        expect(row(page, name)).to_contain_text("Paused")
    expect(button(page, "Pause")).to_be_disabled()
    button(page, "Resume").click()
    for name in names:
        expect(row(page, name)).to_contain_text("Pending")
    button(page, "Cancel").click()
    for name in names:
        expect(row(page, name)).to_contain_text("Cancelled")
    button(page, "Retry").click()
    expect(page.get_by_text("Started 2 executions").first).to_be_visible()
    for execution_id in ids:
        assert api.execution(execution_id).status is Status.ENDED_CANCELLED
    for again in api.executions(ExecutionFilter(flow_name="endless"), limit=2).items:
        assert again.retry_of in ids
        api.cancel_execution(again.id)


def test_a_growing_log_is_followed_and_earlier_lines_are_paged(show: Open, api: Client, server: RunningServer) -> None:
    source = "for i in range(1200): this.log(f'line {i}.')"
    wait = "import time, pathlib\nwhile not pathlib.Path('go on').exists(): time.sleep(0.05)"
    write_flow(server.workspace, "chatty", source, wait, "this.log('the last line')")
    started = api.start_execution(StartExecution(flow_name="chatty"))
    until(lambda: len(api.execution(started.id).log or ()) == 1000, seconds=60)
    until(lambda: api.execution(started.id).log[-1].text == "line 1199.", seconds=60)  # type: ignore[index]
    page = show(f"executions/{started.id}")
    log = page.get_by_role("log")
    expect(log.get_by_text("line 1199.")).to_be_visible()
    expect(log.get_by_text("line 650.")).to_have_count(0)
    page.get_by_role("button", name="Show earlier lines").click()
    expect(log.get_by_text("line 650.")).to_have_count(1)
    log.evaluate("log => log.scrollTop = log.scrollHeight")
    (server.workspace / "flows" / "go on").touch()
    expect(log.get_by_text("the last line")).to_be_visible(timeout=RUN)
    assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 5


def test_executions_are_filtered_by_status_and_paged(show: Open, api: Client) -> None:
    run(api, "failing")
    page = show("executions?status=ENDED_ERROR")
    expect(button(page, "Error")).to_have_attribute("aria-pressed", "true")
    statuses = page.locator("tbody .cloudo-col-status")
    assert set(statuses.all_inner_texts()) == {"Error"}
    button(page, "Error").click()
    button(page, "Paused").click()
    expect(page.get_by_text("No execution fits the filter")).to_be_visible()
    assert page.url.endswith("executions?status=PAUSED")


# --- answering ---------------------------------------------------------------------------------------


def ask(api: Client, subject: str, **more: Any) -> str:
    return api.create_message(CreateMessage(subject=subject, **more)).id


def message(page: Page, subject: str) -> Locator:
    return page.locator(".cloudo-message").filter(has_text=subject)


@pytest.fixture
def no_messages(api: Client) -> None:
    for one in api.messages(unanswered=True).items:
        api.delete_message(one.id)


@pytest.mark.usefixtures("no_messages")
def test_a_flow_that_asks_is_answered_in_place(show: Open, api: Client, server: RunningServer) -> None:
    body = {
        "properties": {
            "intro": {"element": "markdown", "description": "Which *report*?"},
            "name": {"element": "string", "label": "Name", "description": "of the report"},
            "note": {"element": "text"},
            "top": {"element": "integer", "label": "How many", "minimum": 1, "default": 5},
            "share": {"element": "number"},
            "urgent": {"element": "toggle", "label": "Urgent"},
            "region": {"element": "select", "enum": ["north", "south"]},
            "kinds": {"element": "multiselect", "enum": ["a", "b", 3], "default": ["a"]},
            "day": {"element": "date"},
            "at": {"element": "time"},
            "due": {"element": "datetime"},
            "key": {"element": "password"},
            "file": {"element": "file"},
            "go": {"element": "submit", "label": "Go"},
            "stop": {"element": "submit", "label": "Stop", "required": []},
        },
        "required": ["name", "region"],
    }
    source = f"asked = system.message('Details?', {body!r})\nthis.set_output('answer', asked.wait().get('response'))"
    write_flow(server.workspace, "asks a form", "this.save(name='who asks')", source)
    page = show("flows")
    expect(page.get_by_label("Messages")).to_be_hidden()
    started = api.start_execution(StartExecution(flow_name="asks a form"))
    expect(page.get_by_role("heading", name="1 unanswered message")).to_be_visible(timeout=RUN)
    asked = message(page, "Details?")
    asked.locator("summary").press("Enter")
    expect(asked.get_by_text("Which *report*?")).to_be_visible()
    expect(asked.get_by_role("link", name="who asks")).to_have_attribute("href", re.compile(started.id))
    expect(asked.get_by_label("Name", exact=True)).to_be_focused()
    expect(asked.get_by_label("How many")).to_have_value("5")
    button(asked, "Go").click()
    expect(asked.get_by_text("This is required.")).to_have_count(2)
    expect(asked.get_by_label("Name", exact=True)).to_be_focused()
    asked.get_by_label("Name", exact=True).fill("daily")
    asked.get_by_label("region").select_option("south")
    asked.get_by_label("How many").fill("0")
    button(asked, "Go").click()
    expect(asked.get_by_text("'top' takes a whole number of at least 1, not 0.")).to_be_visible()
    expect(asked.get_by_label("How many")).to_be_focused()
    asked.get_by_label("How many").fill("2")
    asked.get_by_label("note").fill("one\ntwo")
    asked.get_by_label("share").fill("0.5")
    asked.get_by_label("Urgent").check()
    asked.get_by_role("group", name="kinds").get_by_label("3").check()
    asked.get_by_label("day").fill("2026-11-23")
    asked.get_by_label("at", exact=True).fill("08:30:00")
    asked.get_by_label("due").fill("2026-11-23T08:30:00")
    asked.get_by_label("key").fill("hunter2")
    assert asked.get_by_label("key").get_attribute("type") == "password"
    asked.get_by_label("file").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    asked.get_by_label("Name", exact=True).press("Enter")  # presses the first button
    expect(page.locator(".cloudo-toast")).to_contain_text("Answered: Details?")
    expect(page.get_by_label("Messages")).to_be_hidden()
    until(lambda: api.execution(started.id).is_ended, seconds=60)
    answer = api.execution(started.id).output_value["answer"]
    assert answer.pop("due").startswith("2026-11-23T08:30:00")
    assert answer.pop("at").startswith("08:30")
    assert answer == {
        "name": "daily", "note": "one\ntwo", "top": 2, "share": 0.5, "urgent": True, "region": "south",
        "kinds": ["a", 3], "day": "2026-11-23", "key": "•••",
        "file": {"name": "a.txt", "content": "eA==", "type": "text/plain"}, "go": True, "stop": False,
    }  # fmt: skip


@pytest.mark.usefixtures("no_messages")
def test_a_script_of_the_original_s_kind_is_answered_with_its_own_defaults(
    show: Open, api: Client, server: RunningServer
) -> None:
    write_script(server.workspace, "later", asking("later"))
    started = api.start_execution(StartExecution(flow_name="later", inputs={"flow_name": "reports/quick"}))
    page = show("flows")
    asked = message(page, "later")
    asked.locator("summary").press("Enter", timeout=RUN)
    expect(asked.get_by_label("Flow", exact=True)).to_have_value("reports/quick")
    expect(asked.get_by_label("After")).to_have_value("1")
    button(asked, "Begin").click()
    expect(page.get_by_label("Messages")).to_be_hidden()
    [waiting] = api.executions(ExecutionFilter(parent_id=started.id)).items
    assert api.wait(waiting.id, timeout=timedelta(minutes=1)).message == "started reports/quick"
    [run] = api.executions(ExecutionFilter(parent_id=waiting.id)).items
    assert run.name == "later reports/quick"


@pytest.mark.usefixtures("no_messages")
def test_a_button_that_requires_nothing_sends_an_empty_form_by_keyboard(show: Open, api: Client) -> None:
    properties = {
        "n": {"element": "integer"},
        "few": {"element": "integer", "maximum": 5},
        "go": {"element": "submit"},
        "stop": {"element": "submit", "required": []},
    }
    asked = ask(api, "Go on?", body={"properties": properties, "required": ["n"]})
    second = ask(api, "The other one", message="Read this.")
    page = show("flows")
    expect(page.get_by_role("heading", name="2 unanswered messages")).to_be_visible()
    message(page, "Go on?").locator("summary").press("Space")
    expect(message(page, "Go on?").get_by_label("n", exact=True)).to_be_focused()
    page.keyboard.type("not a number")
    page.keyboard.press("Tab")
    page.keyboard.type("99")
    button(message(page, "Go on?"), "stop").press("Enter")
    expect(message(page, "Go on?")).to_have_count(0)
    assert api.message(asked).response == {"go": False, "stop": True}
    expect(message(page, "The other one").locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(message(page, "The other one"), "OK")).to_be_focused()
    page.keyboard.press("Enter")
    expect(message(page, "The other one")).to_have_count(0)
    assert api.message(second).response == {"ok": True}


@pytest.mark.usefixtures("no_messages")
def test_what_is_answered_elsewhere_leaves_but_not_under_the_hands(show: Open, api: Client) -> None:
    open_one, other = ask(api, "Open here", request="Who?"), ask(api, "Closed here", request="Who?")
    page = show("flows")
    message(page, "Open here").locator("summary").click()
    message(page, "Open here").get_by_label("Who?").fill("half a name")
    newest_one = ask(api, "The newest", request="Who?")
    expect(page.locator(".cloudo-message").first).to_contain_text("The newest")
    expect(message(page, "Open here").get_by_label("Who?")).to_have_value("half a name")
    for one in (other, open_one, newest_one):
        api.answer_message(one, {"response": "somebody"})
    expect(message(page, "Closed here")).to_have_count(0)
    expect(message(page, "Open here").get_by_text("no longer open")).to_be_visible()
    expect(message(page, "Open here").get_by_label("Who?")).to_have_value("half a name")
    expect(button(message(page, "Open here"), "Send")).to_be_disabled()


@pytest.mark.usefixtures("no_messages")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_messages_stay_text_and_fit_a_narrow_window(show: Open, api: Client, scheme: Any) -> None:
    about = {"label": HOSTILE, "description": HOSTILE, "example": HOSTILE}
    long = "x" * 200
    properties: dict[str, Any] = {
        HOSTILE: {"element": "markdown", "description": f"{HOSTILE} <b>bold</b> [a](javascript:alert(3)) {long}"},
        "a": {**about, "element": "text", "default": HOSTILE},
        "b": {**about, "element": "select", "enum": [HOSTILE, long]},
        "c": {**about, "element": "multiselect", "enum": [HOSTILE, long]},
        "d": {**about, "element": "submit"},
    }
    ask(api, f"{HOSTILE} {long}", body={"properties": properties}, level="error")
    page = show("flows")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(".cloudo-message summary").click()
    expect(page.locator(".cloudo-told")).to_contain_text("<b>bold</b> [a](javascript:alert(3))")
    expect(page.locator(".cloudo-answer").get_by_role("button")).to_contain_text(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = page.locator(".cloudo-messages").bounding_box()
    for control in page.locator(".cloudo-answer :is(.cloudo-control, button)").all():
        box = control.bounding_box()
        assert inside
        assert box
        assert box["x"] + box["width"] <= inside["x"] + inside["width"]
    assert page.locator("main img").count() == 0
    page.locator(".cloudo-answer").get_by_role("button").click()
    expect(page.locator(".cloudo-toast")).to_contain_text(HOSTILE)


# --- the page ----------------------------------------------------------------------------------------


def test_addresses_are_links_into_the_dashboard_and_back_works(show: Open, api: Client) -> None:
    execution_id = run(api, "reports/quick")
    page = show("executions")
    row(page, "reports/quick").click(position={"x": 600, "y": 8})
    expect(page).to_have_url(re.compile(execution_id))
    expect(page).to_have_title("reports/quick · Cloudo")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Flows").click()
    expect(page).to_have_title("Flows · Cloudo")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("reports/quick")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Executions")
    page.goto(re.sub(r"[^/]*$", "01900000-0000-7000-8000-000000000000", page.url + "/"), wait_until="commit")
    ready(page)
    expect(page.get_by_text("There is no such execution")).to_be_visible()


def test_the_keyboard_alone_plays_a_flow(show: Open, api: Client) -> None:
    page = show("flows")
    page.keyboard.press("/")
    expect(page.get_by_label("Filter flows")).to_be_focused()
    page.keyboard.type("asking")
    expect(page.locator("tbody tr")).to_have_count(1)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TR":
            break
    page.keyboard.press("Space")
    expect(page.get_by_label("Select reports/asking")).to_be_checked()
    for _ in range(10):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.textContent") == "Play":
            break
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("who", exact=True)).to_be_focused()
    page.keyboard.type("me")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(button(page, "Play")).to_be_focused()
    expect(page.locator("[aria-live=polite]").filter(has_text="Started 1 execution")).to_have_count(1)
    until(lambda: newest(api, "reports/asking").input_value == {"who": "me"}, seconds=60)


def test_hostile_names_and_values_stay_text(show: Open, api: Client) -> None:
    execution_id = run(api, "hostile")
    page = show("flows")
    expect(row(page, HOSTILE)).to_be_visible()
    check(page, "hostile")
    button(page, "Run with inputs…").click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Executions").first.click()
    row(page, "hostile").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(execution_id))
    expect(page.get_by_role("log")).to_contain_text(HOSTILE)
    expect(page.locator(".cloudo-values dt").filter(has_text=HOSTILE)).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("alert(2)").first).to_be_visible()
    assert page.locator("img").count() == 0


def test_light_and_dark_follow_the_system_and_the_button_which_is_remembered(show: Open) -> None:
    page = show("flows")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    button(page, "Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload(wait_until="commit")
    ready(page)
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_a_narrow_window_needs_no_sideways_scrolling(show: Open, api: Client) -> None:
    execution_id = run(api, "hostile")
    page = show("flows")
    page.set_viewport_size({"width": 390, "height": 844})
    for view in ("Flows", "Executions"):  # for those of schedules see test_dashboard_schedules
        page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()
        expect(page.locator("tbody tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(f"a[href$='{execution_id}']").first.click()
    expect(page.locator(".cloudo-facts")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_shell_is_painted_before_the_kernel_is_there(context: BrowserContext, server: RunningServer) -> None:
    page = context.new_page()
    page.route("**/voila/static/**", lambda route: route.abort())
    page.goto(f"{server.url}cloudo/executions", wait_until="domcontentloaded")
    expect(page).to_have_title("Executions · Cloudo")
    expect(page.locator(".cloudo-skeleton")).to_be_visible()
    expect(page.get_by_role("link", name="Executions")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Flows").click()
    assert page.url.endswith("cloudo/flows")
    expect(page.get_by_role("heading", level=1)).to_have_text("Flows")


def test_strangers_are_sent_to_the_login(server: RunningServer) -> None:
    one = "01900000-0000-7000-8000-000000000000"
    lists = ("flows", "executions", "schedules", "messages", "webhooks", "tokens")
    for path in ("", *lists, *(f"{name}/{one}" for name in lists[1:5])):
        reply = httpx.get(f"{server.url}cloudo/{path}")
        assert reply.status_code == 302
        assert "/login?next=" in reply.headers["location"]
    reply = httpx.get(f"{server.url}cloudo?token={server.token}", follow_redirects=True)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"


# --- kernels -----------------------------------------------------------------------------------------


def test_closed_pages_leave_no_kernel(context: BrowserContext, server: RunningServer) -> None:
    before = kernels(server)
    tokens = set(server.runtime.glob("cloudo-*/*"))
    for turn in range(10):
        page = context.new_page()
        page.goto(f"{server.url}cloudo/", wait_until="commit")
        if turn % 3:  # the others are closed while they still start
            ready(page)
        if turn % 3 < 2:
            page.goto("about:blank")  # what closing a tab does, too: the page says goodbye
        page.close()  # as a crash does: without a word
    until(lambda: kernels(server) <= before, seconds=90, what=lambda: f"Kernels are left: {kernels(server) - before}")
    until(lambda: set(server.runtime.glob("cloudo-*/*")) <= tokens, seconds=10)


def test_the_token_of_a_page_is_in_a_file_for_the_owner_alone(show: Open, server: RunningServer) -> None:
    show()
    files = list(server.runtime.glob("cloudo-*/*"))
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_page_says_that_its_kernel_has_ended(context: BrowserContext, server: RunningServer) -> None:
    page = context.new_page()
    page.goto(f"{server.url}cloudo/", wait_until="commit")
    ready(page)
    kernel = page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    httpx.delete(f"{server.url}api/kernels/{kernel}", headers={"Authorization": f"token {server.token}"})
    expect(page.get_by_text("kernel has ended")).to_be_visible(timeout=40_000)
    button(page, "Reload").click()
    ready(page)
    expect(page.locator("tbody tr").first).to_be_visible()


@pytest.mark.parametrize(("place", "is_ready"), [("lab/tree/", "Cloudo | Idle"), ("notebooks/", "Trusted")])
def test_the_same_widget_works_in_jupyterlab_and_in_notebook(
    context: BrowserContext, server: RunningServer, place: str, is_ready: str
) -> None:
    shutil.copy(Path(__file__).parents[2] / "notebooks" / "dashboard.ipynb", server.workspace / "dashboard.ipynb")
    page = context.new_page()
    page.goto(f"{server.url}{place}dashboard.ipynb")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=BOOT)
    expect(page.get_by_text(is_ready).first).to_be_visible(timeout=BOOT)
    page.get_by_role("menuitem", name="Run").click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(row(page, "reports/asking")).to_be_visible(timeout=BOOT)
    cells = page.locator(".jp-Notebook .jp-CodeCell").count()
    row(page, "reports/asking").focus()
    page.keyboard.press("Space")
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == cells  # `d d` in the dashboard deletes none
    button(page, "Run with inputs…").click()
    page.locator(".cloudo-dialog").get_by_label("who", exact=True).fill("lab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    page.get_by_role("link", name="Show executions").click()
    expect(row(page, "reports/asking")).to_contain_text("Success", timeout=RUN)
    page.get_by_role("link", name="Schedules").click()
    expect(page.get_by_text("No schedules yet")).to_be_visible()
    expect(page.get_by_text("Jupyter news")).to_have_count(0)  # nobody is asked, and nothing is fetched
    page.close()


# --- the page side's source --------------------------------------------------------------------------


def test_the_script_is_small_and_the_names_of_its_modules_do_not_meet() -> None:
    folder = Path(page_source.__file__).parent
    # What every page loads; what is needed later comes later, each part in one reply of the kernel.
    assert len(page_source.script().encode()) < 100_000
    for part in page_source.LATER:
        assert len(page_source.later(part).encode()) < 50_000
    texts = [path.read_text() for path in folder.glob("*.js")]
    names = re.findall(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", "\n".join(texts), re.MULTILINE)
    assert len(names) == len(set(names))
    for text in texts:
        assert "innerHTML" not in text.replace("assigns innerHTML", "")


def test_the_statuses_of_the_page_are_those_of_the_records() -> None:
    words = (Path(page_source.__file__).parent / "words.js").read_text()
    block = words.partition("STATUSES = {")[2].partition("}")[0]
    assert re.findall(r"(\w+):", block) == list(Status)


def test_no_script_runs_that_was_smuggled_into_the_page(show: Open, wrong: list[str]) -> None:
    page = show()
    page.evaluate("""() => {
        window.smuggled = [];
        const place = document.createElement("div");
        document.body.append(place);
        place.innerHTML = '<img src="/no-such" onerror="smuggled.push(1)"><b onclick="smuggled.push(2)">x</b>';
        place.querySelector("b").click();
        const sources = { textContent: "smuggled.push(3)", src: "data:text/javascript,smuggled.push(4)" };
        for (const [name, value] of Object.entries(sources)) {
            const script = document.createElement("script");
            script[name] = value;
            place.append(script);
        }
        return fetch("/no-such");
    }""")
    # `evaluate` has the browser's messages delivered.
    until(lambda: page.evaluate("true") and len([one for one in wrong if "Content Security Policy" in one]) == 4)
    assert page.evaluate("smuggled") == []
    # Each refusal is told in the console, and so is what is not there; nothing else may have gone wrong.
    assert not [one for one in wrong if not re.search("Content Security Policy|404", one)]
    wrong.clear()
