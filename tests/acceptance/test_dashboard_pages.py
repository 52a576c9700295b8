"""The pages of one flow, home, settings and workers, in a real browser."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import BrowserContext, expect

from cloudo_kernel.cli.command import main as cli
from cloudo_kernel.client import Client
from cloudo_kernel.models import CreateSchedule, CreateWebhook, ScheduleTrigger, StartExecution, Status
from tests.acceptance.page import RUN, Open, button, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until
from tests.workers import end_worker, start_worker

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)
GREET = "this.set_output('said', f'{word} {name}')"


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    about = {"title": "Greets people", "tags": ["hello"], "description": "Says a word to someone."}
    write_flow(
        workspace, "people/greet", GREET, parameters="name: str  # whom to greet\nword = 'Hello'", metadata=about
    )
    write_flow(workspace, "failing", "1 / 0")
    write_flow(workspace, "asks", "system.message('Which region?', {'properties': {'region': {}}}).wait()")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def test_a_flow_is_run_from_its_own_page_which_shows_its_runs(show: Open, api: Client) -> None:
    page = show("flows")
    page.get_by_role("link", name="Greets people").click()
    expect(page).to_have_url(re.compile("/cloudo/flows/people/greet$"))
    expect(page).to_have_title("Greets people · Cloudo")
    expect(page.get_by_text("Says a word to someone.")).to_be_visible()
    expect(page.get_by_text("This flow has never run.")).to_be_visible()
    button(page, "Run").click()
    expect(page.get_by_text("This is required.")).to_be_visible()
    expect(page.get_by_label("name", exact=True)).to_be_focused()
    page.get_by_label("name", exact=True).fill("Ada")
    page.get_by_label("name", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("/cloudo/executions/"))
    expect(page.locator(".cloudo-panel").filter(has_text="Outputs")).to_contain_text("Hello Ada", timeout=RUN)
    page.locator(".cloudo-facts").get_by_role("link", name="people/greet").click()
    runs = page.get_by_role("region", name="Recent runs")
    expect(runs).to_contain_text("1 of the last 1 run succeeded")
    run(api, "people/greet", name="Grace")
    expect(runs.locator(".cloudo-run-bar")).to_have_count(2)
    runs.locator(".cloudo-run-bar").last.click()
    expect(page.locator(".cloudo-panel").filter(has_text="Inputs")).to_contain_text("Grace")


def test_a_flow_is_started_as_its_page_shows(show: Open, api: Client, server: RunningServer) -> None:
    page = show("flows/people/greet")
    page.get_by_label("name", exact=True).fill("it's me")
    button(page, "Copy as").click()
    page.get_by_role("menuitem", name="curl").click()
    line = page.get_by_role("dialog").locator("pre").inner_text()
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CLOUDO_TOKEN": server.token}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["input_value"] == {"name": "it's me"}
    page.keyboard.press("Escape")
    button(page, "Copy as").click()
    page.get_by_role("menuitem", name="Shell").click()
    expect(page.get_by_role("dialog").locator("pre")).to_have_text("cloudo run people/greet -p 'name=it'\\''s me'")


def test_what_starts_a_flow_and_its_source_are_on_its_page(show: Open, api: Client) -> None:
    trigger = ScheduleTrigger(daily_at="08:30")
    api.create_schedule(
        CreateSchedule(flow_name="people/greet", trigger=trigger, inputs={"name": "x"}, name="mornings")
    )
    api.create_webhook(CreateWebhook(name="hello", flow_name="people/greet", inputs={"name": "x"}))
    page = show("flows/people/greet")
    schedules = page.get_by_role("region", name="Schedules")
    expect(schedules).to_contain_text("daily at 08:30")
    expect(page.get_by_role("region", name="Webhooks").get_by_role("link", name="hello")).to_be_visible()
    button(page, "Show").click()
    expect(page.locator(".cloudo-source")).to_contain_text("this.set_output('said'")
    schedules.get_by_role("link", name="mornings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mornings")
    show("home").get_by_role("region", name="Next runs").get_by_role("link", name="mornings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mornings")


def test_related_flows_and_changes_of_the_source_are_on_the_page_of_a_flow(
    show: Open, api: Client, server: RunningServer
) -> None:
    follows = {"on_error": [{"flow": "failing"}]}
    write_flow(server.workspace, "chain/leaf", "first = 1")
    write_flow(server.workspace, "chain/top", "system.flow('chain/leaf').run()", metadata=follows)
    run(api, "chain/top")
    related = show("flows/chain/top").get_by_role("region", name="Related flows")
    expect(related.get_by_role("link", name="chain/leaf")).to_be_visible()
    expect(related).to_contain_text("On errorstarts failing")
    write_flow(server.workspace, "chain/leaf", "second = 2")
    run(api, "chain/leaf")
    page = show("flows/chain/leaf")
    changes = page.get_by_role("region", name="Changes of the source")
    changes.locator("summary").click()
    expect(changes.locator("[data-change=removed]")).to_have_text("-first = 1\n")
    expect(changes.locator("[data-change=added]")).to_have_text("+second = 2\n")
    related.get_by_role("link", name="chain/top").click()
    expect(page).to_have_url(re.compile("/flows/chain/top$"))
    expect(changes).to_have_count(0)


def test_flows_are_created_duplicated_renamed_and_deleted(show: Open, api: Client, server: RunningServer) -> None:
    page = show("flows")
    button(page, "New flow…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("failing")
    button(dialog, "Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("failing")
    dialog.get_by_label("Name").fill("new ones/first")
    button(dialog, "Create").click()
    expect(page).to_have_url(re.compile("/cloudo/flows/new%20ones/first$"))
    button(page, "Run").click()
    expect(page.locator(".cloudo-heading .cloudo-status")).to_have_text("Success", timeout=RUN)
    page = show("flows/new ones/first")
    button(page, "More actions").click()
    page.get_by_role("menuitem", name="Duplicate…").click()
    button(dialog, "Duplicate").click()
    expect(page).to_have_url(re.compile("first%20copy$"))
    button(page, "More actions").click()
    page.get_by_role("menuitem", name="Rename…").click()
    dialog.get_by_label("Name").fill("renamed é")
    button(dialog, "Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed é")
    assert (server.workspace / "flows" / "renamed é.ipynb").is_file()
    button(page, "More actions").click()
    page.get_by_role("menuitem", name="Delete…").click()
    button(dialog, "Delete").click()
    expect(page).to_have_url(re.compile("/cloudo/flows$"))
    assert not (server.workspace / "flows" / "renamed é.ipynb").exists()


def test_home_shows_what_runs_fails_and_asks(show: Open, api: Client) -> None:
    page = show("home")
    run(api, "failing")
    failures = page.get_by_role("region", name="Recent failures")
    expect(failures).to_contain_text("ZeroDivisionError")
    started = api.start_execution(StartExecution(flow_name="asks"))
    requests = page.get_by_role("region", name="Open input requests")
    expect(requests.get_by_role("link", name="Which region?")).to_be_visible(timeout=RUN)
    expect(page.get_by_role("region", name="Running now")).to_contain_text("asks")
    expect(page.get_by_role("region", name="Last 24 hours")).to_contain_text(re.compile(r"\d+ runs?, \d+ failure"))
    api.cancel_execution(started.id)
    expect(page.get_by_role("region", name="Running now")).to_contain_text("Nothing is running.")
    page.get_by_role("link", name=re.compile("failures? in 24 hours")).click()
    expect(page).to_have_url(re.compile("status=ENDED_ERROR"))


def test_settings_are_changed_reset_and_kept_secret(show: Open, api: Client) -> None:
    page = show("settings")
    line = page.locator(".cloudo-settings > div").filter(has_text="client.execution.max_depth")
    expect(line).to_contain_text("50")
    button(line, "Change client.execution.max_depth").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Value").fill("many")
    button(dialog, "Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("client.execution.max_depth")
    dialog.get_by_label("Value").fill("7")
    button(dialog, "Save").click()
    expect(line).to_contain_text("7")
    assert api.setting("client.execution.max_depth").value == 7
    line.get_by_role("button", name=re.compile("Use the default")).click()
    expect(line.locator(".cloudo-setting-value")).to_have_text("50")
    button(page, "New setting…").click()
    dialog.get_by_label("Name").fill("etl.password")
    dialog.get_by_label("Secret").check()
    dialog.get_by_label("Value").fill("correct-horse")
    button(dialog, "Save").click()
    own = page.locator(".cloudo-settings > div").filter(has_text="etl.password")
    expect(own).to_contain_text("secret")
    assert "correct-horse" not in page.content()
    button(own, "Delete etl.password").click()
    button(dialog, "Delete").click()
    expect(own).to_have_count(0)


def test_own_settings_are_read_and_written_as_yaml(show: Open, api: Client) -> None:
    text = "Dear all,\n  see below.\n\nBye: #1"
    api.save_setting("mail.text", text)
    api.save_setting("mail.to", ["a@example.com", "12"])
    api.save_setting("mail.password", "correct-horse", secret=True)
    page = show("settings")
    button(page, "Edit as YAML…").click()
    dialog = page.get_by_role("dialog").last
    field = dialog.get_by_label("Settings as YAML")
    yaml = field.input_value()
    assert "mail.text: |-\n  Dear all,\n    see below.\n" in yaml
    assert "correct-horse" not in yaml
    assert "mail.password" not in yaml
    field.fill(f"{yaml}mail.limits: {{size: 3}}\nodd: a: b\n")
    button(dialog, "Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Line ")
    field.fill(f"{yaml}mail.limits:\n  size: 3\n".replace("a@example.com", "b@example.com"))
    button(dialog, "Save").click()
    expect(field).to_have_count(0)
    assert api.setting("mail.limits").value == {"size": 3}
    assert api.setting("mail.text").value == text
    assert next(iter(api.setting("mail.to").value)) == "b@example.com"
    assert api.setting("mail.to").value[1] == "12"
    button(page, "Change mail.text").click()
    value = page.get_by_role("dialog").get_by_label("Value")
    expect(value).to_have_value(f"|-\n{text}")
    button(page.get_by_role("dialog"), "Save").click()
    expect(value).to_have_count(0)
    assert api.setting("mail.text").value == text
    button(page, "Edit as YAML…").click()
    field.fill("".join(line for line in yaml.splitlines(keepends=True) if not line.startswith(("mail.to", "  -"))))
    button(dialog, "Save").click()
    expect(page.get_by_role("dialog").last).to_contain_text("mail.limits, mail.to: flows that read them will fail.")
    button(page.get_by_role("dialog").last, "Delete").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert {one.name for one in api.settings() if one.name.startswith("mail.")} == {"mail.text", "mail.password"}
    assert api.setting("mail.password").secret


def test_the_queue_is_paused_and_resumed(show: Open, api: Client, context: BrowserContext) -> None:
    page = show("workers")
    worker = page.get_by_role("region", name="Table of workers").locator("tbody tr")
    expect(worker).to_have_count(1)
    expect(worker).to_contain_text(f"{socket.gethostname()}, process ")
    expect(worker).to_contain_text("Idle")
    endless = "import time\nwhile True: time.sleep(0.05)"
    busy = api.start_execution(StartExecution(script=endless, name="the long one"))
    expect(worker.get_by_role("link")).to_have_text("the long one", timeout=RUN)
    expect(worker.get_by_role("link")).to_have_attribute("href", re.compile(busy.id))
    api.cancel_execution(busy.id)
    expect(worker).to_contain_text("Idle", timeout=RUN)
    button(page, "Pause the queue").click()
    expect(button(page, "Resume the queue")).to_be_visible()
    started = api.start_execution(StartExecution(flow_name="people/greet", inputs={"name": "later"}))
    expect(page.get_by_role("region", name="Queue", exact=True)).to_contain_text("1 pending")
    assert api.execution(started.id).status is Status.PENDING
    button(page, "Resume the queue").click()
    until(lambda: api.execution(started.id).is_ended, seconds=60)


def test_what_waits_for_a_worker_with_a_label_says_so(
    show: Open, api: Client, workspace: Path, context: BrowserContext
) -> None:
    write_flow(workspace, "training", "1", metadata={"requires": ["gpu"]})
    started = api.start_execution(StartExecution(flow_name="training"))
    page = show(f"executions/{started.id}")
    expect(page.locator(".cloudo-summary")).to_contain_text("waiting for a worker with: gpu")
    page.get_by_role("link", name="Executions", exact=True).first.click()
    row = page.get_by_role("row").filter(has_text="training")
    expect(row).to_contain_text("waiting for a worker with: gpu")
    api.pause_queue()
    worker = start_worker(workspace, "--label", "gpu", "--label", "big")
    try:
        expect(row).not_to_contain_text("waiting for a worker")  # it could take it now
        api.resume_queue()
        until(lambda: api.execution(started.id).is_ended, seconds=60)
        table = show("workers").get_by_role("region", name="Table of workers")
        mine = table.locator("tbody tr").filter(has_text="big, gpu")
        expect(mine).to_have_count(1)
        expect(table.locator("[data-label=Labels]").filter(has_text="none")).to_have_count(1)  # the server's own
        write_flow(workspace, "long training", "import time; time.sleep(99)", metadata={"requires": ["gpu"]})
        running = api.start_execution(StartExecution(flow_name="long training"))
        until(lambda: api.execution(running.id).status is Status.RUNNING, seconds=60)
        [name] = [one.name for one in api.workers() if "gpu" in one.labels]
        drained = Thread(target=cli, args=(["--workspace", str(workspace), "worker", "--drain", name],))
        drained.start()
        expect(mine).to_contain_text("(draining)")
        api.cancel_execution(running.id)
        drained.join()
        expect(mine).to_have_count(0)
    finally:
        end_worker(worker)
