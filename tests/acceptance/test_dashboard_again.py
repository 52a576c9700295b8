"""Running an execution again with changes, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import ExecutionFilter, StartExecution, Status
from tests.acceptance.page import RUN, Open, button, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)

PARAMETERS = (
    "who: str  # whom to greet\ntimes: int = 1\nkey: str = 'none'\nday: str | None = 'monday'\n"
    "names: list[str] = ['a', 'b']\nloud: bool = False"
)
FAILS = "assert key == 'right', 'the key is wrong'\nthis.set_output('said', [who * times, day, names, loud])"


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "greet", FAILS, parameters=PARAMETERS, metadata={"protect_inputs": ["key"]})
    write_flow(workspace, "gone", "1")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def opened(page: Page) -> Locator:
    button(page, "Run again with changes…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def number(api: Client) -> int:
    return len(api.executions(ExecutionFilter(flow_name="greet"), limit=500).items)


def test_a_failure_is_run_again_with_its_inputs_changed(show: Open, api: Client) -> None:
    inputs = {"who": "Ada", "times": 2, "key": "wrong1", "day": None, "names": ["x", "y"], "loud": True}
    failed = run(api, "greet", **inputs)
    page = show(f"executions/{failed}")
    dialog = opened(page)
    field = {name: dialog.get_by_label(name, exact=True) for name in inputs}
    expect(field["who"]).to_have_value("Ada")
    expect(field["times"]).to_have_value("2")
    expect(field["names"]).to_have_value("x\ny")
    expect(field["loud"]).to_be_checked()
    expect(field["day"]).to_have_value("")
    expect(field["key"]).to_have_value("")
    field["times"].fill("3")
    button(dialog, "Run again").click()
    expect(dialog.get_by_text("This is required.")).to_be_visible()
    expect(field["key"]).to_be_focused()
    field["key"].fill("right")
    field["key"].press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="an earlier execution")).to_be_visible()
    again = page.url.rpartition("/")[2]
    assert again != failed
    until(lambda: api.execution(again).is_ended, seconds=60)
    record = api.execution(again)
    assert (record.status, record.retry_of) == (Status.ENDED_SUCCESS, failed), record.error
    assert record.output_value["said"] == ["AdaAdaAda", None, ["x", "y"], True]
    assert record.input_value["key"] == "•••"


def test_cancel_leaves_nothing_behind(show: Open, api: Client) -> None:
    page = show(f"executions/{run(api, 'greet', who='Ada')}")
    before = number(api)
    dialog = opened(page)
    dialog.get_by_label("who", exact=True).fill("Grace")
    dialog.get_by_label("who", exact=True).press("Escape")
    expect(dialog).to_be_hidden()
    expect(button(page, "Run again with changes…")).to_be_focused()
    button(opened(page), "Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert number(api) == before


def test_an_invalid_input_is_an_error_beside_its_field(show: Open, api: Client) -> None:
    page = show(f"executions/{run(api, 'greet', who='Ada')}")
    before = number(api)
    dialog = opened(page)
    dialog.get_by_label("times", exact=True).fill("many")
    button(dialog, "Run again").click()
    expect(dialog.get_by_text("Enter a whole number, such as 12.")).to_be_visible()
    expect(dialog.get_by_label("times", exact=True)).to_be_focused()
    assert number(api) == before


def test_a_script_is_run_again_and_a_deleted_flow_is_an_error(show: Open, api: Client, server: RunningServer) -> None:
    request = StartExecution(script="this.set_output('got', this.get('input_value'))", inputs={"a": 1})
    script = api.start_execution(request)
    until(lambda: api.execution(script.id).is_ended, seconds=60)
    page = show(f"executions/{script.id}")
    dialog = opened(page)
    dialog.get_by_label("Name of input 1").fill("b")
    button(dialog, "Run again").click()
    expect(page.get_by_role("region", name="Outputs")).to_contain_text("b", timeout=RUN)
    gone = run(api, "gone")
    (server.workspace / "flows" / "gone.ipynb").unlink()
    page = show(f"executions/{gone}")
    button(page, "Run again with changes…").click()
    expect(page.get_by_text("There is no flow 'gone'.")).to_be_visible()
