"""The relay of the widgets: a page's requests and events, over both ends of `Api`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from cloudo_kernel.widgets import Dashboard
from cloudo_kernel.widgets.relay import MAX_REQUESTS, MAX_SUBSCRIPTIONS, Relay
from tests.contract.conftest import End
from tests.server import until

NONE = "01900000-0000-7000-8000-000000000000"


class Page:
    """The page's side of a relay."""

    def __init__(self, end: End) -> None:
        self.heard: list[dict[str, Any]] = []
        self.relay = Relay(end.api, self.heard.append)
        self._ids = iter(range(1_000_000))

    def send(self, method: str, path: Any, body: Any = None, **headers: str) -> str:
        key = f"page-{next(self._ids)}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.relay.hear({"id": key, "method": method, "path": path, "body": body, "headers": named})
        return key

    def reply(self, key: str) -> dict[str, Any]:
        until(lambda: [one for one in self.heard if one["id"] == key])
        [found] = [one for one in self.heard if one["id"] == key]
        return found

    def ask(self, method: str, path: Any, body: Any = None, **headers: str) -> dict[str, Any]:
        return self.reply(self.send(method, path, body, **headers))

    def events(self, key: str) -> list[dict[str, Any]]:
        return [event for one in list(self.heard) if one["id"] == key for event in one["events"]]


@pytest.fixture
def page(end: End) -> Iterator[Page]:
    page = Page(end)
    yield page
    page.relay.close()


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_records_lists_and_empty_replies_come_as_rest_sends_them(end: End, page: Page) -> None:
    name = end.flow("n", parameters="n = 1  # how many")
    flow = page.ask("GET", f"flow/{quote(name)}")
    assert (flow["status"], flow["body"]) == (200, end.api.flow(name).model_dump(mode="json"))
    assert page.ask("GET", f"flow/{quote(name, safe='')}")["body"] == flow["body"]
    listed = page.ask("GET", f"flow?q={quote(name)}&limit=100")
    assert listed["body"] == {"items": [flow["body"]], "next": None}
    assert page.ask("GET", "user/me")["body"] == end.api.user().model_dump(mode="json")
    deleted = page.ask("DELETE", f"flow/{quote(name)}")
    assert (deleted["status"], deleted["body"]) == (204, None)


def test_a_flow_is_started_filtered_and_cancelled(end: End, page: Page) -> None:
    name = end.flow("n", parameters="n: int = 1")
    start = {"flow_name": name, "inputs": {"n": 3}, "delay_seconds": 1e6, "tags": ["now"]}
    started = page.ask("POST", "execution", start, idempotency_key=name)
    assert started["status"] in (200, 201)
    execution = started["body"]
    assert execution["input_value"] == {"n": 3}
    assert page.ask("POST", "execution", start, idempotency_key=name)["body"]["id"] == execution["id"]
    for query in (
        f"flow_name={quote(name)}&limit=5",
        f"status=PENDING,RUNNING&flow_name={quote(name)}",
        f"top_level=true&flow_name={quote(name)}",
    ):
        assert [one["id"] for one in page.ask("GET", f"execution?{query}")["body"]["items"]] == [execution["id"]]
    assert page.ask("GET", f"execution?status=RUNNING&flow_name={quote(name)}")["body"]["items"] == []
    cancelled = page.ask("POST", f"execution/{execution['id']}/cancel", {"tree": True})
    assert cancelled["body"]["status"] == "ENDED_CANCELLED"
    log = page.ask("GET", f"execution/{execution['id']}/log?limit=10")
    assert log["body"]["items"] == []


def test_flows_are_renamed_only_if_they_are_what_the_page_has_seen(end: End, page: Page) -> None:
    name = end.flow("1")
    tag = page.ask("GET", f"flow/{name}")["headers"]["etag"]
    changed = page.ask("PATCH", f"flow/{name}", {"name": f"{name}-2"}, if_match='"another.1"')
    assert (changed["status"], changed["body"]["error"]["code"]) == (412, "outdated")
    assert page.ask("PATCH", f"flow/{name}", {"name": f"{name}-2"}, if_match=tag)["body"]["name"] == f"{name}-2"


def test_messages_schedules_and_settings_follow_from_their_declarations(end: End, page: Page) -> None:
    name = end.flow("1")
    asked = page.ask("POST", "message", {"subject": "Why?", "body": {"properties": {"x": {"element": "integer"}}}})
    found = page.ask("GET", "message?unanswered=true&state=OPEN&limit=50")["body"]["items"]
    assert asked["body"]["id"] in {one["id"] for one in found}
    answered = page.ask("POST", f"message/{asked['body']['id']}/response", {"response": {"x": 3}})
    assert answered["body"]["response"] == {"x": 3}
    made = page.ask("POST", "schedule", {"flow_name": name, "trigger": {"daily_at": "08:30"}})
    assert made["status"] in (200, 201), made
    assert page.ask("POST", f"schedule/{made['body']['id']}/pause")["body"]["next_run"] is None
    assert page.ask("PUT", "setting/user.ada.dashboard.filters", {"value": {"mine": "q=a"}})["body"]["value"] == {
        "mine": "q=a"
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", f"execution/{NONE}", None, 404, "execution_not_found"),
        ("GET", "flow/none/such", None, 404, "flow_not_found"),
        ("GET", "no/such/address", None, 404, None),
        ("POST", "execution", {"flow_name": 3}, 400, "malformed"),
        ("POST", "execution", {"flow_name": "none"}, 404, "flow_not_found"),
        ("GET", "execution?limit=many", None, 400, "malformed"),
        ("GET", "execution?unknown=1", None, 400, "malformed"),
        ("PUT", "setting/client.execution.max_running", {"value": "x"}, 422, None),
        ("TRACE", "user/me", None, 400, "malformed"),
    ],
)
def test_errors_have_their_status_and_words(
    page: Page, method: str, path: str, body: Any, status: int, code: str | None
) -> None:
    reply = page.ask(method, path, body)
    assert reply["status"] == status, reply
    assert reply["body"]["error"]["message"]
    assert code is None or reply["body"]["error"]["code"] == code


@pytest.mark.parametrize(
    "path",
    [
        "../../api/kernels",
        "%2e%2e/%2E%2e/api/kernels",
        "flow/../../../../api/contents",
        "/api/kernels",
        "//elsewhere.example/x",
        "http://elsewhere.example/x",
        "flow\\..\\..",
        "user/me\r\nX: y",
        "user/me#x",
        "",
        None,
        3,
    ],
)
def test_nothing_outside_of_rest_is_reached(page: Page, path: Any) -> None:
    reply = page.ask("GET", path)
    assert (reply["status"], reply["body"]["error"]["code"]) == (400, "malformed")


def test_headers_that_are_not_the_pages_business_do_not_pass(end: End, page: Page) -> None:
    hostile = {
        "authorization": "token wrong",
        "cookie": "a=b",
        "host": "elsewhere.example",
        "x_cloudo_trigger": "nonsense",
    }
    assert page.ask("GET", "user/me", **hostile)["status"] == 200


def test_several_requests_are_answered_at_once_and_never_on_the_callers_thread(end: End, page: Page) -> None:
    begun = time.monotonic()
    slow = [page.send("GET", "event?after=9000000000000&timeout_seconds=1") for _ in range(MAX_REQUESTS)]
    assert time.monotonic() - begun < 0.5
    assert [page.reply(key)["status"] for key in slow] == [200] * MAX_REQUESTS
    assert time.monotonic() - begun < MAX_REQUESTS * 0.9
    assert len(threads("cloudo-widget")) <= MAX_REQUESTS * 2  # of this relay, and of one that is ending


def test_events_come_until_the_page_closes_them(end: End, page: Page) -> None:
    page.relay.hear({"id": "e", "events": {"after": None}})
    flow = end.flow("1")
    time.sleep(0.5)  # the subscription starts with future events
    execution = end.later(flow)
    until(lambda: execution.id in {event["subject_id"] for event in page.events("e")})
    last = max(event["id"] for event in page.events("e"))
    page.relay.hear({"id": "e", "close": True})
    missed = end.later(flow)
    page.relay.hear({"id": "f", "events": {"after": last}})  # goes on without a gap
    until(lambda: missed.id in {event["subject_id"] for event in page.events("f")})
    until(lambda: len(threads("cloudo-events")) == 1)
    page.relay.close()
    until(lambda: not threads("cloudo-events"))


def test_a_page_that_never_closes_its_events_keeps_few_threads(page: Page) -> None:
    for number in range(MAX_SUBSCRIPTIONS * 3):
        page.relay.hear({"id": f"e{number}", "events": {"after": None}})
    until(lambda: len(threads("cloudo-events")) <= MAX_SUBSCRIPTIONS)
    page.relay.close()
    until(lambda: not threads("cloudo-events"))


@pytest.mark.parametrize("message", [None, 3, [], {}, {"id": 3}, {"id": "x"}, {"id": "x", "events": 3}])
def test_messages_that_ask_for_nothing_are_ignored(page: Page, message: Any) -> None:
    page.relay.hear(message)
    assert page.ask("GET", "user/me")["status"] == 200
    assert len(page.heard) == 1


def test_the_widget_is_a_relay_with_a_view(end: End, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    # ipykernel's comms, which are used once it is imported, send nothing outside of a kernel.
    monkeypatch.setattr(Dashboard, "_send", lambda _self, message, **_more: heard.append(message))
    widget = Dashboard(end.api, _esm="export default {}", _css="", view="executions")
    state = widget.get_state()
    assert (state["view"], state["_esm"]) == ("executions", "export default {}")
    assert state["base_url"] == ("/" if hasattr(end.api, "url") else None)
    widget._handle_custom_msg({"id": "1", "method": "GET", "path": "user/me"}, [])
    until(lambda: heard)
    widget.close()
