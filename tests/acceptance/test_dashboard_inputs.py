"""The form of a flow that names no inputs, wherever it stands, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from cloudo_kernel.client import Client
from tests.acceptance.page import RUN, Open, button, check, newest, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "any", "this.set_output('got', this.get('input_value'))")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def add(form: Page | Locator, at: int, name: str, kind: str, value: str = "") -> None:
    button(form, "Add an input").click()
    form.get_by_label(f"Name of input {at}").fill(name)
    form.get_by_label(f"Type of input {at}").select_option(kind)
    if value:
        form.get_by_label(f"Value of input {at}").fill(value)


def ended(api: Client, before: str | None = None) -> Any:
    def newer() -> bool:
        found = newest(api, "any")
        return bool(found.id != before and found.is_ended)

    until(newer, seconds=60)
    return api.execution(newest(api, "any").id).output_value["got"]


def test_rows_yaml_and_a_start_by_keyboard(show: Open, api: Client) -> None:
    page = show("flows/any")
    keys = page.keyboard
    button(page, "Add an input").focus()
    keys.press("Enter")
    expect(page.get_by_label("Name of input 1")).to_be_focused()
    keys.type("region")
    keys.press("Tab")
    keys.press("Tab")
    keys.type("north")
    add(page, 2, "top", "number", "many")
    add(page, 3, "top", "list", "a\n2")
    add(page, 4, "on", "boolean")
    page.get_by_label("Value of input 4").select_option("true")
    add(page, 5, "none", "null")
    add(page, 6, "map", "object", '{"k": [1]}')
    button(page, "Run").click()
    expect(page.get_by_text("Enter a number, such as 1.5.")).to_be_visible()
    expect(page.get_by_text("There is another input top.")).to_be_visible()
    expect(page.get_by_label("Value of input 2")).to_be_focused()
    expect(page.get_by_label("Value of input 2")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Name of input 3")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Value of input 2").fill("3")
    button(page, "Edit as YAML").click()
    expect(page.get_by_text("Some inputs are missing or invalid.")).to_be_visible()
    button(page, "Remove input 3").focus()
    keys.press("Enter")
    expect(button(page, "Add an input")).to_be_focused()
    button(page, "Edit as YAML").click()
    yaml = page.get_by_label("Inputs as YAML")
    expect(yaml).to_have_value("region: north\ntop: 3\non: true\nnone: null\nmap:\n  k:\n    - 1\n")
    yaml.fill("region: south\ntop: [")
    expect(page.get_by_text("Line 2: did not find expected node content.")).to_be_visible()
    button(page, "Edit as rows").click()
    expect(yaml).to_be_visible()
    yaml.fill("region: south\ntop: [1, no]")
    button(page, "Edit as rows").click()
    expect(page.get_by_label("Value of input 2")).to_have_value("1\nno")
    expect(page.get_by_label("Type of input 2")).to_have_value("list")
    button(page, "Edit as YAML").click()
    yaml.fill("region: west\nday: 2026-03-31")
    button(page, "Run").click()
    expect(page.get_by_role("region", name="Outputs")).to_contain_text("west", timeout=RUN)
    assert ended(api) == {"region": "west", "day": "2026-03-31"}


def test_run_with_inputs_and_run_again_have_the_same_form(show: Open, api: Client) -> None:
    first = run(api, "any", a=[1, "1"], b={"c": None})
    page = show(f"executions/{first}")
    button(page, "Run again with changes…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name of input 2")).to_have_value("b")
    add(dialog, 3, "d", "text", "new")
    button(dialog, "Run again").click()
    expect(dialog).to_be_hidden()
    assert ended(api, first) == {"a": [1, "1"], "b": {"c": None}, "d": "new"}
    second = newest(api, "any").id
    page = show("flows")
    check(page, "any")
    button(page, "Run with inputs…").click()
    add(dialog, 1, "by", "text", "hand")
    button(dialog, "Play 1 flow").click()
    expect(dialog).to_be_hidden()
    assert ended(api, second) == {"by": "hand"}


def test_a_schedule_takes_rows_and_yaml(show: Open, api: Client) -> None:
    page = show("flows/any")
    button(page, "New schedule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Time of day").fill("07:15")
    button(dialog, "Edit as YAML").click()
    dialog.get_by_label("Inputs as YAML").fill("n: 5")
    button(dialog, "Create").click()
    expect(dialog).to_be_hidden()
    [made] = api.schedules().items
    assert made.inputs == {"n": 5}
