"""Schedules are made from the arrow beside Play, and from the page of a flow, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import Status
from tests.acceptance.page import RUN, Open, button, check, newest, row
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    for name in ("reports/one", "reports/two"):
        write_flow(workspace, name, "n", parameters="n: int = 1  # how many")
    write_flow(workspace, "Delayed", "1 / 0", parameters="flow_name: str | list[str]")  # wins over the library's
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def no_schedules(api: Client) -> None:
    for schedule in api.schedules().items:
        api.delete_schedule(schedule.id)
    for asked in api.messages(unanswered=True).items:
        api.delete_message(asked.id)


def choose(page: Page, word: str) -> None:
    """Choose from the arrow's menu."""
    button(page, "Schedule or customise").click()
    page.get_by_role("menuitem", name=word, exact=True).click()


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def test_the_arrow_leads_to_the_question_and_the_schedule_stands_in_both_views(show: Open, api: Client) -> None:
    page = show("flows")
    check(page, "reports/one")
    choose(page, "Run daily…")
    expect(dialog(page).get_by_label("Flow", exact=True)).to_be_focused(timeout=RUN)
    expect(dialog(page).get_by_label("Flow", exact=True)).to_have_value("reports/one")
    own_zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    expect(dialog(page).get_by_label("Time zone")).to_have_value(own_zone)
    coming = dialog(page).get_by_role("status", name="Next times")
    expect(coming).to_contain_text("daily at 08:30")
    expect(coming.locator("tbody tr")).to_have_count(10)
    dialog(page).get_by_label("Time zone").fill("Europe/Nowhere")
    expect(coming).to_contain_text("There is no time zone 'Europe/Nowhere'")
    dialog(page).get_by_label("Time zone").press("Enter")
    expect(dialog(page).locator(".cloudo-field").filter(has_text="Time zone")).to_contain_text(
        "'timezone' takes the IANA name of a time zone", timeout=RUN
    )
    expect(dialog(page).get_by_label("Time zone")).to_be_focused()
    dialog(page).get_by_label("Time zone").fill("Asia/Tokyo")
    dialog(page).get_by_label("Time of day").fill("07:15:00")
    expect(coming.get_by_role("columnheader")).to_have_text(["Next (Asia/Tokyo)", f"Your time ({own_zone})"])
    expect(coming.locator("tbody tr").first).to_contain_text("07:15")
    dialog(page).get_by_label("Time of day").press("Enter")
    toast = page.locator(".cloudo-toast").filter(has_text="Scheduled: next")
    expect(toast).to_contain_text(re.compile(r"next \w{3} \d+ \w{3} 07:15 \(Asia/Tokyo\)"), timeout=RUN)
    made = api.schedules().items[0]
    assert (made.flow_name, made.trigger.daily_at) == ("reports/one", "07:15")
    expect(row(page, "reports/one").locator("td.cloudo-col-next time")).to_have_attribute("datetime", re.compile("^20"))
    toast.get_by_role("link", name="Show schedule").click()
    expect(page).to_have_url(re.compile(f"schedules/{made.id}$"))
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Schedules").click()
    line = row(page, "reports/one")
    expect(line).to_contain_text("Active")
    expect(line).to_contain_text("Asia/Tokyo")
    expect(line).to_contain_text("no runs yet")


def test_several_checked_flows_get_one_question_and_one_schedule_each(show: Open, api: Client) -> None:
    page = show("flows")
    check(page, "reports/one", "reports/two")
    choose(page, "Schedule run…")
    expect(dialog(page)).to_contain_text("Schedule run", timeout=RUN)
    expect(dialog(page).get_by_role("group", name="Flow").get_by_label("reports/two")).to_be_checked(timeout=RUN)
    dialog(page).get_by_label("Or after", exact=True).fill("1")
    dialog(page).get_by_label("Unit of Or after").select_option("days")
    button(dialog(page), "Schedule").click()
    for name in ("reports/one", "reports/two"):
        expect(page.locator(".cloudo-toast").filter(has_text=f"Scheduled {name}: next")).to_be_visible(timeout=RUN)
    assert sorted(one.flow_name for one in api.schedules().items) == ["reports/one", "reports/two"]
    assert {one.trigger.delay_seconds for one in api.schedules().items} == {86_400}


def test_cancelling_the_dialog_leaves_nothing_behind(show: Open, api: Client) -> None:
    page = show("flows")
    check(page, "reports/one")
    choose(page, "Schedule run…")
    expect(button(dialog(page), "Schedule")).to_be_visible(timeout=RUN)
    asking = newest(api, "Scheduled")
    button(dialog(page), "Cancel").click()
    expect(dialog(page)).to_have_count(0)
    until(lambda: api.execution(asking.id).is_ended, seconds=60)
    assert api.execution(asking.id).status is Status.ENDED_CANCELLED
    until(lambda: api.messages(execution_id=asking.id).items == (), seconds=60)
    assert api.schedules().items == ()
    expect(page.get_by_text("Input requests")).to_have_count(0)


def test_three_flows_have_their_inputs_side_by_side_and_recur_with_a_unit(
    show: Open, api: Client, server: RunningServer
) -> None:
    write_flow(server.workspace, "reports/needs", "1", parameters="region: str  # where\ntop: int = 3")
    page = show("flows")
    check(page, "reports/one", "reports/two", "reports/needs")
    choose(page, "Run recurring…")
    forms = dialog(page).get_by_role("group", name="Inputs").get_by_role("group")
    expect(forms).to_have_count(3, timeout=RUN)
    boxes = [forms.nth(number).bounding_box() for number in range(3)]
    assert len({box and box["y"] for box in boxes}) == 1
    assert len({box and box["x"] for box in boxes}) == 3
    dialog(page).get_by_label("Repeat every", exact=True).fill("0")
    button(dialog(page), "Schedule").click()
    needs = dialog(page).get_by_role("group", name="needs")
    expect(needs.get_by_text("This is required.")).to_be_visible()
    needs.get_by_label("region").fill("north")
    needs.get_by_label("top").fill("4")
    dialog(page).get_by_role("group", name="one").get_by_label("n").fill("7")
    button(dialog(page), "Schedule").click()
    every = dialog(page).get_by_label("Repeat every", exact=True)
    expect(dialog(page).locator(".cloudo-field").filter(has_text="Repeat every").first).to_contain_text(
        "'interval' takes a duration"
    )
    expect(every).to_be_focused()
    assert api.schedules().items == ()
    every.fill("2")
    dialog(page).get_by_label("Unit of Repeat every").select_option("hours")
    button(dialog(page), "Schedule").click()
    expect(dialog(page)).to_have_count(0, timeout=RUN)
    made = {one.flow_name: one for one in api.schedules().items}
    assert {name: one.inputs for name, one in made.items()} == {
        "reports/one": {"n": 7},
        "reports/two": {},
        "reports/needs": {"region": "north", "top": 4},
    }
    assert {one.trigger.every_seconds for one in made.values()} == {7200}
    for schedule in made.values():
        api.delete_schedule(schedule.id)
    (server.workspace / "flows" / "reports" / "needs.ipynb").unlink()


def test_what_goes_wrong_while_a_flow_asks_for_the_time_is_said(show: Open) -> None:
    page = show("flows")
    check(page, "reports/one")
    choose(page, "Run with delay…")
    banner = page.get_by_role("alert").filter(has_text="Delayed: ZeroDivisionError")
    expect(banner).to_be_visible(timeout=RUN)
    button(banner, "Show execution").click()
    expect(page.get_by_label("Error", exact=True)).to_contain_text("ZeroDivisionError")


def test_customise_asks_copies_a_library_flow_once_and_links_to_the_copy(show: Open, server: RunningServer) -> None:
    page = show("flows")
    copy = server.workspace / "flows" / "Recurring.ipynb"
    choose(page, "Customise Recurring…")
    expect(button(dialog(page), "Create a copy")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    assert not copy.exists()
    choose(page, "Customise Recurring…")
    button(dialog(page), "Create a copy").click()
    toast = page.locator(".cloudo-toast")
    expect(toast.filter(has_text="was copied into the workspace")).to_be_visible()
    expect(toast.get_by_role("link", name="Open")).to_have_attribute(
        "href", re.compile("/lab/tree/flows/Recurring.ipynb$")
    )
    copy.write_text(copy.read_text().replace("Run recurring", "Mine"))
    choose(page, "Customise Recurring…")
    expect(toast.filter(has_text="is already in the workspace")).to_be_visible()
    assert "Mine" in copy.read_text()
    choose(page, "Use the shipped Recurring…")
    expect(dialog(page)).to_contain_text("flows/Recurring.ipynb, is deleted with your changes")
    page.keyboard.press("Escape")
    assert copy.exists()
    choose(page, "Use the shipped Recurring…")
    button(dialog(page), "Delete my copy").click()
    expect(toast.filter(has_text="The menu runs the shipped Recurring again.")).to_be_visible()
    assert not copy.exists()
    button(page, "Schedule or customise").click()
    expect(page.get_by_role("menuitem", name="Use the shipped Recurring…")).to_have_count(0)
    page.keyboard.press("Escape")


def test_the_menu_is_used_by_keyboard_alone(show: Open, api: Client) -> None:
    page = show("flows")
    page.get_by_label("Select all").focus()
    arrow = button(page, "Schedule or customise")
    arrow.press("ArrowDown")
    item = page.get_by_role("menuitem", name="Schedule run…")
    expect(item).to_be_focused()
    expect(item).to_have_attribute("aria-disabled", "true")
    expect(arrow).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Enter")  # nothing is checked: it stays where it is
    expect(item).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Use the shipped Delayed…")).to_be_focused()  # the workspace has its own
    page.keyboard.press("ArrowDown")
    expect(item).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_role("menuitem", name="Run recurring…")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(arrow).to_be_focused()
    row(page, "reports/two").press("Space")
    arrow.press("Enter")
    expect(item).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_label("Flow", exact=True)).to_be_focused(timeout=RUN)
    dialog(page).get_by_label("Time zone").press("Enter")
    until(lambda: [one.flow_name for one in api.schedules().items] == ["reports/two"], seconds=60)
    expect(dialog(page)).to_have_count(0, timeout=RUN)
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Schedules").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Schedules")
    row(page, "reports/two").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("reports/two")
    button(page, "Pause").press("Enter")
    expect(button(page, "Resume")).to_be_focused()


def test_a_flow_s_page_creates_a_schedule_of_the_flow(show: Open, api: Client) -> None:
    page = show("flows/reports/one")
    button(page, "New schedule").click()
    expect(dialog(page).get_by_label("Flow", exact=True)).to_have_value("reports/one")
    dialog(page).get_by_role("group", name="Inputs").get_by_label("n", exact=True).fill("5")
    dialog(page).get_by_label("Time of day").fill("07:15")
    button(dialog(page), "Create").click()
    expect(page.get_by_role("region", name="Schedules")).to_contain_text("daily at 07:15")
    [made] = api.schedules().items
    assert (made.flow_name, made.inputs, made.name) == ("reports/one", {"n": 5}, "reports/one")


def top(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"]


def test_next_times_that_come_late_do_not_move_what_is_below(show: Open) -> None:
    page = show("flows/reports/one")
    held: list[Route] = []
    page.route("**/schedule/preview", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright reads its signature
    button(page, "New schedule").click()
    expect(dialog(page).get_by_role("group", name="Inputs").get_by_label("n", exact=True)).to_be_visible()
    below = dialog(page).locator("summary")
    before = top(below)
    until(lambda: page.evaluate("1") and held)
    for route in held:
        route.continue_()
    expect(dialog(page).get_by_label("Preview").locator("tbody tr")).to_have_count(10)
    assert abs(top(below) - before) < 30
