"""Calls that tell others of ends: signed, made again until they are taken, and not lost with their server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import CreateSchedule, Event, Execution, ScheduleTrigger, StartExecution, Status
from tests.extension.conftest import StartServer
from tests.flows import write_flow
from tests.receiver import Received, Receiver, receiving
from tests.server import RunningServer, until

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def notifying(start: StartServer, workspace: Path) -> RunningServer:
    """A server that may call this machine, and tries again soon, five times."""
    return start(workspace, config=_config())


@pytest.fixture
def api(notifying: RunningServer) -> Iterator[Client]:
    with notifying.client() as api:
        yield api


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def _config(**more: Any) -> dict[str, Any]:
    return {"Cloudo": {"allowed_private_networks": ["127.0.0.0/8"], "notification_delays": [0.05] * 4, **more}}


def run(api: Client, flow_name: str, **inputs: Any) -> Execution:
    return api.wait(api.start_execution(StartExecution(flow_name=flow_name, inputs=inputs)).id)


def told(api: Client, execution: Execution) -> list[Event]:
    page = api.events(after=0, subject_id=execution.id)
    return [event for event in page.items if event.type.startswith("Notification")]


def is_signed(request: Received, secret: str) -> bool:
    """Verify a signature as https://www.standardwebhooks.com says it is made, with nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = request.headers["webhook-timestamp"]
    content = b".".join([request.headers["webhook-id"].encode(), stamp.encode(), request.body])
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return wanted in request.headers["webhook-signature"].split(" ") and abs(time.time() - int(stamp)) < 60


def test_a_call_is_signed_and_made_again_until_it_is_taken(workspace: Path, api: Client, receiver: Receiver) -> None:
    metadata = {"on_error": {"url": receiver.url + "hook/secret-part", "secret": "team.hook"}}
    sources = ("this.log('a line')\nthis.set_output('n', n)\nthis.set_output('large', 'x' * 5000)", "1 / 0")
    write_flow(workspace, "watched", *sources, parameters="n = 1", metadata=metadata)
    api.save_setting("team.hook", SECRET, secret=True)
    statuses = iter([500, None, 302, 200])
    receiver.answer = lambda _: next(statuses)
    failed = run(api, "watched", n=5)
    until(lambda: len(told(api, failed)) == 4)
    assert len(receiver.received) == 4
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1
    assert all(is_signed(request, SECRET) for request in receiver.received)
    body = json.loads(receiver.received[0].body)
    assert (body["type"], body["timestamp"]) == ("execution.failed", body["data"]["ended_at"])
    data = body["data"]
    assert (data["id"], data["status"], data["input_value"]) == (failed.id, "ENDED_ERROR", {"n": 5})
    assert data["error"].keys() == {"name", "value", "cell"}
    assert set(data["output_value"]) == {"left_out"}
    assert "log" not in data
    events = told(api, failed)
    assert [event.type for event in events] == ["NotificationFailed"] * 3 + ["NotificationSent"]
    assert [event.data["attempt"] for event in events] == [1, 2, 3, 4]
    assert events[0].data["reason"] == "it answered 500"
    assert events[2].data["reason"] == "it answered 302; redirections are not followed"
    assert all(event.data["to"] == receiver.url.strip("/") for event in events)
    assert "secret-part" not in str(events)


def test_a_schedule_tells_of_successes_and_recoveries(workspace: Path, api: Client, receiver: Receiver) -> None:
    write_flow(workspace, "scheduled", "import os; assert os.path.exists('ok')")
    following = ({"url": receiver.url},)
    trigger = ScheduleTrigger(cron="0 0 1 1 *")
    request = CreateSchedule(flow_name="scheduled", trigger=trigger, on_success=following, on_recovery=following)
    schedule = api.create_schedule(request)
    assert api.wait(api.trigger_schedule(schedule.id).id).status is Status.ENDED_ERROR
    (workspace / "flows" / "ok").touch()
    sound = api.wait(api.trigger_schedule(schedule.id).id)
    until(lambda: len(told(api, sound)) == 2)
    assert sorted(json.loads(one.body)["type"] for one in receiver.received) == [
        "execution.recovered",
        "execution.succeeded",
    ]
    assert "webhook-signature" not in receiver.received[0].headers
    api.delete_schedule(schedule.id)


def test_a_call_that_nobody_takes_is_given_up_and_the_log_says_so(
    workspace: Path, api: Client, receiver: Receiver
) -> None:
    receiver.answer = lambda request: {"/gone": 410}.get(request.path, 503)
    calls = [
        {"url": receiver.url},
        {"url": receiver.url + "gone"},
        {"url": receiver.url, "secret": "no.such.setting"},
        {"url": "http://private.invalid/"},
    ]
    write_flow(workspace, "lonely", "1", metadata={"on_success": calls})
    ended = run(api, "lonely")
    until(lambda: len(api.execution(ended.id).log or ()) == 4)
    lines = sorted(line.text.split(": ", 1)[1] for line in api.execution(ended.id).log or ())
    assert lines == [
        "it answered 410",
        "it answered 503",
        lines[2],
        lines[3],
    ]
    assert lines[2].startswith("the name 'private.invalid' was not found")
    assert lines[3].startswith("the setting 'no.such.setting' does not hold a secret")
    assert [one.path for one in receiver.received].count("/") == 5
    assert [one.path for one in receiver.received].count("/gone") == 1
    last = [event for event in told(api, ended) if event.data["next_attempt"] is None]
    assert len(last) == 4


def test_a_call_outlives_the_server_that_was_killed_while_it_made_it(
    start: StartServer, tmp_path: Path, receiver: Receiver
) -> None:
    is_killed = threading.Event()
    receiver.answer = lambda _: 204 if is_killed.is_set() else (is_killed.wait(60) and None)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    server = start(workspace, config=_config())
    write_flow(workspace, "watched", "1", metadata={"on_success": {"url": receiver.url}})
    with server.client() as api:
        ended = run(api, "watched")
    until(lambda: receiver.received)
    server.stop(signal.SIGKILL)
    is_killed.set()
    again = start(workspace, config=_config())
    with again.client() as api:
        until(lambda: told(api, ended))
        [event] = told(api, ended)
    assert (event.type, event.data["attempt"]) == ("NotificationSent", 2)
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len(receiver.received) == 2
