"""Schedules in the dashboard: listed, followed, changed and deleted in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import CreateSchedule, Overlap, Schedule, ScheduleTrigger
from tests.acceptance.page import RUN, Open, button, row
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)

HOSTILE = "<img src=x onerror=alert(1)>"
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    for name in ("reports/one", "reports/two"):
        write_flow(workspace, name, "n", parameters="n: int = 1  # how many")
    write_flow(workspace, "failing", "1 / 0")
    write_flow(workspace, "hostile", "1", metadata={"title": HOSTILE})
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def no_schedules(api: Client, only_page: Page) -> None:
    only_page.goto("about:blank")  # it would ask for a schedule in the moment of its deletion
    for schedule in api.schedules().items:
        api.delete_schedule(schedule.id)
    for asked in api.messages(unanswered=True).items:
        api.delete_message(asked.id)


def make(api: Client, flow_name: str = "reports/one", *, trigger: Any = None, **more: Any) -> Schedule:
    when = ScheduleTrigger(**(trigger or {"daily_at": "08:30"}))
    return api.create_schedule(CreateSchedule(flow_name=flow_name, trigger=when, timezone="Europe/Vienna", **more))


def test_checked_schedules_are_paused_resumed_run_and_deleted(show: Open, api: Client) -> None:
    ids = [make(api, name=name).id for name in ("first one", "second one")]
    done = make(api, "failing", trigger={"delay_seconds": 0}, name="third one").id
    until(lambda: api.schedule(done).last_occurrence, seconds=60)
    page = show("schedules")
    expect(row(page, "third one")).to_contain_text("Finished", timeout=RUN)
    for name in ("first one", "second one", "third one"):
        row(page, name).get_by_role("checkbox").check()
    button(page, "Pause").click()
    for name in ("first one", "second one"):
        expect(row(page, name)).to_contain_text("Paused")
    expect(row(page, "third one")).to_contain_text("Finished")
    expect(button(page, "Pause")).to_be_disabled()
    assert not any(api.schedule(one).enabled for one in ids)
    button(page, "Resume").click()
    expect(row(page, "first one")).to_contain_text("Active")
    button(page, "Run now").click()
    expect(page.get_by_text("Started 3 executions").first).to_be_visible()
    expect(row(page, "first one").get_by_label(re.compile("succeeded"))).to_have_count(1, timeout=RUN)
    expect(row(page, "third one").get_by_label(re.compile("failed"))).to_have_count(2, timeout=RUN)
    # What is gone meanwhile is said, and the others are deleted.
    api.delete_schedule(ids[0])
    expect(row(page, "first one")).to_have_count(0)
    row(page, "second one").get_by_role("checkbox").check()
    button(page, "Delete").click()
    button(page.get_by_role("dialog"), "Delete").click()
    expect(page.get_by_text("No schedules yet")).to_be_visible()
    assert api.schedules().items == ()
    page.get_by_role("link", name="Select a flow").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Flows")


def test_schedules_made_elsewhere_appear_and_are_filtered(show: Open, api: Client) -> None:
    make(api, name="the first")
    page = show("schedules")
    expect(page.locator("tbody tr")).to_have_count(1)
    made = make(api, "reports/two", name="made elsewhere")
    expect(row(page, "made elsewhere").locator(".cloudo-path")).to_have_text("reports/two")
    page.get_by_label("Filter schedules").fill("ELSEWHERE")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Filter schedules").fill("no such words")
    expect(page.get_by_text("No matching schedules")).to_be_visible()
    button(page, "Clear the filter").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    api.delete_schedule(made.id)
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_schedule_shows_its_times_and_its_past_with_links(show: Open, api: Client) -> None:
    made = make(api, "failing", inputs={}, name="the failing one")
    execution = api.trigger_schedule(made.id)
    until(lambda: api.execution(execution.id).is_ended, seconds=60)
    page = show(f"schedules/{made.id}")
    coming = page.get_by_role("region", name="Next runs")
    expect(coming.locator("tbody tr")).to_have_count(10)
    expect(coming.locator("tbody tr").first).to_contain_text("08:30")
    own_zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    expect(coming.get_by_role("columnheader")).to_have_text(["Europe/Vienna", f"Your time ({own_zone})"])
    past = page.get_by_role("region", name="Past runs")
    expect(past).to_contain_text("failed")
    expect(past).to_contain_text("out of turn")
    past.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"executions/{execution.id}$"))
    expect(page.locator(".cloudo-facts")).to_contain_text(re.compile(", schedule"))
    page.locator(".cloudo-facts").get_by_role("link", name="schedule", exact=True).click()
    expect(page).to_have_url(re.compile(f"schedules/{made.id}$"))
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Executions").click()
    expect(row(page, "failing").get_by_role("link", name="schedule", exact=True)).to_be_visible()


def test_a_missing_schedule_is_reported(show: Open) -> None:
    page = show("schedules/01900000-0000-7000-8000-000000000000")
    expect(page.get_by_text("This schedule does not exist")).to_be_visible()
    page.get_by_role("link", name="Show all schedules").click()
    expect(page.get_by_text("No schedules yet")).to_be_visible()


def test_a_schedule_is_changed_while_its_next_times_follow_what_is_typed(show: Open, api: Client) -> None:
    made = make(api, name="to be changed")
    page = show(f"schedules/{made.id}")
    button(page, "Edit").click()
    dialog = page.get_by_role("dialog")
    preview = dialog.get_by_label("Preview")
    expect(preview).to_contain_text("daily at 08:30")
    expect(preview.locator("tbody tr")).to_have_count(10)
    dialog.get_by_label("Runs", exact=True).select_option("cron")
    dialog.get_by_label("Cron expression").fill("0 0 31 2 *")
    expect(dialog.get_by_text("is never due")).to_be_visible()
    expect(dialog.get_by_label("Cron expression")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Cron expression").fill("15 7 * * mon")
    expect(preview).to_contain_text("cron 15 7 * * mon (at 07:15 on Monday)")
    dialog.get_by_label("Time zone").fill("Europe/Vienn")
    expect(dialog.get_by_text("There is no time zone")).to_be_visible()
    dialog.get_by_label("Time zone").fill("Asia/Tokyo")
    expect(preview).to_contain_text("(Asia/Tokyo)")
    own_zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    expect(preview.get_by_role("columnheader")).to_have_text(["Next (Asia/Tokyo)", f"Your time ({own_zone})"])
    number = dialog.get_by_role("group", name="Inputs").get_by_label("n", exact=True)
    number.fill("many")
    dialog.get_by_label("If a run is still in progress").select_option("queue")
    dialog.get_by_text("Limits, failures").click()
    dialog.get_by_label("Pause after this many failures in a row").fill("3")
    dialog.get_by_label("Maximum age of missed runs", exact=True).fill("2")
    dialog.get_by_label("Unit of Maximum age of missed runs").select_option("hours")
    button(dialog, "Save").click()
    expect(dialog.get_by_text("Enter a whole number, such as 12.")).to_be_visible()
    expect(number).to_be_focused()
    number.fill("3")
    dialog.get_by_label("On error").fill("reports/tow\nhttps://example.com/hook")
    button(dialog, "Save").click()
    expect(dialog.get_by_text("There is no flow 'reports/tow'")).to_be_visible()
    expect(dialog.get_by_label("On error")).to_be_focused()
    dialog.get_by_label("On error").fill('{"flow": "reports/two", "inputs": {"n": 4}}\nhttps://example.com/hook')
    dialog.get_by_label("On success").fill("[]")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    expect(button(page, "Edit")).to_be_focused()
    expect(page.locator(".cloudo-toast").filter(has_text="Saved")).to_contain_text("(Asia/Tokyo)")
    expect(page.locator(".cloudo-facts")).to_contain_text("cron 15 7 * * mon")
    changed = api.schedule(made.id)
    assert changed.trigger == ScheduleTrigger(cron="15 7 * * mon")
    assert (changed.timezone, changed.inputs, changed.overlap) == ("Asia/Tokyo", {"n": 3}, Overlap.QUEUE)
    assert (changed.pause_on_error_count, changed.name) == (3, "to be changed")
    assert changed.catch_up_window_seconds == 7200
    assert (changed.on_success, changed.on_recovery) == ((), None)
    expect(page.locator(".cloudo-facts")).to_contain_text("starts reports/two with n=4, calls https://example.com/hook")
    button(page, "Edit").click()
    expect(number).to_have_value("3")
    dialog.get_by_text("Limits, failures").click()
    expect(dialog.get_by_label("On success")).to_have_value("[]")
    dialog.get_by_label("On error").fill("")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    assert api.schedule(made.id).on_error is None


def test_what_is_unusual_takes_a_tick_and_what_is_not_touched_stays(show: Open, api: Client) -> None:
    made = make(
        api, trigger={"every_seconds": 7200, "wait": False, "start": "2026-01-01T00:00:00.123456Z"}, name="grid"
    )
    page = show(f"schedules/{made.id}")
    button(page, "Edit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Every", exact=True)).to_have_value("2")
    expect(dialog.get_by_label("Unit of Every").locator("option:checked")).to_have_text("hours")
    dialog.get_by_label("Maximum number of runs").fill("1000")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    kept = api.schedule(made.id)
    assert kept.max_iterations == 1000
    assert (kept.next_run, kept.start) == (made.next_run, made.start)
    button(page, "Edit").click()
    dialog.get_by_label("Runs", exact=True).select_option("at")
    dialog.get_by_label("Date and time").fill("2020-01-01T08:30")
    expect(dialog.get_by_label("Preview")).to_contain_text("is in the past: it runs at once")
    button(dialog, "Save").click()
    expect(dialog.get_by_label("Save anyway")).to_be_focused()
    dialog.get_by_label("Save anyway").check()
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    until(lambda: api.schedule(made.id).last_occurrence, seconds=60)


def test_a_schedule_is_created_with_the_form_of_its_flow(show: Open, api: Client, server: RunningServer) -> None:
    write_flow(server.workspace, "reports/needs", "1", parameters="region: str  # where\ntop: int = 3")
    page = show("schedules")
    button(page, "Create a schedule").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Flow", exact=True)).to_be_focused()
    button(dialog, "Create").click()
    expect(dialog.get_by_text("Choose a flow.", exact=True)).to_be_visible()
    dialog.get_by_label("Flow", exact=True).fill("reports/nedes")
    dialog.get_by_label("Name").focus()
    expect(dialog.get_by_text("There is no flow 'reports/nedes'. Did you mean 'reports/needs'")).to_be_visible()
    dialog.get_by_label("Flow", exact=True).fill("reports/needs")
    dialog.get_by_label("Name").fill("made here")
    inputs = dialog.get_by_role("group", name="Inputs")
    expect(inputs.get_by_label("top")).to_have_value("3")
    dialog.get_by_label("Runs", exact=True).select_option("every_seconds")
    dialog.get_by_label("Every", exact=True).fill("0")
    expect(dialog.get_by_text("greater than 0")).to_be_visible()
    expect(dialog.get_by_label("Every", exact=True)).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Every", exact=True).fill("90")
    dialog.get_by_label("Unit of Every").select_option("minutes")
    dialog.get_by_label("Measured from").select_option("false")
    expect(dialog.get_by_label("Preview").locator("tbody tr")).to_have_count(10)
    dialog.get_by_label("Missed runs", exact=True).select_option("none")
    button(dialog, "Create").click()
    expect(inputs.get_by_text("This is required.")).to_be_visible()
    expect(inputs.get_by_label("region")).to_be_focused()
    assert api.schedules().items == ()
    inputs.get_by_label("region").fill("north")
    button(dialog, "Create").click()
    expect(page.locator(".cloudo-toast").filter(has_text="Created made here: next")).to_be_visible()
    expect(row(page, "made here")).to_contain_text("Active")
    [made] = api.schedules().items
    assert (made.flow_name, made.inputs) == ("reports/needs", {"region": "north"})
    assert (made.trigger.every_seconds, made.trigger.wait, made.catch_up) == (5400, False, "none")
    assert made.timezone == page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    (server.workspace / "flows" / "reports" / "needs.ipynb").unlink()


def test_unchanged_inputs_stay_also_protected_ones_and_those_of_a_flow_that_is_gone(
    show: Open, api: Client, server: RunningServer
) -> None:
    path = write_flow(
        server.workspace,
        "guarded",
        "assert (pin, n) == (1234, 3)",
        parameters="pin: int\nn: int = 1",
        metadata={"protect_inputs": ["pin"]},
    )
    made = make(api, "guarded", inputs={"pin": 1234, "n": 1})
    page = show(f"schedules/{made.id}")
    button(page, "Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("group", name="Inputs").get_by_label("n", exact=True).fill("3")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    assert api.schedule(made.id).inputs == {"pin": "•••", "n": 3}
    assert api.wait(api.trigger_schedule(made.id).id).status == "ENDED_SUCCESS"
    path.unlink()
    button(page, "Edit").click()
    expect(dialog.get_by_role("group", name="Inputs")).to_contain_text("There is no flow 'guarded'")
    dialog.get_by_label("Name").fill("left over")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    assert (api.schedule(made.id).name, api.schedule(made.id).inputs) == ("left over", {"pin": "•••", "n": 3})


def test_a_schedule_whose_flow_keeps_failing_says_so(show: Open, api: Client) -> None:
    made = make(api, "failing", name="bad luck")
    page = show("schedules")
    api.wait(api.trigger_schedule(made.id).id)
    expect(row(page, "bad luck")).to_contain_text("last failed", timeout=RUN)
    expect(row(page, "bad luck").get_by_text("runs failed")).to_have_count(0)  # once may be chance
    api.wait(api.trigger_schedule(made.id).id)
    expect(row(page, "bad luck")).to_contain_text("last 2 runs failed", timeout=RUN)
    row(page, "bad luck").get_by_role("link").click()
    expect(page.locator(".cloudo-heading")).to_contain_text("last 2 runs failed")


def test_past_times_are_told_then_run_and_followed_by_keyboard(show: Open, api: Client) -> None:
    made = make(api, "reports/two", name="to be filled")
    page = show(f"schedules/{made.id}")
    button(page, "Backfill").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("From")).to_be_focused()
    expect(dialog.get_by_label("Preview")).to_have_text("7 runs (Europe/Vienna):")
    dialog.get_by_label("Before").fill("2035-01-01T00:00:00")
    expect(dialog.get_by_text("A backfill is for the past")).to_be_visible()
    expect(button(dialog, "Start")).to_be_disabled()
    dialog.get_by_label("From").fill("2026-01-05T00:00:00")
    dialog.get_by_label("Before").fill("2026-01-08T00:00:00")
    expect(dialog.get_by_label("Preview")).to_have_text("3 runs (Europe/Vienna):")
    texts = ["Mon 5 Jan 08:30", "Tue 6 Jan 08:30", "Wed 7 Jan 08:30"]
    expect(dialog.get_by_role("listitem")).to_have_text(texts)
    assert api.occurrences(made.id).items == ()
    dialog.get_by_label("Before").press("Enter")
    expect(dialog).to_have_count(0)
    panel = page.get_by_role("region", name="Backfill")
    expect(panel).to_contain_text("All 3 runs done.", timeout=RUN)
    expect(panel.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "3")
    past = page.get_by_role("region", name="Past runs")
    expect(past.get_by_text("succeeded")).to_have_count(3)
    expect(past.get_by_text(re.compile("backfilled by"))).to_have_count(3)
    assert [one.outcome for one in api.occurrences(made.id).items] == ["STARTED"] * 3
    button(page, "Backfill").click()
    dialog.get_by_label("From").fill("2026-01-05T00:00:00")
    dialog.get_by_label("Before").fill("2026-01-08T00:00:00")
    expect(dialog.get_by_text("No runs are left to backfill in this range.")).to_be_visible()
    page.keyboard.press("Escape")


def test_a_pinned_flow_stays_and_the_edit_form_says_so(show: Open, api: Client, server: RunningServer) -> None:
    write_flow(server.workspace, "moving", "this.set_output('version', 1)")
    made = make(api, "moving")
    page = show(f"schedules/{made.id}")
    button(page, "Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Limits, failures").click()
    dialog.get_by_label("Pin the current version of the flow").check()
    button(dialog, "Save").click()
    expect(page.locator(".cloudo-facts")).to_contain_text("pinned")
    write_flow(server.workspace, "moving", "this.set_output('version', 2)")
    run = api.wait(api.trigger_schedule(made.id).id)
    assert run.output_value == {"version": 1}
    button(page, "Edit").click()
    dialog.get_by_text("Limits, failures").click()
    dialog.get_by_label("Keep the pinned version of the flow").uncheck()
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    assert api.schedule(made.id).pin_source is False


def test_schedules_are_sorted_and_the_address_keeps_the_order(show: Open, api: Client) -> None:
    failing = make(api, "failing", name="b", trigger={"cron": "0 9 * * *"})
    make(api, "reports/two", name="a", trigger={"daily_at": "10:00"})
    make(api, "reports/one", name="c", trigger={"every_seconds": 3600, "start": "2035-01-01T00:00:00Z"})
    api.wait(api.trigger_schedule(failing.id).id)
    page = show("schedules")
    names = page.locator("tbody .cloudo-title")
    expect(names).to_have_text(["c", "a", "b"])
    for head, order in (
        ("Schedule", ["a", "b", "c"]),
        ("Past runs", ["b", "a", "c"]),
    ):
        button(page, head).click()
        expect(names).to_have_text(order)
        expect(page.get_by_role("columnheader", name=head)).to_have_attribute("aria-sort", "ascending")
    button(page, "Next run").click()
    expect(names.last).to_have_text("c")
    button(page, "Next run").click()
    expect(names.first).to_have_text("c")
    assert page.url.endswith("schedules?sort=-next")
    names.first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("c")
    page.go_back()
    expect(names.first).to_have_text("c")
    expect(page.get_by_role("columnheader", name="Next run")).to_have_attribute("aria-sort", "descending")


def test_a_hostile_name_stays_text_and_fits_a_narrow_window(show: Open, api: Client) -> None:
    long = "x" * 200
    made = make(api, "hostile", name=f"{HOSTILE} {long}", inputs={})
    page = show("schedules")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(row(page, "hostile")).to_contain_text(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    row(page, "hostile").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    button(page, "Edit").click()
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value(made.name)
    page.keyboard.press("Escape")
    button(page, "Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    assert page.locator("main img, dialog img").count() == 0
