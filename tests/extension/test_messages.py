"""Messages over REST: what the contract suite, which sees `Api` only, cannot see."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.extension.conftest import client, error_of
from tests.server import RunningServer

FORM = {"properties": {"n": {"element": "integer"}}, "required": ["n"]}
UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"


def ask(http: httpx.Client, **more: Any) -> dict[str, Any]:
    reply = http.post("/message", json={"subject": "How many?", "body": FORM, **more})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def test_a_new_message_answers_with_the_record_and_where_it_is(server: RunningServer, http: httpx.Client) -> None:
    reply = http.post("/message", json={"subject": "How many?", "body": FORM})
    record = reply.json()
    assert reply.headers["Location"] == f"/cloudo/api/1/message/{record['id']}"
    assert record["body"]["properties"]["n"]["label"] == "n"
    assert record["created_at"].endswith("Z")
    assert record["state"] == "OPEN"
    assert http.get(f"/message/{record['id']}").json() == record
    assert set(record) == {
        *("id", "subject", "body", "level", "execution_id", "execution_name", "created_at", "expires_at"),
        *("response", "answered_by", "answered_at", "state"),
    }


def test_unanswered_ones_are_listed_on_demand(http: httpx.Client) -> None:
    message, told = ask(http), http.post("/message", json={"subject": "Done"}).json()
    for unanswered, expected in (("1", [message]), ("true", [message]), ("0", [told, message]), ("", [told, message])):
        items = http.get("/message", params={"unanswered": unanswered, "limit": len(expected)}).json()["items"]
        assert items == expected, unanswered
    for states, newest in (("INFO", told), ("OPEN", message), ("ANSWERED,INFO", told)):
        assert http.get("/message", params={"state": states, "limit": 1}).json()["items"] == [newest]
    page = http.get("/message", params={"limit": 1}).json()
    assert page["items"] == [told]
    assert http.get("/message", params={"limit": 1, "cursor": page["next"]}).json()["items"] == [message]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "?unanswered=2", None, 400, "unanswered"),
        ("GET", "?state=OPEN,CLOSED", None, 400, "state"),
        ("GET", "?limit=0", None, 400, "limit"),
        ("GET", "?q=x", None, 400, "q"),
        ("GET", f"/{UNKNOWN}", None, 404, None),
        ("GET", "/x", None, 404, None),
        ("DELETE", f"/{UNKNOWN}", None, 404, None),
        ("PUT", f"/{UNKNOWN}", {}, 405, None),
        ("GET", f"/{UNKNOWN}/response", None, 405, None),
        ("POST", f"/{UNKNOWN}/response", {"response": {}}, 404, None),
        ("POST", f"/{UNKNOWN}/response", {}, 400, "response"),
        ("POST", f"/{UNKNOWN}/response", {"response": []}, 400, "response"),
        ("POST", f"/{UNKNOWN}/response", {"response": {}, "by": "me"}, 400, "by"),
        ("POST", "", {}, 400, "subject"),
        ("POST", "", {"subject": "x", "execution_id": UNKNOWN}, 400, "execution_id"),
        ("POST", "", {"subject": "x", "body": {}}, 422, "properties"),
        ("POST", "", {"subject": "x", "body": {"properties": {"a": {"element": "slider"}}}}, 422, "a.element"),
        ("POST", "", {"subject": "x", "body": {"properties": {"a": {}}}, "request": "?"}, 400, "body"),
    ],
)
def test_mistakes_get_the_right_status_and_name_the_field(
    http: httpx.Client, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    reply = http.request(method, f"/message{path}", json=body)
    assert reply.status_code == status, reply.text
    assert error_of(reply).get("field") == field


def test_an_answer_is_checked_taken_once_and_then_refused(http: httpx.Client) -> None:
    url = f"/message/{ask(http)['id']}"
    for response, field in (({}, "n"), ({"n": "many"}, "n"), ({"n": 1, "m": 1}, "m")):
        refused = http.post(f"{url}/response", json={"response": response})
        assert refused.status_code == 422
        assert error_of(refused)["code"] == "response_invalid"
        assert error_of(refused)["field"] == field
    answered = http.post(f"{url}/response", json={"response": {"n": 2}})
    assert answered.status_code == 200
    assert answered.json() == http.get(url).json()
    second = http.post(f"{url}/response", json={"response": {"n": 3}})
    assert second.status_code == 409
    assert error_of(second)["code"] == "message_closed"
    assert http.delete(url).status_code == 204
    assert http.get(url).status_code == 404


def test_cookies_alone_answer_and_delete_nothing(server: RunningServer, http: httpx.Client) -> None:
    message = ask(http)
    with client(server, token=None) as browser:
        page = browser.get(f"{server.url}login")
        browser.post(f"{server.url}login", data={"password": server.token, "_xsrf": page.cookies["_xsrf"]})
        assert browser.get(f"/message/{message['id']}").status_code == 200
        for method, path, body in (
            ("POST", "", {"subject": "x"}),
            ("POST", f"/{message['id']}/response", {"response": {"n": 1}}),
            ("DELETE", f"/{message['id']}", None),
        ):
            assert browser.request(method, f"/message{path}", json=body).status_code == 403
        headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
        reply = browser.post(f"/message/{message['id']}/response", json={"response": {"n": 1}}, headers=headers)
        assert reply.status_code == 200
