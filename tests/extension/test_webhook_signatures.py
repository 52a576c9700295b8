"""Signed calls of webhooks over HTTP: who is let in, and that no delivery starts anything twice."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.extension.conftest import error_of
from tests.extension.webhooks import ECHO, deliveries, got, make
from tests.flows import write_flow, write_script
from tests.server import RunningServer, until

KEY = "It's a Secret to Everybody"
SECRET = b"thirty-two bytes of good entropy"

#: As GitHub, GitLab, Stripe and Slack send them, shortened.
PUSH = b'{"ref":"refs/heads/main","after":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","repository":{"id":35129377}}'
MERGE = b'{"object_kind":"merge_request","user":{"username":"root"},"object_attributes":{"iid":1,"state":"opened"}}'
PAID = b'{"id":"evt_1NG8Du","object":"event","type":"invoice.paid","data":{"object":{"amount_paid":2000}}}'
COMMAND = b"command=%2Fweather&text=94070&user_name=Steve&team_domain=example"


@pytest.fixture(scope="module", autouse=True)
def flows(server: RunningServer) -> None:
    write_script(server.workspace, "echo", ECHO)
    write_flow(server.workspace, "waiting", "import time\nwhile True: time.sleep(0.05)")


@pytest.fixture(scope="module")
def caller(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}cloudo/webhook", timeout=60, trust_env=False) as http:
        yield http


def standard(body: bytes, delivery_id: str, *, moment: float | None = None) -> dict[str, str]:
    """Return the headers of Standard Webhooks."""
    stamp = str(int(time.time() if moment is None else moment))
    signature = hmac.digest(SECRET, f"{delivery_id}.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        "Content-Type": "application/json",
    }


def make_standard(http: httpx.Client, name: str, **fields: Any) -> str:
    key = f"whsec_{base64.b64encode(SECRET).decode()}"
    return make(http, name, signature="standard-webhooks", key=key, **fields)


def test_github_gitlab_stripe_and_slack_are_let_in(
    server: RunningServer, http: httpx.Client, caller: httpx.Client
) -> None:
    def sign(content: bytes) -> str:
        return hmac.new(KEY.encode(), content, "sha256").hexdigest()

    now = str(int(time.time()))
    stripe = {"signature_header": "Stripe-Signature", "signed_content": "{timestamp}.{body}"}
    slack = {
        "signature_header": "X-Slack-Signature",
        "timestamp_header": "X-Slack-Request-Timestamp",
        "signed_content": "v0:{timestamp}:{body}",
    }
    as_json = {"Content-Type": "application/json"}
    github = {"X-Hub-Signature-256": f"sha256={sign(PUSH)}", "X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e"}
    made: list[tuple[dict[str, Any], dict[str, str], bytes]] = [
        ({"signature": "github"}, {**github, **as_json}, PUSH),
        ({"key_header": "X-Gitlab-Token"}, {"X-Gitlab-Token": KEY, **as_json}, MERGE),
        (
            {"signature": "hmac-sha256", **stripe},
            {"Stripe-Signature": f"t={now},v1={sign(f'{now}.'.encode() + PAID)}", **as_json},
            PAID,
        ),
        (
            {"signature": "hmac-sha256", **slack},
            {
                "X-Slack-Request-Timestamp": now,
                "X-Slack-Signature": f"v0={sign(f'v0:{now}:'.encode() + COMMAND)}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            COMMAND,
        ),
    ]
    for number, (fields, headers, body) in enumerate(made):
        name = make(http, f"sender-{number}", key=KEY, **fields)
        inputs = got(caller.post(f"/{name}", content=body, headers=headers))
        assert KEY not in json.dumps(inputs)
        if body == COMMAND:
            assert inputs["form"]["command"] == "/weather"
        else:
            assert inputs["json"] == json.loads(body)
        refused = caller.post(f"/{name}", content=body + b" ", headers={**headers, "X-Gitlab-Token": KEY[1:]})
        assert refused.status_code == (404 if "key_header" in fields else 401), refused.text
    for file in (server.workspace / ".cloudo").iterdir():
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


def test_the_sample_for_pushes_answers_what_github_sends(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "pushes", flow_name="examples/on_push", signature="github", key=KEY)
    commits = [{"id": "6113728f27ae82c7", "message": "<b>Count</b>\n\nTwice.", "author": {"name": "Ada"}}]
    push = {"ref": "refs/heads/main", "pusher": {"name": "ada"}, "commits": commits}
    expected = {"push": {"branch": "main", "commits": ["6113728f27ae82c7"]}, "ping": {}, "star": {}}
    for event, output in expected.items():
        body = json.dumps(push if event == "push" else {"zen": "Keep it logically awesome."}).encode()
        signature = hmac.new(KEY.encode(), body, "sha256").hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": event, "X-GitHub-Delivery": event}
        reply = caller.post(f"/{name}", content=body, headers={**headers, "Content-Type": "application/json"})
        assert (reply.json()["status"], reply.json()["output_value"]) == ("ENDED_SUCCESS", output), reply.text
        notebook = http.get(f"/execution/{reply.json()['id']}/notebook").text
        assert ("&lt;b&gt;Count&lt;/b&gt;</td>" in notebook) == (event == "push")
    played = http.post("/execution", json={"flow_name": "examples/on_push", "wait": 60}).json()
    assert (played["status"], played["output_value"]["branch"]) == ("ENDED_SUCCESS", "main")


def test_a_call_that_is_not_signed_well_is_refused_and_listed(http: httpx.Client, caller: httpx.Client) -> None:
    name = make_standard(http, "checked")
    stale = standard(PAID, "a", moment=time.time() - 301)
    for headers in ({}, stale, standard(PUSH, "a"), {**standard(PAID, "a"), "webhook-id": "b"}):
        reply = caller.post(f"/{name}", content=PAID, headers=headers)
        assert (reply.status_code, error_of(reply)["code"]) == (401, "signature_invalid"), headers
    until(lambda: len(deliveries(http, name)) == 4)
    assert {one["status_code"] for one in deliveries(http, name)} == {401}
    assert {one["execution_id"] for one in deliveries(http, name)} == {None}
    # What was refused has not used up the sender's id.
    assert caller.post(f"/{name}", content=PAID, headers=standard(PAID, "a")).status_code == 200


def test_a_repeated_delivery_gets_the_first_answer(http: httpx.Client, caller: httpx.Client) -> None:
    name = make_standard(http, "repeated")
    first = caller.post(f"/{name}", content=PAID, headers=standard(PAID, "evt-1"))
    again = caller.post(f"/{name}", content=PAID, headers=standard(PAID, "evt-1"))
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert (
        caller.post(f"/{name}?async", content=PAID, headers=standard(PAID, "evt-1")).json()["id"] == first.json()["id"]
    )
    other = caller.post(f"/{name}", content=PAID, headers=standard(PAID, "evt-2"))
    assert other.json()["id"] != first.json()["id"]
    until(lambda: len(deliveries(http, name)) == 4)
    assert [one["delivery_id"] for one in deliveries(http, name)] == ["evt-2", None, None, "evt-1"]
    assert deliveries(http, name)[1]["reason"] == "a repetition of an earlier delivery"
    assert http.delete(f"/execution/{first.json()['id']}").status_code == 204
    gone = caller.post(f"/{name}", content=PAID, headers=standard(PAID, "evt-1"))
    assert (gone.status_code, gone.json()["id"]) == (200, first.json()["id"])
    gone = caller.post(f"/{name}?async", content=PAID, headers=standard(PAID, "evt-1"))
    assert (gone.status_code, gone.json()["id"]) == (202, first.json()["id"])


def test_a_delivery_that_comes_ten_times_at_once_starts_once(http: httpx.Client, caller: httpx.Client) -> None:
    name = make_standard(http, "at-once", flow_name="waiting")
    headers = standard(PAID, "evt-1")
    with ThreadPoolExecutor(10) as threads:
        replies = list(threads.map(lambda _: caller.post(f"/{name}?async", content=PAID, headers=headers), range(10)))
    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.json()["id"] for reply in replies}) == 1
    started = http.get("/execution", params={"flow_name": "waiting"}).json()["items"]
    assert [one["webhook_name"] for one in started].count(name) == 1
    http.post(f"/execution/{replies[0].json()['id']}/cancel")


def test_a_flow_that_is_gone_uses_up_no_delivery(
    server: RunningServer, http: httpx.Client, caller: httpx.Client
) -> None:
    path = write_script(server.workspace, "fleeting", ECHO)
    name = make_standard(http, "fleeting", flow_name="fleeting")
    path.rename(path.with_suffix(".away"))
    reply = caller.post(f"/{name}", content=PAID, headers=standard(PAID, "e"))
    assert (reply.status_code, error_of(reply)["code"]) == (503, "unavailable")
    assert "fleeting" not in reply.text
    until(lambda: len(deliveries(http, name)) == 1)
    assert "no flow 'fleeting'" in deliveries(http, name)[0]["reason"]
    path.with_suffix(".away").rename(path)
    assert caller.post(f"/{name}", content=PAID, headers=standard(PAID, "e")).status_code == 200
