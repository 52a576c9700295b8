"""What API tokens open, and what they do not, through the whole route table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cloudo_kernel.models import Origin, StartExecution
from tests.extension.conftest import MakeToken, StartServer, client, error_of, later
from tests.flows import write_flow
from tests.server import RunningServer, until

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: What a token that may only read looks at.
#: Every known caller may use them.
OPEN = ("/user/me", "/alive", "/health", "/openapi.json")
READS = {
    "dashboard",
    "flow",
    "execution",
    "message",
    "event",
    "schedule",
    "setting",
    "file",
    "webhook",
    "kernel",
    "worker",
    "queue",
}


def routes(server: RunningServer) -> Iterator[tuple[str, str]]:
    """Return each route of REST below its root with each method, its parameters filled in."""
    for route in json.loads((server.runtime / "routes").read_text()):
        path = re.sub(r"\([^()]*\)|\.\*", "x", route).strip("/")
        if path.startswith("cloudo/api/1/"):
            yield from ((method, path.removeprefix("cloudo/api/1")) for method in METHODS)


@pytest.mark.parametrize("why", ["unknown", "revoked", "expired"])
def test_a_token_that_is_not_valid_opens_as_much_as_none(
    server: RunningServer, http: httpx.Client, anonymous: httpx.Client, token: MakeToken, why: str
) -> None:
    if why == "unknown":
        anonymous.headers["Authorization"] = "token cloudo_" + "0" * 64
    elif why == "revoked":
        revoked = token("*")
        anonymous.headers["Authorization"] = revoked.headers["Authorization"]
        assert revoked.get("/user/me").status_code == 200
        assert http.delete(f"/token/{revoked.token['id']}").status_code == 204
    else:
        expiring = token("*", expires_in_seconds=0.3)
        anonymous.headers["Authorization"] = expiring.headers["Authorization"]
        until(lambda: expiring.get("/user/me").status_code == 403, seconds=10, what=lambda: "The token did not expire.")
    for method, path in routes(server):
        body: dict[str, Any] | None = None if method == "GET" else {}
        reply = anonymous.request(method, path, json=body)
        if path not in ("/health", "/alive"):
            assert reply.status_code == 403, (method, path)
            stranger = anonymous.request(method, path, json=body, headers={"Authorization": ""})
            assert error_of(reply) == error_of(stranger), (method, path)


def test_a_token_that_may_only_read_changes_nothing(server: RunningServer, token: MakeToken) -> None:
    reader = token("read")
    allowed, denied = set(), set()
    for method, path in routes(server):
        body = {"flow_name": "quick"} if path == "/execution" else {}
        reply = reader.request(method, path, json=None if method == "GET" else body)
        if method == "GET" and path.split("/")[1] in READS:
            assert reply.status_code in (200, 400, 404, 405), (method, path, reply.text)
            allowed.add(path)
        elif reply.status_code == 403:
            denied.add((method, path))
        else:  # refused before anybody is asked, or it changes nothing
            assert reply.status_code in (400, 404, 405) or path in OPEN, reply.text
    assert {"/flow", "/execution", "/execution/x/notebook", "/event", "/setting", "/file"} <= allowed
    assert {
        ("POST", "/execution"),
        ("POST", "/execution/x/cancel"),
        ("POST", "/execution/x/retry"),
        ("DELETE", "/execution/x"),
        ("DELETE", "/flow/x"),
        ("DELETE", "/message/x"),
        ("POST", "/schedule/x/trigger"),
        ("DELETE", "/schedule/x"),
        ("DELETE", "/setting/x"),
        ("DELETE", "/file/x"),
        ("GET", "/token"),
        ("DELETE", "/token/x"),
        ("GET", "/interactive"),
    } <= denied
    refused = reader.post("/execution", json={"flow_name": "quick"})
    assert error_of(refused) == {
        "code": "permission_denied",
        "message": f"This takes the right to execution:start. The token {reader.token['prefix']}… may: read.",
    }


def test_a_token_without_a_fitting_right_opens_nothing(server: RunningServer, token: MakeToken) -> None:
    holder = token("message:write")
    for method, path in routes(server):
        reply = holder.request(method, path, json=None if method == "GET" else {})
        is_open = path in OPEN or path.startswith("/message")
        # Refused before anybody is asked: the method, the body, what is missing in the query.
        assert reply.status_code in (400, 403, 404, 405) or is_open, (method, path, reply.text)
        if method == "GET" and reply.status_code != 405 and not is_open:
            assert reply.status_code in (400, 403), (path, reply.text)


def test_a_token_limited_to_flows_sees_no_other(server: RunningServer, http: httpx.Client, token: MakeToken) -> None:
    write_flow(server.workspace, "etl/load", "1")
    write_flow(server.workspace, "etl/ask", "system.message('How many?', request='how many').wait()")
    mine, other = later(http, flow_name="etl/load")["id"], later(http)["id"]
    limited = token("*", flows=["etl/*"])
    assert {flow["name"] for flow in limited.get("/flow").json()["items"]} == {"etl/load", "etl/ask"}
    assert [one["id"] for one in limited.get("/execution").json()["items"]] == [mine]
    for way in ("", "/log", "/notebook", "/source", "/children"):
        assert limited.get(f"/execution/{other}{way}").status_code == 404, way
    assert error_of(limited.post(f"/execution/{other}/cancel"))["code"] == "execution_not_found"
    assert limited.post(f"/execution/{mine}/cancel").json()["status"] == "ENDED_CANCELLED"
    stream = {"Accept": "text/event-stream"}
    for query, status in ({"subject_id": mine}, 200), ({"subject_id": other}, 403), ({}, 403):
        assert limited.get("/event", params={"after": 0, **query}).status_code == status, query
        if status == 403:
            assert limited.get("/event", params=query, headers=stream).status_code == status
    for method, path, body in [
        ("POST", "/execution", {"flow_name": "quick"}),
        ("POST", "/execution", {"script": "1"}),
        ("GET", "/flow/quick", None),
        ("POST", "/flow", {"name": "etl/new", "copy_of": "quick"}),
        ("DELETE", "/flow/etl/load", None),
        ("POST", "/schedule", {"flow_name": "quick", "trigger": {"daily_at": "08:30"}}),
        ("PUT", "/setting/x", {"value": 1}),
        ("GET", "/setting", None),
        ("GET", "/file", None),
        ("GET", f"/file/executions/quick/{other}.ipynb", None),
        ("PUT", "/file/flows/etl/load.ipynb", {"content": "{}"}),
        ("POST", "/message", {"subject": "x"}),
        ("POST", "/token", {"name": "x", "actions": ["*"]}),
        ("GET", "/token", None),
        ("GET", "/interactive?kernel_id=x", None),
    ]:
        reply = limited.request(method, path, json=body)
        assert reply.status_code == 403, (method, path, reply.text)
        assert "etl/*" in error_of(reply)["message"]


def test_only_who_may_answers_a_message(server: RunningServer, http: httpx.Client, token: MakeToken) -> None:
    asked = {name: _asked(server, http, name) for name in ("etl/question", "question")}
    limited, reader = token("message:write", flows=["etl/*"]), token("read")
    answer = {"response": {"response": "3"}}
    for name, message_id in asked.items():
        refused = reader.post(f"/message/{message_id}/response", json=answer)
        assert refused.status_code == 403, refused.text
        assert "takes the right to message:write" in error_of(refused)["message"]
        reply = limited.post(f"/message/{message_id}/response", json=answer)
        is_its_own = name == "etl/question"
        assert reply.status_code == (200 if is_its_own else 404), reply.text
        state = http.get(f"/message/{message_id}").json()["state"]
        assert state == ("ANSWERED" if is_its_own else "OPEN")


def _asked(server: RunningServer, http: httpx.Client, flow_name: str) -> str:
    """Return the id of the message that an execution of a flow has just made."""
    write_flow(server.workspace, flow_name, "system.message('How many?', request='how many')")
    execution = http.post("/execution", json={"flow_name": flow_name, "wait": True}).json()
    [message] = http.get("/message", params={"execution_id": execution["id"]}).json()["items"]
    return str(message["id"])


def test_what_a_token_starts_runs_as_its_user_and_without_its_limits(server: RunningServer, token: MakeToken) -> None:
    write_flow(
        server.workspace, "etl/parent", "this.flow('quick')\nthis.set_output('who', system.get_own_user().get('name'))"
    )
    starter = token("execution:start", flows=["etl/*"])
    started = starter.post("/execution", json={"flow_name": "etl/parent", "wait": 20})
    assert started.status_code in (201, 202), started.text  # it learns the outcome of its start
    execution_id = started.json()["id"]
    assert starter.get(f"/execution/{execution_id}").status_code == 403  # but may not look at will
    with server.client() as owner:
        ended = owner.wait(execution_id)
    assert ended.status == "ENDED_SUCCESS", ended
    assert ended.user_name == ended.output_value["who"]
    write_flow(server.workspace, "etl/load", "1")
    key = {"Idempotency-Key": execution_id}
    again = [starter.post("/execution", json={"flow_name": "etl/load"}, headers=key) for _ in range(2)]
    assert [reply.status_code for reply in again] == [201, 200]


def test_a_program_waits_with_a_token_limited_to_flows(server: RunningServer, token: MakeToken) -> None:
    write_flow(server.workspace, "etl/load", "1")
    holder = token("execution:start", "read", flows=["etl/*"])
    with server.client(token=holder.token["secret"], trigger=Origin.CLI) as api:
        started = api.start_execution(StartExecution(flow_name="etl/load"))
        assert api.wait(started.id).status == "ENDED_SUCCESS"


@pytest.mark.parametrize("form", ["token {}", "Token {}", "Bearer {}", "bearer  {}", "{}"])
def test_a_token_is_accepted_in_every_form(anonymous: httpx.Client, token: MakeToken, form: str) -> None:
    secret = token("read").token["secret"]
    assert anonymous.get("/flow", headers={"Authorization": form.format(secret)}).status_code == 200
    assert anonymous.get("/flow", params={"token": secret}).status_code == 403  # addresses are logged


def test_a_token_opens_nothing_of_jupyters_own(server: RunningServer, token: MakeToken) -> None:
    holder = token("*")
    assert holder.get("/user/me").status_code == 200
    for path in (
        "api/contents",
        "api/kernels",
        "api/sessions",
        "api/status",
        "api/me",
        "files/flows/quick.ipynb",
        "tree",
        "lab",
        "cloudo/",
    ):
        reply = holder.get(f"{server.url}{path}")
        assert reply.status_code in (302, 403, 404), (path, reply.status_code)
        assert reply.status_code != 302 or "/login" in reply.headers["Location"]
    assert holder.post(f"{server.url}api/kernels", json={}).status_code == 403
    assert "Set-Cookie" not in holder.get("/user/me").headers


def test_a_token_is_not_needed_where_another_is_sent(server: RunningServer, token: MakeToken) -> None:
    """A cookie beside a token adds nothing: who sends a token is who the token says."""
    holder = token("read")
    page = holder.get(f"{server.url}login")
    form = {"password": server.token, "_xsrf": page.cookies["_xsrf"]}
    httpx.Client.post(holder, f"{server.url}login", data=form, headers={"Authorization": ""})
    assert any("username" in name for name in holder.cookies)
    xsrf = {"X-XSRFToken": holder.cookies["_xsrf"]}
    assert holder.put("/setting/some.name", json={"value": 1}, headers=xsrf).status_code == 403


def test_what_was_denied_is_in_the_history(http: httpx.Client, token: MakeToken) -> None:
    holder = token("read")
    made = holder.token

    def told() -> list[dict[str, Any]]:
        found = http.get("/event", params={"after": 0, "subject_id": made["id"]}).json()["items"]
        return [event for event in found if event["type"] == "PermissionDenied"]

    for _ in range(3):
        assert holder.delete("/flow/quick", params={"x": "no-query-is-kept"}).status_code == 400
        assert holder.delete("/flow/quick").status_code == 403
    until(lambda: bool(told()), seconds=10, what=lambda: "The denial was not noted.")
    [event] = told()
    assert event["user_name"] == made["user_name"]
    assert event["data"] == {
        "method": "DELETE",
        "path": "/cloudo/api/1/flow/quick",
        "reason": f"This takes the right to flow:write. The token {made['prefix']}… may: read.",
        "token": made["prefix"],
    }
    assert made["secret"] not in json.dumps(event)


def test_its_use_is_noted_and_a_maker_sees_only_their_own(http: httpx.Client, token: MakeToken) -> None:
    holder = token("read")
    made = holder.token

    def listed() -> dict[str, Any]:
        return next(one for one in http.get("/token").json()["items"] if one["id"] == made["id"])

    assert listed()["last_used_at"] is None
    assert "secret" not in listed()
    assert holder.get("/flow").status_code == 200
    until(lambda: listed()["last_used_at"] is not None, seconds=10, what=lambda: "The use was not noted.")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x"}, "actions"),
        ({"name": "x", "actions": []}, "actions"),
        ({"name": "x", "actions": ["write"]}, "actions"),
        ({"name": "x", "actions": ["read"], "flows": []}, "flows"),
        ({"name": "x", "actions": ["read"], "flows": ["etl/[a]"]}, "flows"),
        ({"name": "x", "actions": ["script:run"], "flows": ["etl/*"]}, "actions"),
        ({"name": "x", "actions": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "actions": ["read"], "expires_in_seconds": -1}, "expires_in_seconds"),
        ({"name": "x", "actions": ["read"], "secret": "mine"}, "secret"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    reply = http.post("/token", json=body)
    assert reply.status_code == 400, reply.text
    assert error_of(reply)["field"] == field


def test_users_of_another_identity_provider_have_tokens_of_their_own(start: StartServer) -> None:
    config = {"ServerApp": {"identity_provider_class": "tests.extension.inside.HeaderIdentity"}}
    server = start(None, "--Cloudo.embedded_worker=False", config=config)
    xsrf = {"X-XSRFToken": "1", "Cookie": "_xsrf=1"}
    with client(server, token=None) as http:
        me = {"X-User": "linus", **xsrf}
        made = http.post("/token", json={"name": "x", "actions": ["*"]}, headers=me).json()
        assert http.get("/user/me", headers={"Authorization": made["secret"]}).json() == {"name": "linus"}
        other = {"X-User": "grace", **xsrf}
        assert http.get("/token", headers=other).json()["items"] == []
        assert http.delete(f"/token/{made['id']}", headers=other).status_code == 404
        assert http.delete(f"/token/{made['id']}", headers={"Authorization": made["secret"]}).status_code == 204
        assert http.get("/user/me", headers={"Authorization": made["secret"]}).status_code == 403


def test_administrators_alone_act_for_others_and_the_history_tells(start: StartServer) -> None:
    identity = {"identity_provider_class": "tests.extension.inside.HeaderIdentity"}
    server = start(
        None, config={"ServerApp": identity, "Cloudo": {"administrators": ["ada"], "embedded_worker": False}}
    )
    write_flow(server.workspace, "quick", "1")
    with client(server, token=None) as http:

        def ask(user: str, method: str, path: str, **body: Any) -> httpx.Response:
            headers = {"X-User": user, "X-XSRFToken": "1", "Cookie": "_xsrf=1"}
            return http.request(method, path, json=body or None, headers=headers)

        for refused in (
            ask("grace", "POST", "/webhook", name="w", flow_name="quick", user_name="ada"),
            ask("grace", "PUT", "/setting/client.webhook.w", value={"flow_name": "quick", "user_name": "ada"}),
            ask("grace", "GET", "/token?user_name=ada"),
        ):
            assert (refused.status_code, error_of(refused)["field"]) == (403, "user_name")
        assert ask("grace", "GET", "/token?user_name=grace").status_code == 200
        made = ask("ada", "POST", "/webhook", name="w", flow_name="quick", user_name="linus").json()
        assert made["user_name"] == "linus"
        call = http.post(f"{server.url}cloudo/webhook/w").json()
        assert ask("ada", "GET", f"/execution/{call['id']}").json()["user_name"] == "linus"
        assert ask("ada", "PATCH", "/webhook/w", rate_limit=10).json()["user_name"] == "linus"  # not taken over
        assert ask("grace", "PATCH", "/webhook/w", rate_limit=20).json()["user_name"] == "grace"
        kept = ask("ada", "PUT", "/setting/client.webhook.v", value={"flow_name": "quick", "user_name": "linus"})
        assert kept.json()["value"]["user_name"] == "linus"
        told = ask("ada", "GET", "/event?after=0&subject_id=w").json()["items"]
        assert [(one["user_name"], one["data"].get("runs_for")) for one in told] == [
            ("ada", "linus"), ("ada", "linus"), ("grace", None)
        ]  # fmt: skip

        token = ask("linus", "POST", "/token", name="x", actions=["*"]).json()
        limited = ask("ada", "POST", "/token", name="y", actions=["token:write"]).json()
        by_limited = http.get("/token?user_name=linus", headers={"Authorization": limited["secret"]})
        assert by_limited.status_code == 403  # an administrator's token that is limited is no administrator's
        assert [one["id"] for one in ask("ada", "GET", "/token?user_name=linus").json()["items"]] == [token["id"]]
        assert len(ask("ada", "GET", "/token?user_name=*").json()["items"]) == 2
        assert ask("ada", "DELETE", f"/token/{token['id']}").status_code == 204
        assert http.get("/user/me", headers={"Authorization": token["secret"]}).status_code == 403
        [revoked] = ask("ada", "GET", f"/event?after=0&subject_id={token['id']}").json()["items"][-1:]
        assert (revoked["type"], revoked["user_name"], revoked["data"]["of"]) == ("TokenRevoked", "ada", "linus")


def test_a_guessed_token_does_not_wake_a_server_on_which_nobody_uses_cloudo(start: StartServer, tmp_path: Any) -> None:
    server = start(tmp_path)
    with client(server, token="cloudo_" + "0" * 64) as http:
        assert http.get("/flow").status_code == 403
    assert list(tmp_path.iterdir()) == []
