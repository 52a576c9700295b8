"""Who may come in, and with what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of, later
from tests.server import RunningServer, until

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def browser(server: RunningServer) -> Iterator[httpx.Client]:
    """Who logged in and has nothing but cookies."""
    with client(server, token=None) as http:
        log_in(http, server)
        yield http


def log_in(http: httpx.Client, server: RunningServer) -> None:
    page = http.get(f"{server.url}login")
    http.post(f"{server.url}login", data={"password": server.token, "_xsrf": page.cookies["_xsrf"]})


def test_every_route_but_probes_and_webhooks_refuses_strangers(server: RunningServer, anonymous: httpx.Client) -> None:
    routes = json.loads((server.runtime / "routes").read_text())
    assert len(routes) > 10
    for route in routes:
        path = re.sub(r"\([^()]*\)|\.\*", "x", route).strip("/")
        for method in METHODS:
            reply = anonymous.request(method, f"{server.url}{path}", json=None if method == "GET" else {})
            if path.endswith(("/health", "/alive")) and method == "GET":
                assert reply.status_code == 200
                known = ("alive",) if path.endswith("/alive") else ("status", "reason")
                assert {name for name, value in reply.json().items() if value not in (None, [])} <= set(known)
            elif path.startswith("cloudo/webhook/"):  # for everybody; there is no webhook of this name
                assert reply.status_code == (404 if method in ("GET", "POST") else 405), method
                assert "Set-Cookie" not in reply.headers
            elif path.startswith("cloudo/api"):
                assert reply.status_code == 403, (method, path)
                assert error_of(reply)["code"] == "permission_denied"
            else:  # a page for people: they are sent to the login; 404 where "x" is none of its addresses
                assert reply.status_code in (301, 302, 403, 404, 405), (method, path)


def test_a_stranger_learns_nothing_about_unknown_addresses(anonymous: httpx.Client) -> None:
    assert anonymous.get("/no/such/thing").status_code == 403


@pytest.mark.parametrize("form", ["token {}", "Token {}", "Bearer {}", "bearer  {}", "{}"])
def test_the_servers_token_is_accepted_in_every_form(server: RunningServer, anonymous: httpx.Client, form: str) -> None:
    reply = anonymous.post(
        "/execution",
        json={"flow_name": "quick", "delay_seconds": 1e6},
        headers={"Authorization": form.format(server.token)},
    )
    assert reply.status_code == 201, reply.text


@pytest.mark.parametrize("header", ["token wrong", "Bearer wrong", "wrong", "", "token", "Basic eDp5"])
def test_a_wrong_token_is_refused(anonymous: httpx.Client, header: str) -> None:
    reply = anonymous.get("/flow", headers={"Authorization": header})
    assert reply.status_code == 403
    assert error_of(reply)["code"] == "permission_denied"


def test_a_host_name_that_the_server_does_not_answer_to_is_named_to_those_who_may_know(
    server: RunningServer, http: httpx.Client, anonymous: httpx.Client
) -> None:
    host = {"Host": "my-server.lan:8888"}
    refused = [
        http.get("/user/me", headers=host),
        anonymous.get("/user/me", params={"token": server.token}, headers=host),
    ]
    for reply in refused:
        told = error_of(reply)
        assert (reply.status_code, told["code"]) == (403, "permission_denied")
        assert "'my-server.lan'" in told["message"]
        assert "c.ServerApp.local_hostnames" in told["message"]
        assert "c.ServerApp.allow_remote_access" in told["message"]
    stranger = anonymous.get("/user/me", headers=host)
    usual = anonymous.get("/user/me")
    assert (stranger.status_code, stranger.text) == (usual.status_code, usual.text)
    assert stranger.headers.keys() == usual.headers.keys()


def test_a_token_that_is_known_at_once_is_checked_like_any_other_caller(server: RunningServer) -> None:
    with client(server) as http:
        assert http.get("/user/me", headers={"Host": "rebound.example"}).status_code == 403
        # Two tokens: Jupyter takes that of the address.
        assert http.get("/user/me", params={"token": "wrong"}).status_code == 403
        reply = http.get("/user/me")
        assert reply.headers["Content-Security-Policy"].endswith("default-src 'none'")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        metrics = http.get(f"{server.url}metrics").text
    assert 'handler="cloudo_extension.rest.users.Me",method="GET",status_code="200"' in metrics
    assert 'handler="cloudo_extension.rest.users.Me",method="GET",status_code="403"' in metrics


def test_a_token_is_not_answered_with_a_login(server: RunningServer) -> None:
    with client(server) as http:
        reply = http.get("/user/me")
    assert reply.status_code == 200
    assert "Set-Cookie" not in reply.headers


def test_cookies_alone_read_but_change_nothing(browser: httpx.Client, http: httpx.Client) -> None:
    assert browser.get("/flow").status_code == 200
    execution = later(http)
    for method, path, body in [
        ("POST", "/execution", {"flow_name": "quick"}),
        ("POST", f"/execution/{execution['id']}/cancel", {}),
        ("PUT", "/setting/some.name", {"value": 1}),
        ("DELETE", "/flow/quick", None),
        ("POST", "/webhook", {"name": "x", "flow_name": "quick"}),
    ]:
        reply = browser.request(method, path, json=body)
        assert reply.status_code == 403, (method, path)
        error_of(reply)
    assert http.get(f"/execution/{execution['id']}").json()["status"] == "PENDING"


def test_a_cookie_alone_changes_nothing_at_any_address(server: RunningServer, browser: httpx.Client) -> None:
    assert browser.get("/user/me").status_code == 200
    for route in json.loads((server.runtime / "routes").read_text()):
        path = re.sub(r"\([^()]*\)|\.\*", "x", route).strip("/")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            reply = browser.request(method, f"{server.url}{path}", json={})
            if path.startswith("cloudo/webhook/"):  # a cookie is nothing there
                assert reply.status_code == (404 if method == "POST" else 405)
            else:
                assert reply.status_code in ((403,) if path.startswith("cloudo/api") else (403, 404, 405)), (
                    method,
                    path,
                )


def test_who_was_refused_is_in_the_history_and_nobody_fills_it(start: StartServer) -> None:
    server = start(None, "--Cloudo.embedded_worker=False")
    with client(server) as http, client(server, token=None) as anonymous, client(server, token=None) as browser:
        assert http.get("/flow").status_code == 200
        log_in(browser, server)
        guessed = {"Authorization": "token guessed-secret"}
        assert [anonymous.get("/schedule", headers=guessed).status_code for _ in range(20)] == [403] * 20
        assert browser.put("/setting/x", json={"value": 1}).status_code == 403

        def told() -> list[dict[str, Any]]:
            found = http.get("/event", params={"after": 0, "limit": 500}).json()["items"]
            return [event for event in found if event["type"] in ("AccessRefused", "PermissionDenied")]

        until(lambda: len(told()) >= 2)
        found, me = told(), http.get("/user/me").json()["name"]
    stranger, known = sorted(found, key=lambda event: str(event["type"]))
    assert (stranger["subject_type"], stranger["subject_id"]) == ("address", "127.0.0.1")
    assert stranger["user_name"] is None
    assert stranger["data"] == {"method": "GET", "path": "/cloudo/api/1/schedule"}
    assert known["user_name"] == me
    assert known["data"]["path"] == "/cloudo/api/1/setting/x"
    assert "guessed" not in json.dumps(found)


def test_what_was_administered_is_in_the_history(http: httpx.Client) -> None:
    last = int(http.get("/event").json()["next"])
    me = http.get("/user/me").json()["name"]
    for method, path, body in [
        ("PUT", "/file/notes.txt", {"content": "x"}),
        ("DELETE", "/file/notes.txt", None),
        ("POST", "/flow", {"name": "made", "copy_of": "quick"}),
        ("PATCH", "/flow/made", {"name": "moved"}),
        ("POST", "/webhook", {"name": "audited", "flow_name": "moved", "key": "twelve letters"}),
        ("PATCH", "/webhook/audited", {"enabled": False}),
        ("DELETE", "/webhook/audited", None),
        ("DELETE", "/flow/moved", None),
    ]:
        reply = http.request(method, path, json=body)
        assert reply.status_code < 300, (path, reply.text)
    found = http.get("/event", params={"after": last, "limit": 500}).json()["items"]
    told = [(event["type"], event["subject_id"]) for event in found if event["user_name"] == me]
    assert told == [
        *(("FileSaved", "notes.txt"), ("FileDeleted", "notes.txt")),
        *(("FlowCreated", "made"), ("FlowChanged", "moved")),
        *(("WebhookCreated", "audited"), ("WebhookChanged", "audited"), ("WebhookDeleted", "audited")),
        ("FlowDeleted", "moved"),
    ]
    assert found[3]["data"] == {"former_name": "made"}


def test_cookies_with_the_xsrf_header_change_things(browser: httpx.Client) -> None:
    reply = browser.post(
        "/execution",
        json={"flow_name": "quick", "delay_seconds": 1e6},
        headers={"X-XSRFToken": browser.cookies["_xsrf"]},
    )
    assert reply.status_code == 201, reply.text


def test_a_foreign_page_cannot_use_the_cookies_of_a_user(browser: httpx.Client) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"X-XSRFToken": "guessed"}):
        reply = browser.post("/execution", json={"flow_name": "quick"}, headers=headers)
        assert reply.status_code in (403, 404)


def test_another_identity_provider_is_taken_at_its_word_and_an_authorizer_is_heeded(start: StartServer) -> None:
    inside = "tests.extension.inside"
    classes = {"identity_provider_class": f"{inside}.HeaderIdentity", "authorizer_class": f"{inside}.ReadersOnly"}
    server = start(None, "--Cloudo.user_name=grace", "--Cloudo.embedded_worker=False", config={"ServerApp": classes})
    with client(server, token=None) as http:
        assert http.get("/user/me").status_code == 403
        assert http.get("/user/me", headers={"X-User": "linus"}).json() == {"name": "linus"}
        headers = {"X-User": "linus", "X-XSRFToken": "1", "Cookie": "_xsrf=1"}
        refused = http.put("/setting/some.name", json={"value": 1}, headers=headers)
        assert refused.status_code == 403
        assert error_of(refused)["message"] == "This server does not let linus write cloudo."


def test_a_server_on_which_nobody_uses_cloudo_leaves_no_trace(start: StartServer, tmp_path: Path) -> None:
    server = start(tmp_path, "--Cloudo.user_name=grace", "--ServerApp.authenticate_prometheus=False")
    with client(server, token=None) as http:
        me = {"Authorization": server.token}
        assert http.get("/health").json()["status"] == "ok"
        assert http.get("/flow").status_code == 403
        assert http.get("/no/such", headers=me).status_code == 404
        assert http.get("/flow", params={"x": 1}, headers=me).status_code == 400
        assert http.post(f"{server.url}cloudo/webhook/x").status_code == 404
        metrics = http.get(f"{server.url}metrics").text
        assert "jupyter_server_info" in metrics
        assert "cloudo_up" not in metrics
        assert list(tmp_path.iterdir()) == []
        assert http.get("/user/me", headers=me).json() == {"name": "grace"}
        assert http.get("/user/me", headers=me).json() == {"name": "grace"}  # under Jupyter's token, at every request


def test_a_server_that_opens_its_store_logs_no_failure(
    server: RunningServer, start: StartServer, http: httpx.Client
) -> None:
    """Its health is asked for all the while, until it is there."""
    assert http.post("/execution", json={"flow_name": "quick"}).status_code == 201
    second = start(server.workspace)  # it opens the store at once, as that was used before
    assert "503 GET" not in second.log.read_text()
    assert "The health check" not in second.log.read_text()
