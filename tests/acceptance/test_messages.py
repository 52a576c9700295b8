"""Flows that ask: a real server, real kernels, answers over REST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, Message, MessageState, StartExecution, Status
from cloudo_kernel.settings import INPUT_TIMEOUT, MAX_RUNNING
from tests.flows import notebook
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

pytestmark = pytest.mark.timeout(180)

FORM = {
    "type": "object",
    "properties": {
        "intro": {"element": "markdown", "description": "Please **fill in**."},
        "region": {"element": "select", "enum": ["north", "south"], "default": "north"},
        "top": {"element": "integer", "minimum": 1},
        "key": {"element": "password"},
        "start": {"element": "submit", "label": "Start"},
        "cancel": {"element": "submit", "label": "Cancel", "required": []},
    },
    "required": ["top"],
}
ASKING = f"""
message = system.message(subject="Which report?", body={FORM!r}, message_type="POPUP")
this.set_output("id", message.get("id"))
answer = message.wait().get("response")
this.set_output("has_key", answer.pop("key", None) == "hunter2")
this.set_output("answer", answer)
"""
#: A flow that waits must not keep others from running.
ONE_SLOT = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start(None, "--Cloudo.user_name=ada")


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        client.save_setting(MAX_RUNNING, ONE_SLOT)
        yield client


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {server.token}"}
    with httpx.Client(base_url=server.api, headers=headers, timeout=30, trust_env=False) as http:
        yield http


Start = Callable[..., Execution]


@pytest.fixture
def start(api: Client) -> Iterator[Start]:
    started: list[str] = []

    def start(*sources: str, **more: Any) -> Execution:
        script = notebook(*sources, metadata=more.pop("metadata", None))
        execution = api.start_execution(StartExecution(script=script, **more))
        started.append(execution.id)
        return execution

    yield start
    for execution_id in started:
        if not api.execution(execution_id).is_ended:
            api.cancel_execution(execution_id)
            api.wait(execution_id)


def asked_by(api: Client, execution: Execution) -> Message:
    """Return what the execution asks, once it waits for the answer."""
    until(lambda: api.execution(execution.id).status is Status.WAITING, seconds=60,
          what=lambda: str(api.execution(execution.id)))  # fmt: skip
    [message] = api.messages(execution_id=execution.id, unanswered=True).items
    return api.message(message.id)


def test_a_flow_asks_waits_without_a_slot_and_goes_on_with_the_answer(
    api: Client, http: httpx.Client, start: Start, server: RunningServer
) -> None:
    execution = start(ASKING)
    message = asked_by(api, execution)
    assert (message.subject, message.execution_id) == ("Which report?", execution.id)
    assert api.execution(execution.id).message == "waiting for an answer: Which report?"
    assert api.wait(start("1 + 1").id).status is Status.ENDED_SUCCESS  # in the one slot that there is

    refused = http.post(f"/message/{message.id}/response", json={"response": {"top": 0, "start": True}})
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == "top"
    given = {"top": 3, "key": "hunter2", "start": True}
    reply = http.post(f"/message/{message.id}/response", json={"response": given})
    assert reply.status_code == 200, reply.text

    ended = api.wait(execution.id)
    assert ended.status is Status.ENDED_SUCCESS, ended
    answer = {"region": "north", "top": 3, "start": True, "cancel": False}
    assert ended.output_value == {"id": message.id, "has_key": True, "answer": answer}
    shown = http.get(f"/message/{message.id}").json()
    assert shown["response"] == {**answer, "key": "•••"}
    assert (shown["state"], shown["answered_by"]) == ("ANSWERED", "ada")
    assert "hunter2" not in reply.text
    assert "hunter2" not in http.get("/event", params={"after": 0, "limit": 500}).text
    assert "hunter2" not in server.log.read_text()


def test_two_who_answer_at_once_are_one_winner_and_one_conflict(
    api: Client, server: RunningServer, start: Start
) -> None:
    execution = start('this.set_output("n", system.message("n?", request="n").wait().get("response")["response"])')
    message = asked_by(api, execution)

    def answer(number: int) -> tuple[int, int]:
        headers = {"Authorization": f"token {server.token}"}
        body = {"response": {"response": str(number)}}
        url = f"{server.api}/message/{message.id}/response"
        return httpx.post(url, json=body, headers=headers, timeout=30).status_code, number

    with ThreadPoolExecutor(8) as threads:
        replies = sorted(threads.map(answer, range(8)))
    assert [status for status, _ in replies] == [200, *[409] * 7]
    assert api.wait(execution.id).output_value == {"n": str(replies[0][1])}


def test_a_request_that_nobody_answers_expires(api: Client, http: httpx.Client, start: Start) -> None:
    api.save_setting(INPUT_TIMEOUT, 1 / 60)
    try:
        execution = start(
            "from flow_api import MessageResponseTimeoutError\n"
            'message = system.message("Anyone?", message="Hello")\n'
            "this.set_output('id', message.id)\n"
            "try:\n    message.wait()\nexcept MessageResponseTimeoutError as error:\n    this.log(error)",
            'message = system.message("Nobody?", message="Hello")\nmessage.wait()',
        )
        ended = api.wait(execution.id)
    finally:
        api.delete_setting(INPUT_TIMEOUT)
    assert ended.status is Status.ENDED_ERROR
    assert ended.log is not None
    assert [line.text for line in ended.log] == ["input request expired: 'Anyone?' was not answered in time."]
    assert ended.error is not None
    assert ended.error.name == "MessageResponseTimeoutError"
    expired = ended.output_value["id"]
    assert api.message(expired).state is MessageState.EXPIRED
    until(lambda: "MessageExpired" in http.get("/event", params={"after": 0, "subject_id": expired}).text)
    late = http.post(f"/message/{expired}/response", json={"response": {}})
    assert late.status_code == 409
    assert late.json()["error"]["code"] == "message_closed"


def test_a_wait_has_a_limit_of_its_own_and_leaves_the_request_open(api: Client, start: Start) -> None:
    execution = start(
        "import flow_api",
        'message = system.message("Later?", message="Hello", timeout_seconds=0)',
        "try:\n    message.wait(timeout=0.3)\nexcept flow_api.MessageResponseTimeoutError as error:\n"
        "    this.set_output('said', str(error))\n    this.set_output('expires_at', message.load('expires_at'))",
    )
    ended = api.wait(execution.id)
    said = "input request expired: 'Later?' was not answered within 0.3 seconds."
    assert ended.output_value == {"said": said, "expires_at": None}
    [message] = api.messages(execution_id=execution.id).items
    assert message.state is MessageState.OPEN
    api.delete_message(message.id)


def test_cancelling_who_asks_withdraws_the_request(api: Client, http: httpx.Client, start: Start) -> None:
    execution = start(ASKING)
    message = asked_by(api, execution)
    api.cancel_execution(execution.id)
    assert api.wait(execution.id).status is Status.ENDED_CANCELLED
    assert api.message(message.id).state is MessageState.WITHDRAWN
    assert http.post(f"/message/{message.id}/response", json={"response": {"cancel": True}}).status_code == 409
    types = [
        event["type"] for event in http.get("/event", params={"after": 0, "subject_id": message.id}).json()["items"]
    ]
    assert types == ["MessageCreated", "MessageWithdrawn"]


def test_deleting_a_request_ends_the_wait_with_an_error(api: Client, start: Start) -> None:
    execution = start("import flow_api", f"try:\n    system.message('?', {FORM!r}).wait()\n"
                      "except flow_api.ResourceNotFoundError as error:\n    this.success(str(error))")  # fmt: skip
    message = asked_by(api, execution)
    api.delete_message(message.id)
    ended = api.wait(execution.id)
    assert ended.status is Status.ENDED_SUCCESS
    assert message.id in str(ended.message)


def test_a_form_in_two_steps_is_answered_after_its_first_flow_has_ended(api: Client, start: Start) -> None:
    """As the original's scripts do it: one execution asks, a second one opens the message and waits."""
    first = api.wait(
        start(f"this.save(output_value={{'message_id': system.message('Details?', {FORM!r}).get('id')}})").id
    )
    message_id = first.output_value["message_id"]
    second = start(
        f"message = system.message({message_id!r})",
        "message.wait()\nthis.set_output('answer', message.get('response'))",
        "this.set_output('letters', len(message.get('response')['key']))",
    )
    until(lambda: api.execution(second.id).status is Status.WAITING, seconds=60)
    api.answer_message(message_id, {"top": 2, "key": "hunter2", "start": True})
    output = api.wait(second.id).output_value
    assert output["answer"] == {"region": "north", "top": 2, "key": "•••", "start": True, "cancel": False}
    assert output["letters"] == len("hunter2")  # the flow has it, and nobody else sees it


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("system.message('x', {'properties': {'a': {'element': 'slider'}}})", "a.element"),
        ("system.message('x', 'text')", "body"),
        ("system.message('')", "subject"),
        ("system.message('01a20713-815a-789c-b71f-4353094d94ca')", "There is no message"),
        ("system.message('x').wait()", "asks for nothing"),
    ],
)
def test_what_is_no_message_is_an_error_that_says_why(api: Client, start: Start, source: str, said: str) -> None:
    ended = api.wait(start(source).id)
    assert ended.status is Status.ENDED_ERROR
    assert ended.error is not None
    assert said in ended.error.value


def test_what_is_only_told_is_not_waited_for(api: Client, start: Start) -> None:
    ended = api.wait(start("system.message('All 12 reports are done', level='success')").id)
    [message] = api.messages(execution_id=ended.id).items
    assert (message.state, message.level) == (MessageState.INFO, "success")
    assert message.id not in {one.id for one in api.messages(unanswered=True).items}


def test_a_paused_flow_takes_its_answer_when_it_goes_on(api: Client, start: Start) -> None:
    execution = start('this.set_output("n", system.message("n?", request="n").wait().get("response")["response"])')
    message = asked_by(api, execution)
    api.pause_execution(execution.id)
    api.answer_message(message.id, {"response": "7"})
    assert api.execution(execution.id).status is Status.PAUSED
    api.resume_execution(execution.id)
    assert api.wait(execution.id).output_value == {"n": "7"}
