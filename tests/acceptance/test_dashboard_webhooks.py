"""Webhooks, tokens and messages in the dashboard: made, looked at, changed and ended in a real browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cloudo_kernel import errors
from cloudo_kernel.client import Client
from cloudo_kernel.models import Action, CreateMessage, CreateWebhook, MessageState, SignatureScheme, StartExecution
from tests.acceptance.page import RUN, Open, button, row
from tests.flows import write_flow, write_script
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)

HOSTILE = "<img src=x onerror=alert(1)>"
ON_PUSH = """
def handler(system, this):
    this.set_output("branch", this.get("input_value").get("json", {}).get("ref"))
"""
ASKS = """
def handler(system, this):
    this.save(message="asking")
    answer = system.message("Which region?", {"properties": {"region": {}, "pin": {"element": "password"}}}).wait()
    this.set_output("region", answer.get("response")["region"])
"""
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_script(workspace, "on_push", ON_PUSH)
    write_script(workspace, "asks", ASKS)
    write_flow(workspace, "other", "1")
    write_flow(workspace, "sales", "1", parameters="region: str\ntop = 3\nis_new = True")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_there(api: Client) -> None:
    for webhook in api.webhooks().items:
        api.delete_webhook(webhook.name)
    for token in api.tokens():
        api.revoke_token(token.id)
    for message in api.messages().items:
        api.delete_message(message.id)


def shell(page: Page, lines: str, **variables: str) -> str:
    """Run what the page shows for a shell."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **variables}
    done = subprocess.run(["bash", "-c", lines], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


# --- webhooks ----------------------------------------------------------------------------------------


def test_a_webhook_is_made_called_as_shown_and_replayed_by_keyboard(
    show: Open, api: Client, context: BrowserContext, server: RunningServer
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page = show("webhooks")
    expect(page.get_by_text("No webhooks yet")).to_be_visible()
    expect(page.locator(".cloudo-nothing pre")).to_contain_text(f"curl {server.url}cloudo/webhook/deploy")
    button(page, "New webhook…").first.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    page.keyboard.type("de ploy")
    page.keyboard.press("Tab")
    page.keyboard.type("on_push")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("Name")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("deploy")
    page.keyboard.press("Enter")
    told = page.get_by_role("dialog", name="Key of deploy")
    expect(told.get_by_text("The key is shown only once")).to_be_visible()
    key = told.locator("code").first.inner_text()
    assert len(key) > 40
    button(told, "Copy the key").press("Enter")
    until(lambda: page.evaluate("navigator.clipboard.readText()") == key)
    called = shell(page, told.locator("pre").inner_text())
    assert '"branch":"main"' in called
    button(told, "Done").press("Enter")
    expect(page).to_have_url(re.compile("webhooks/deploy$"))
    assert key not in page.content()
    assert api.webhook("deploy").has_key
    # The line of the page is right, too; who does not know the key is listed.
    assert '"branch":"main"' in shell(page, page.locator("pre").first.inner_text(), KEY=key)
    assert "not_found" in shell(page, page.locator("pre").first.inner_text(), KEY="something else")
    calls = page.get_by_role("region", name="Deliveries")
    expect(calls.locator("tbody tr")).to_have_count(3)
    expect(calls.locator("tbody tr").first).to_contain_text("404")
    expect(calls.locator("tbody tr").first).to_contain_text("the key was missing or wrong")
    calls.get_by_role("button", name=re.compile("^Replay the call")).first.press("Enter")
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    expect(calls.get_by_text(re.compile("a replay of"))).to_be_visible()
    calls.get_by_role("link", name="Open the execution").first.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("on_push")
    expect(page.locator(".cloudo-panel").filter(has_text="Outputs")).to_contain_text("main", timeout=RUN)
    page.locator(".cloudo-facts").get_by_role("link", name="webhook", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("webhooks/deploy$"))


def test_a_webhook_is_changed_switched_and_deleted(show: Open, api: Client, server: RunningServer) -> None:
    api.create_webhook(CreateWebhook(name="shop", flow_name="on_push"))
    page = show("webhooks")
    line = row(page, "shop")
    expect(line).to_contain_text("None (anyone can call it)")
    expect(line).to_contain_text(f"{server.url}cloudo/webhook/shop")
    expect(line).to_contain_text("never")
    assert httpx.post(f"{server.url}cloudo/webhook/shop?async").status_code == 202
    expect(line).to_contain_text("202")
    line.get_by_role("checkbox").check()
    button(page, "Disable").click()
    expect(line).to_contain_text("Disabled")
    assert httpx.post(f"{server.url}cloudo/webhook/shop").status_code == 404
    line.get_by_role("link").click()
    button(page, "Enable").press("Enter")
    expect(button(page, "Disable")).to_be_focused()
    button(page, "Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Flow", exact=True).fill("nowhere")
    button(dialog, "Save").click()
    expect(dialog.get_by_text("There is no flow 'nowhere'")).to_be_visible()
    expect(dialog.get_by_label("Flow", exact=True)).to_be_focused()
    dialog.get_by_label("Flow", exact=True).fill("other")
    dialog.get_by_label("Authentication").select_option("hmac-sha256")
    dialog.get_by_label("Key", exact=True).select_option("own")
    dialog.get_by_label("Key value", exact=True).fill("short")
    dialog.get_by_label("Signature header").fill("X-Signature")
    dialog.get_by_text("Limits, networks").click()
    dialog.get_by_label("Maximum calls per minute").fill("")
    dialog.get_by_label("Allowed networks").fill("10.0.0.0/8\n127.0.0.1")
    fixed = dialog.get_by_role("group", name="Fixed inputs")
    button(fixed, "Add an input").click()
    fixed.get_by_label("Name of input 1").fill("json")
    fixed.get_by_label("Value of input 1").fill("1")
    button(dialog, "Save").click()
    expect(dialog.locator(".cloudo-field-error").filter(has_text="at least 12 characters")).to_be_visible()
    dialog.get_by_label("Key value", exact=True).fill("correct-horse-battery")
    button(dialog, "Save").click()
    expect(dialog.get_by_text("comes with each delivery and cannot be fixed")).to_be_visible()
    fixed.get_by_label("Name of input 1").fill("shop")
    fixed.get_by_label("Value of input 1").fill("north")
    dialog.get_by_label("Reply", exact=True).select_option("record")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    expect(button(page, "Edit")).to_be_focused()
    expect(page.locator(".cloudo-facts")).to_contain_text("HMAC-SHA256 signature in X-Signature")
    changed = api.webhook("shop")
    assert (changed.flow_name, changed.signature, changed.rate_limit) == ("other", SignatureScheme.HMAC_SHA256, None)
    assert changed.allowed_networks == ("10.0.0.0/8", "127.0.0.1/32")
    assert (changed.inputs, changed.reply) == ({"shop": "north"}, "record")
    called = shell(page, page.locator("pre.cloudo-curl").inner_text(), KEY="correct-horse-battery")
    assert '"shop":"north"' in called
    # Back to a key, a new one.
    button(page, "Edit").click()
    dialog.get_by_label("Authentication").select_option("key")
    dialog.get_by_label("Key", exact=True).select_option("generate")
    button(dialog, "Save").click()
    key = page.get_by_role("dialog", name="Key of shop").locator("code").first.inner_text()
    page.keyboard.press("Escape")
    assert api.webhook("shop").signature is None
    assert httpx.post(f"{server.url}cloudo/webhook/shop", headers={"X-Cloudo-Key": key}).status_code == 200
    button(page, "Delete").click()
    button(page.get_by_role("dialog"), "Delete").click()
    expect(page.get_by_text("No webhooks yet")).to_be_visible()
    with pytest.raises(errors.WebhookNotFound):
        api.webhook("shop")
    show("webhooks/shop")
    expect(page.get_by_text("This webhook does not exist")).to_be_visible()


# --- tokens ------------------------------------------------------------------------------------------


def test_the_fixed_inputs_of_a_webhook_are_the_flows_own_form(show: Open, api: Client) -> None:
    page = show("webhooks")
    button(page, "New webhook…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("sales")
    dialog.get_by_label("Flow", exact=True).fill("sales")
    dialog.get_by_label("Authentication").select_option("none")
    dialog.get_by_text("Limits, networks").click()
    fixed = dialog.get_by_role("group", name="Fixed inputs")
    top = fixed.get_by_label("top", exact=True)
    expect(top).to_have_attribute("placeholder", "not fixed")
    top.fill("many")
    button(dialog, "Create webhook").click()
    expect(top).to_be_focused()
    expect(fixed.get_by_text("Enter a number")).to_be_visible()
    top.fill("3")
    fixed.get_by_label("is_new").select_option("no")
    button(dialog, "Create webhook").click()
    expect(dialog).to_have_count(0)
    # A required input is left to the caller, and a value is fixed although it is the default.
    assert api.webhook("sales").inputs == {"top": 3, "is_new": False}
    page = show("webhooks/sales")
    button(page, "Edit").click()
    dialog.get_by_text("Limits, networks").click()
    expect(top).to_have_value("3")
    top.fill("")
    button(dialog, "Save").click()
    expect(dialog).to_have_count(0)
    assert api.webhook("sales").inputs == {"is_new": False}


def test_a_token_is_made_shown_once_used_and_revoked(show: Open, api: Client, server: RunningServer) -> None:
    page = show("tokens")
    expect(page.get_by_text("No tokens yet")).to_be_visible()
    for name in ("REST", "API explorer"):
        expect(page.get_by_role("link", name=name)).to_have_attribute("href", "/cloudo/explorer")
    button(page, "New token…").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ci")
    dialog.get_by_label("Only these flows").fill("on_*\n")
    button(dialog, "Create token").click()
    expect(dialog.get_by_text("Choose at least one.")).to_be_visible()
    dialog.get_by_label("read", exact=True).check()
    dialog.get_by_label("setting:write").check()
    button(dialog, "Create token").click()
    expect(dialog.get_by_text("limited to flows cannot have setting:write")).to_be_visible()
    dialog.get_by_label("setting:write").uncheck()
    dialog.get_by_label("Expires").select_option("in a week")
    button(dialog, "Create token").click()
    told = page.get_by_role("dialog", name="Token ci")
    secret = told.locator("code").first.inner_text()
    assert secret.startswith("cloudo_")
    lines = told.locator("pre").inner_text()
    assert '"on_push"' in shell(page, lines, CLOUDO_TOKEN=secret)
    button(told, "Done").click()
    expect(page.locator("dialog")).to_have_count(0)  # closed, and taken out
    assert secret not in page.content()
    [token] = api.tokens()
    assert (token.name, token.actions, token.flows) == ("ci", ("read",), ("on_*",))
    line = row(page, "ci")
    for text in ("Valid", f"{token.prefix}…", "read", "on_*", "in 7 days"):
        expect(line).to_contain_text(text)
    line.get_by_role("checkbox").check()
    button(page, "Revoke").click()
    button(page.get_by_role("dialog"), "Revoke").click()
    expect(page.get_by_text("No tokens yet")).to_be_visible()
    assert httpx.get(f"{server.api}/flow", headers={"Authorization": f"token {secret}"}).status_code in (401, 403)


def test_the_actions_of_the_page_are_those_of_the_records() -> None:
    words = (Path(__file__).parents[2] / "extension" / "frontend" / "views" / "tokens" / "form.tsx").read_text()
    block = words.partition("ACTIONS: Record<string, string> = {")[2].partition("\n}")[0]
    found = re.findall(r'^  "?([\w:*]+)"?:', block, re.MULTILINE)
    assert sorted(found) == sorted(action.value for action in Action)
    assert found[-1] == Action.EVERYTHING


# --- messages ----------------------------------------------------------------------------------------


def test_messages_are_found_by_state_with_who_answered_and_what_but_passwords(show: Open, api: Client) -> None:
    started = api.start_execution(StartExecution(flow_name="asks", name="the asking one"))
    until(lambda: api.messages(unanswered=True).items, seconds=60)
    api.create_message(CreateMessage(subject="It is done"))
    page = show("messages")
    expect(row(page, "Which region?")).to_contain_text("Open")
    expect(row(page, "Which region?").get_by_role("link", name="the asking one")).to_be_visible()
    expect(row(page, "It is done")).to_contain_text("Info")
    button(page, "Answered").click()
    assert page.url.endswith("messages?state=ANSWERED")
    expect(page.get_by_text("No matching messages")).to_be_visible()
    button(page, "Clear the filter").click()
    button(page, "Open").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    row(page, "Which region?").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Which region?")
    page.get_by_label("region").fill("north")
    page.get_by_label("pin").fill("hunter2-secret")
    page.get_by_label("pin").press("Enter")
    panel = page.locator(".cloudo-panel").filter(has_text="Answer")
    expect(panel).to_contain_text("north")
    expect(panel).to_contain_text("•••")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    facts = page.locator(".cloudo-facts")
    expect(facts).to_contain_text("Answered by")
    assert "hunter2" not in page.content()
    # From there to the execution, and back.
    facts.get_by_role("link", name="the asking one").click()
    expect(page).to_have_url(re.compile(f"executions/{started.id}$"))
    told = page.locator(".cloudo-panel").filter(has_text="Messages")
    expect(told).to_contain_text("Answered")
    told.get_by_role("link", name="Which region?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Which region?")
    button(page, "Delete").click()
    button(page.get_by_role("dialog"), "Delete").click()
    expect(page).to_have_url(re.compile("messages$"))
    expect(page.locator("tbody tr")).to_have_count(1)
    assert [one.state for one in api.messages().items] == [MessageState.INFO]


def test_hostile_words_stay_text_and_fit_a_narrow_window(show: Open, api: Client) -> None:
    long = "x" * 200
    asked = api.create_message(CreateMessage(subject=f"{HOSTILE} {long}", request=f"{HOSTILE} {long}"))
    api.create_webhook(CreateWebhook(name="w" * 100, flow_name="on_push", inputs={HOSTILE: HOSTILE * 9}))
    page = show("messages")
    page.set_viewport_size({"width": 390, "height": 844})
    for path, text in (
        ("messages", HOSTILE),
        (f"messages/{asked.id}", HOSTILE),
        ("webhooks", "w" * 100),
        (f"webhooks/{'w' * 100}", HOSTILE),
        ("tokens", "No tokens yet"),
    ):
        page = show(path)
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.locator("main")).to_contain_text(text)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        tab = page.locator(".cloudo-tab[aria-current]")
        expect(tab).to_be_in_viewport()
    assert page.locator("main img").count() == 0
    show("messages")
