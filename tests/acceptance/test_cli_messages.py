"""`cloudo messages` and `cloudo answer` as people use them: real processes, a real terminal, a real store."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from typing import Any

import pexpect
import pytest

from cloudo_kernel.models import CreateMessage, MessageState
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.shell import Shell
from tests.flows import write_flow

pytestmark = pytest.mark.timeout(120)

FORM: dict[str, Any] = {
    "properties": {
        "intro": {"element": "markdown", "description": "Which *report* is it?\x1b[2J"},
        "region": {"element": "select", "label": "Region", "enum": ["north", "south"], "default": "north"},
        "kinds": {"element": "multiselect", "enum": ["a", "b", "c"]},
        "top": {"element": "integer", "label": "How many", "minimum": 1, "description": "Products to list"},
        "urgent": {"element": "toggle"},
        "due": {"element": "datetime"},
        "note": {"element": "text"},
        "key": {"element": "password", "label": "API key"},
        "file": {"element": "file"},
        "start": {"element": "submit", "label": "Start"},
        "cancel": {"element": "submit", "label": "Cancel", "required": []},
    },
    "required": ["top", "key"],
}


@pytest.fixture
def api(shell: Shell) -> Iterator[Service]:
    workspace = Workspace(shell.workspace)
    store = Store.open(workspace.database_url)
    yield Service(store, Catalog(workspace, library=()), user_name="flow")
    store.close()


def ask(api: Service, **more: Any) -> str:
    return api.create_message(CreateMessage(**{"subject": "Details?", "body": FORM, **more})).id


def revealed(api: Service, message_id: str) -> Any:
    return api._store.messages.revealed(message_id).response


def test_messages_are_listed_newest_first(shell: Shell, api: Service) -> None:
    assert "No messages yet" in shell.run("messages").stdout
    ids = [ask(api), api.create_message(CreateMessage(subject="All\x1b[2J is well")).id]
    lines = shell.run("messages").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "CREATED", "EXECUTION", "SUBJECT"]
    assert [line.split()[0] for line in lines[1:]] == [one[-8:] for one in reversed(ids)]
    assert "\x1b" not in lines[1]
    assert [one["id"] for one in shell.json("messages", "--unanswered")] == ids[:1]
    assert [one["id"] for one in shell.json("messages", "--state", "open", "--state", "expired")] == ids[:1]
    assert [one["id"] for one in shell.json("messages", "-n", "1")] == ids[1:]
    assert "No message waits" not in shell.run("messages", "-u").stdout


def test_a_form_is_asked_field_by_field(shell: Shell, api: Service) -> None:
    message_id = ask(api)
    (shell.workspace / "data.csv").write_text("a,b\n")
    command = ["-m", "cloudo_kernel", "answer", message_id[-8:]]
    where: dict[str, Any] = {"cwd": str(shell.workspace), "env": {**shell.environment, "NO_COLOR": "1"}}
    terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=20, **where)
    terminal.setwinsize(50, 200)
    for said, typed in (
        (r"Details\?\r\nAsked [^\n]*, until .*Which button: 1\) Start, 2\) Cancel: ", "start"),
        (r"Which \*report\* is it\?.*Region.*1\) north, 2\) south \[north\]: ", "west"),
        (r"Error: .*takes one of .*: ", "2"),
        (r"kinds.*any of 1\) a, 2\) b, 3\) c, separated by commas: ", "1, c"),
        (r"How many\r\nProducts to list\r\n  a whole number of at least 1: ", ""),
        (r"Error: This is required.*: ", "0"),
        (r"Error: 'top' takes a whole number of at least 1, not 0.*: ", "3"),
        (r"urgent.*y or n: ", "y"),
        (r"due.*: ", "2026-11-23 08:30"),
        (r"note.*: ", "one"),
        (r"…: ", "two"),
        (r"…: ", ""),
        (r"API key\r\n  text: ", "hunter2"),
        (r"file.*the path of a file: ", "no such file"),
        (r"Error: no such file cannot be read.*: ", "data.csv"),
    ):
        terminal.expect(said)
        assert "\x1b[2J" not in terminal.after
        terminal.sendline(typed)
    terminal.expect(pexpect.EOF)
    assert "Details?: answered" in terminal.before
    assert "hunter2" not in terminal.before
    terminal.close()
    assert terminal.exitstatus == 0
    answer = revealed(api, message_id)
    assert answer.pop("due").startswith("2026-11-23T08:30:00")
    assert answer.pop("file") == {
        "name": "data.csv",
        "content": base64.b64encode(b"a,b\n").decode(),
        "type": "text/csv",
    }
    assert answer == {
        "region": "south",
        "kinds": ["a", "c"],
        "top": 3,
        "urgent": True,
        "note": "one\ntwo",
        "key": "hunter2",
        "start": True,
        "cancel": False,
    }


def test_the_next_times_are_told_before_they_are_sent(shell: Shell, api: Service) -> None:
    timing = {"daily_at": "when", "timezone": "zone"}
    form = {
        "when": {"element": "time", "default": "08:30"},
        "zone": {"element": "string"},
        "coming": {"element": "markdown", "preview": timing},
        "last": {"element": "string"},
    }
    message_id = ask(api, body={"properties": form})
    command = ["-m", "cloudo_kernel", "answer", message_id[-8:]]
    where: dict[str, Any] = {"cwd": str(shell.workspace), "env": {**shell.environment, "NO_COLOR": "1"}}
    terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=20, **where)
    terminal.setwinsize(50, 200)
    terminal.expect("08:30:00]: ")
    terminal.sendline("")
    terminal.expect("zone.*: ")
    terminal.sendline("Asia/Tokyo")
    terminal.expect(r"next: \w{3} \d+ \w{3}.* 08:30, .* … \(Asia/Tokyo\)")
    terminal.sendline("")
    terminal.expect(pexpect.EOF)
    assert api.message(message_id).response == {"when": "08:30:00", "zone": "Asia/Tokyo"}


PLAN: dict[str, Any] = {
    "which": {"element": "flow", "enum": ["quick", "needs"]},
    "inputs": {"element": "inputs"},
    "delay": {"element": "duration", "minimum": 1},
    "zone": {"element": "timezone"},
    "when": {"element": "trigger"},
    "coming": {"element": "markdown", "preview": {"trigger": "when"}},
}


def test_the_inputs_of_the_chosen_flow_are_asked_one_by_one(shell: Shell, api: Service) -> None:
    write_flow(shell.workspace, "quick", "1")
    write_flow(shell.workspace, "needs", "1", parameters="region: str  # where\ntop: int = 3")
    message_id = ask(api, body={"properties": PLAN, "required": ["which", "delay", "zone", "when"]})
    command = ["-m", "cloudo_kernel", "answer", message_id[-8:]]
    where: dict[str, Any] = {
        "cwd": str(shell.workspace),
        "env": {**shell.environment, "NO_COLOR": "1", "TZ": "Europe/Vienna"},
    }
    terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=20, **where)
    terminal.setwinsize(50, 200)
    for said, typed in (
        (r"which.*1\) quick, 2\) needs: ", "needs"),
        (r"Inputs of needs\r\n  region \(where\): ", ""),
        (r"Error: This is required.*: ", "north"),
        (r"top \[3\]: ", "many"),
        (r"Error: The input 'top' takes a whole number.*: ", ""),
        (r"delay.*a duration such as 90 \(seconds\), 10m or 1h30m, at least 1 second: ", "0"),
        (r"Error: 'delay' takes a duration.*: ", "10m"),
        (r"zone.*\[Europe/Vienna\]: ", "Vienna"),
        (r"Error: .*Did you mean Europe/Vienna.*: ", ""),
        (r"when.*YAML such as daily_at: 08:30.*: ", "daily_at: 25:00"),
        (r"Error: .*it is a time of day.*: ", "{daily_at: 07:15, timezone: Asia/Tokyo}"),
        (r"next: .* 07:15 … \(Asia/Tokyo\)", None),
    ):
        terminal.expect(said)
        if typed is not None:
            terminal.sendline(typed)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert api.message(message_id).response == {
        "which": "needs",
        "inputs": {"region": "north"},
        "delay": 600,
        "zone": "Europe/Vienna",
        "when": {"daily_at": "07:15", "timezone": "Asia/Tokyo"},
    }


def test_words_answer_the_elements_about_flows_and_times(shell: Shell, api: Service) -> None:
    write_flow(shell.workspace, "needs", "1", parameters="region: str\ntop: int = 3")
    form = {**PLAN, "which": {"element": "flow"}}
    message_id = ask(api, body={"properties": form, "required": ["which"]})
    words = ("which=needs", "inputs={top: 4}", "delay=1h30m", "zone=UTC", "when={every_seconds: 60, wait: false}")
    arguments = [part for word in words for part in ("-p", word)]
    refused = shell.run("answer", message_id, *arguments)
    assert refused.returncode == 1
    assert "The flow needs the input 'region'" in refused.stderr
    arguments[3] = "inputs={region: north, top: 4}"
    assert shell.json("answer", message_id, *arguments)["response"] == {
        "which": "needs",
        "inputs": {"region": "north", "top": 4},
        "delay": 5400,
        "zone": "UTC",
        "when": {"every_seconds": 60, "wait": False},
    }


def test_a_button_that_needs_no_answers_spares_the_questions(shell: Shell, api: Service) -> None:
    message_id = ask(api)
    with (shell.home / "in").open("w+") as typed:
        typed.write("Cancel\n")
        typed.seek(0)
        done = shell.run("answer", message_id, "--json", stdin=typed)
    assert done.returncode == 0, done.stderr
    assert "Which button" in done.stderr
    assert json.loads(done.stdout)["response"] == {"region": "north", "start": False, "cancel": True}


def test_a_text_with_ok_takes_an_enter(shell: Shell, api: Service) -> None:
    message_id = ask(api, body=None, message="The disk is nearly full.")
    with (shell.home / "in").open("w+") as typed:
        typed.write("\n")
        typed.seek(0)
        done = shell.run("answer", message_id, stdin=typed)
    assert done.returncode == 0, done.stderr
    assert "The disk is nearly full." in done.stdout
    assert api.message(message_id).response == {"ok": True}


def test_nobody_at_the_keyboard_answers_nothing(shell: Shell, api: Service) -> None:
    message_id = ask(api)
    assert shell.run("answer", message_id).returncode == 130
    assert api.message(message_id).state is MessageState.OPEN


def test_words_answer_without_questions(shell: Shell, api: Service) -> None:
    message_id = ask(api)
    (shell.workspace / "a.txt").write_text("x")
    words = ("top=3", "key=01234", "kinds=[a, b]", "urgent=no", "note=x=y", "file=a.txt", "start=true")
    answered = shell.json("answer", message_id, *(part for word in words for part in ("-p", word)))
    assert answered["response"] == {
        "region": "north",
        "kinds": ["a", "b"],
        "top": 3,
        "urgent": False,
        "note": "x=y",
        "key": "•••",
        "file": {"name": "a.txt", "content": "eA==", "type": "text/plain"},
        "start": True,
        "cancel": False,
    }
    assert revealed(api, message_id)["key"] == "01234"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["top"], 2, "KEY=VALUE"),
        (["region=west", "start=true"], 1, "takes one of"),
        (["file=no/such/file", "start=true"], 2, "cannot be read"),
        (["top=0", "key=x", "start=true"], 1, "'top' takes a whole number of at least 1, not 0"),
        (["start=true"], 1, "'top' is required"),
        (["top=1", "key=x"], 1, "exactly one of them is true"),
        (["who=x", "cancel=true"], 1, "'who' is not a field of the form"),
    ],
)
def test_words_that_do_not_fit_are_refused(shell: Shell, api: Service, words: list[str], code: int, said: str) -> None:
    message_id = ask(api)
    done = shell.run("answer", message_id, *(part for word in words for part in ("-p", word)))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert api.message(message_id).state is MessageState.OPEN


def test_what_takes_no_answer_says_why(shell: Shell, api: Service) -> None:
    told, asked = ask(api, body=None), ask(api, body=None, request="Who?")
    api.answer_message(asked, {"response": "me"})
    for message_id, why in ((told, "asks for nothing"), (asked, "flow answered it at")):
        done = shell.run("answer", message_id[-8:])
        assert (done.returncode, done.stdout) == (1, "")
        assert why in done.stderr
    assert "There is no message" in shell.run("answer", "ffffffff").stderr
    assert "too short" in shell.run("answer", "ff").stderr
    assert "part of 2 ids" in shell.run("answer", told[:6]).stderr
