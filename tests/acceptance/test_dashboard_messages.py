"""Messages in the dashboard: forms are answered in a real browser, from real runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import CreateMessage, ExecutionFilter, StartExecution, Status
from tests.acceptance.page import HOSTILE, RUN, Open, button, newest
from tests.flows import write_flow, write_script
from tests.original_scripts import asking
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
    expect(page.get_by_label("Input requests")).to_have_count(0)
    started = api.start_execution(StartExecution(flow_name="asks a form"))
    expect(page.get_by_role("heading", name="1 input request")).to_be_visible(timeout=RUN)
    asked = message(page, "Details?")
    asked.locator("summary").press("Enter")
    expect(asked.locator(".cloudo-told em")).to_have_text("report")
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
    expect(page.get_by_label("Input requests")).to_have_count(0)
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
def test_flows_inputs_durations_zones_and_times_are_asked(show: Open, api: Client, server: RunningServer) -> None:
    write_flow(server.workspace, "forms/needs", "1", parameters="region: str  # where\ntop: int = 3")
    write_flow(server.workspace, "forms/other", "1", parameters="n: int = 1")
    body = {
        "properties": {
            "which": {"element": "flow", "label": "Flow"},
            "inputs": {"element": "inputs", "label": "Inputs"},
            "delay": {"element": "duration", "label": "Delay", "minimum": 60, "default": "10m"},
            "zone": {"element": "timezone", "label": "Zone"},
            "when": {"element": "trigger", "label": "Times", "enum": ["daily_at", "cron"]},
        },
        "required": ["which", "delay"],
    }
    asked = api.message(ask(api, "Which flow?", body=body))
    page = show(f"messages/{asked.id}")
    own_zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    inputs = page.get_by_role("group", name="Inputs")
    expect(inputs).to_contain_text("Choose a flow first.")
    expect(page.get_by_label("Zone", exact=True)).to_have_value(own_zone)
    which = page.get_by_label("Flow", exact=True)
    which.fill("forms/")
    expect(page.locator("datalist option[value='forms/needs']")).to_have_count(1)
    which.fill("forms/other")
    page.get_by_label("Delay", exact=True).focus()
    expect(inputs.get_by_label("n", exact=True)).to_have_value("1")
    which.fill("forms/needs")
    page.get_by_label("Delay", exact=True).focus()
    expect(inputs.get_by_label("top")).to_have_value("3")
    expect(inputs.get_by_label("n", exact=True)).to_have_count(0)
    expect(page.get_by_label("Unit of Delay").locator("option:checked")).to_have_text("minutes")
    times = page.get_by_role("group", name="Times")
    expect(times.get_by_label("Runs", exact=True).locator("option")).to_have_text(["Never", "Every day", "Cron"])
    expect(times.get_by_label("Time zone")).to_have_count(0)
    times.get_by_label("Runs", exact=True).select_option("cron")
    times.get_by_label("Cron expression").fill("15 7 * * mon")
    times.get_by_label("Time zone").fill("Asia/Tokyo")
    preview = times.get_by_role("status", name="Next times")
    expect(preview).to_contain_text("(at 07:15 on Monday)")
    expect(preview.get_by_role("columnheader")).to_have_text(["Next (Asia/Tokyo)", f"Your time ({own_zone})"])
    button(page, "Send").click()
    expect(inputs.get_by_text("This is required.")).to_be_visible()
    expect(inputs.get_by_label("region")).to_be_focused()
    inputs.get_by_label("region").fill("north")
    page.get_by_label("Delay", exact=True).fill("0")
    page.get_by_label("Zone", exact=True).fill("Europe/Nowhere")
    button(page, "Send").click()
    expect(page.get_by_text("'delay' takes a duration such as 90 (seconds), 10m or 1h30m, at least")).to_be_visible()
    expect(page.get_by_text("There is no time zone 'Europe/Nowhere'")).to_be_visible()
    page.get_by_label("Delay", exact=True).fill("1.5")
    page.get_by_label("Unit of Delay").select_option("hours")
    page.get_by_label("Zone", exact=True).fill("Europe/Vienna")
    button(page, "Send").click()
    expect(page.locator(".cloudo-toast").filter(has_text="Answered: Which flow?")).to_be_visible()
    assert api.message(asked.id).response == {
        "which": "forms/needs",
        "inputs": {"region": "north"},
        "delay": 5400,
        "zone": "Europe/Vienna",
        "when": {"cron": "15 7 * * mon", "timezone": "Asia/Tokyo"},
    }
    expect(page.get_by_role("region", name="Answer", exact=True)).to_contain_text("1 h 30 min")


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
    expect(page.get_by_label("Input requests")).to_have_count(0)
    [waiting] = api.executions(ExecutionFilter(parent_id=started.id)).items
    assert api.wait(waiting.id, timeout=timedelta(minutes=1)).message == "started reports/quick"
    [run] = api.executions(ExecutionFilter(parent_id=waiting.id)).items
    assert run.name == "later reports/quick"


@pytest.mark.usefixtures("no_messages")
def test_a_dialog_stays_while_another_execution_waits_for_its_answer(
    show: Open, api: Client, server: RunningServer
) -> None:
    """The workspace's flow asks as those of the original do, and ends before it is answered."""
    own = write_script(server.workspace, "Delayed", asking("later", name="Delayed"))
    page = show("flows")
    page.get_by_label("Select reports/quick", exact=True).check()
    for button_name, status in (("Begin", Status.ENDED_SUCCESS), ("Cancel", Status.ENDED_CANCELLED)):
        button(page, "Schedule or customise").click()
        page.get_by_role("menuitem", name="Run with delay…", exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Flow", exact=True)).to_have_value("reports/quick", timeout=RUN)
        toast = page.locator(".cloudo-toast").filter(has_text="Delayed: asked")
        expect(toast).to_be_visible(timeout=RUN)
        button(dialog, button_name).click()
        expect(dialog).to_have_count(0)
        asked = newest(api, "Delayed")
        until(lambda asked=asked: api.execution(asked.id).is_ended, seconds=60)  # type: ignore[misc]  # mypy cannot infer it
        assert api.execution(asked.id).status is status
        assert api.messages(unanswered=True).items == ()
        button(toast, "Dismiss").click()
    own.unlink()


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
    expect(page.get_by_role("heading", name="2 input requests")).to_be_visible()
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
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    third = ask(api, "On its own page", message="Read this.")
    button(show(f"messages/{third}"), "OK").press("Enter")
    expect(page.get_by_text("Answered by")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()


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
    asked = message(page, HOSTILE).first
    asked.locator("summary").click()
    expect(asked.locator(".cloudo-told").first).to_contain_text("<b>bold</b> [a](javascript:alert(3))")
    expect(asked.locator(".cloudo-answer").get_by_role("button")).to_contain_text(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = page.locator(".cloudo-messages").bounding_box()
    for control in asked.locator(".cloudo-answer :is(.cloudo-control, button)").all():
        box = control.bounding_box()
        assert inside
        assert box
        assert box["x"] + box["width"] <= inside["x"] + inside["width"]
    assert page.locator("main img").count() == 0
    asked.locator(".cloudo-answer").get_by_role("button").click()
    expect(page.locator(".cloudo-toast")).to_contain_text(HOSTILE)
