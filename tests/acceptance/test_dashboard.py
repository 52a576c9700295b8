"""The dashboard as a reader uses it: a real server, real kernels, a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import ExecutionFilter, Origin, StartExecution, Status
from tests.acceptance.page import RUN, Open, button, check, newest, row, run
from tests.flows import write_flow
from tests.server import RunningServer, until

pytestmark = pytest.mark.timeout(240)

expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(flows_server: RunningServer) -> RunningServer:
    return flows_server


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


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
    assert newest(api, "reports/quick").trigger is Origin.UI


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
    expect(dialog.get_by_text("This is required.")).to_be_visible()
    expect(dialog.get_by_text("Enter a whole number")).to_be_visible()
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
    expect(page.get_by_text("No matching flows")).to_be_visible()
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
    lists: list[str] = []
    page.on("request", lambda request: lists.append(request.url) if "/flow?" in request.url else None)

    def come_back() -> None:
        with page.expect_response(lambda reply: "runs=false" in reply.url):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    for name in ("brand new", "even newer"):
        write_flow(server.workspace, name, "1")
        come_back()
        expect(row(page, name)).to_be_visible()
    seen = len(lists)
    come_back()
    page.wait_for_timeout(500)
    assert len(lists) == seen + 1, "nothing is new, but the list was fetched"


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
    button(page, "Run again").click()
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    again = newest(api, "endless")
    assert again.retry_of == started.id
    api.cancel_execution(again.id)
    button(page, "Delete").click()
    button(page.get_by_role("dialog"), "Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Executions"))
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
    expect(button(page, "Run again")).to_have_count(0)
    until(lambda: api.execution(started.id).progress.cell, seconds=60)
    button(page, "Pause").press("Enter")
    expect(page.locator(".cloudo-toast")).to_contain_text("Pausing after the current cell.")
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
    expect(button(page, "Run again")).to_be_disabled()
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
    button(page, "Run again").click()
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
    until(lambda: api.execution(started.id).log[-1].text == "line 1199.", seconds=60)
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
    expect(page.get_by_text("No matching executions")).to_be_visible()
    assert page.url.endswith("executions?status=PAUSED")
