"""Who may come in, and with what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of, later
from tests.server import RunningServer

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def browser(server: RunningServer) -> Iterator[httpx.Client]:
    """Who logged in and has nothing but cookies."""
    with client(server, token=None) as http:
        page = http.get(f"{server.url}login")
        http.post(f"{server.url}login", data={"password": server.token, "_xsrf": page.cookies["_xsrf"]})
        yield http


def test_every_route_but_health_and_webhooks_refuses_strangers(server: RunningServer, nobody: httpx.Client) -> None:
    routes = json.loads((server.runtime / "routes").read_text())
    assert len(routes) > 10
    for route in routes:
        path = re.sub(r"\([^()]*\)|\.\*", "x", route).strip("/")
        for method in METHODS:
            reply = nobody.request(method, f"{server.url}{path}", json=None if method == "GET" else {})
            if path.endswith("/health") and method == "GET":
                assert reply.status_code == 200
            elif path.startswith("cloudo/webhook/"):  # for everybody; there is no webhook of this name
                assert reply.status_code == (404 if method in ("GET", "POST") else 405), method
                assert "Set-Cookie" not in reply.headers
            elif path.startswith("cloudo/api"):
                assert reply.status_code == 403, (method, path)
                assert error_of(reply)["code"] == "permission_denied"
            else:  # a page for people: they are sent to the login; 404 where "x" is none of its addresses
                assert reply.status_code in (301, 302, 403, 404, 405), (method, path)


def test_a_stranger_learns_nothing_about_unknown_addresses(nobody: httpx.Client) -> None:
    assert nobody.get("/no/such/thing").status_code == 403


@pytest.mark.parametrize("form", ["token {}", "Token {}", "Bearer {}", "bearer  {}", "{}"])
def test_the_servers_token_is_accepted_in_every_form(server: RunningServer, nobody: httpx.Client, form: str) -> None:
    reply = nobody.post(
        "/execution",
        json={"flow_name": "quick", "delay_seconds": 1e6},
        headers={"Authorization": form.format(server.token)},
    )
    assert reply.status_code == 201, reply.text


@pytest.mark.parametrize("header", ["token wrong", "Bearer wrong", "wrong", "", "token", "Basic eDp5"])
def test_a_wrong_token_is_refused(nobody: httpx.Client, header: str) -> None:
    reply = nobody.get("/flow", headers={"Authorization": header})
    assert reply.status_code == 403
    assert error_of(reply)["code"] == "permission_denied"


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


def test_a_session_token_acts_as_its_user_and_opens_nothing_else(server: RunningServer, nobody: httpx.Client) -> None:
    token = (server.runtime / "session-token").read_text()
    for form in (f"token {token}", f"Bearer {token}", token):
        headers = {"Authorization": form}
        assert nobody.get("/user/me", headers=headers).json() == {"name": "ada"}
        assert nobody.post("/execution", json={"flow_name": "quick", "delay_seconds": 1e6}, headers=headers).json()[
            "user_name"
        ] == ("ada")
    for path in ("api/contents", "api/kernels", "api/status", "files/flows/quick.ipynb"):
        reply = nobody.get(f"{server.url}{path}", headers={"Authorization": f"token {token}"})
        assert reply.status_code in (302, 403), path


def test_another_identity_provider_is_taken_at_its_word_and_an_authorizer_is_heeded(start: StartServer) -> None:
    inside = "tests.extension.inside"
    classes = {"identity_provider_class": f"{inside}.HeaderIdentity", "authorizer_class": f"{inside}.ReadersOnly"}
    server = start(None, "--Cloudo.user_name=grace", config={"ServerApp": classes})
    with client(server, token=None) as http:
        assert http.get("/user/me").status_code == 403
        assert http.get("/user/me", headers={"X-User": "linus"}).json() == {"name": "linus"}
        headers = {"X-User": "linus", "X-XSRFToken": "1", "Cookie": "_xsrf=1"}
        refused = http.put("/setting/some.name", json={"value": 1}, headers=headers)
        assert refused.status_code == 403
        assert error_of(refused)["message"] == "This server does not let linus write cloudo."


def test_a_server_on_which_nobody_uses_cloudo_leaves_no_trace(start: StartServer, tmp_path: Path) -> None:
    server = start(tmp_path, "--Cloudo.user_name=grace")
    with client(server, token=None) as http:
        me = {"Authorization": server.token}
        assert http.get("/health").json()["status"] == "ok"
        assert http.get("/flow").status_code == 403
        assert http.get("/no/such", headers=me).status_code == 404
        assert http.get("/flow", params={"x": 1}, headers=me).status_code == 400
        assert http.post(f"{server.url}cloudo/webhook/x").status_code == 404
        assert list(tmp_path.iterdir()) == []
        assert http.get("/user/me", headers=me).json() == {"name": "grace"}
        assert http.get("/user/me", headers=me).json() == {"name": "grace"}  # under Jupyter's token, at every request
