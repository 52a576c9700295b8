"""No request keeps the server busy: what is past a bound of `docs/security.md` is refused."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudo_kernel.forms.elements import FILE_LIMIT_BYTES
from cloudo_kernel.security import bounds
from tests.bounds import ANY_FLOW, BOUNDED, WEBHOOK, Bounded
from tests.extension.conftest import StartServer, client, error_of
from tests.flows import write_flow, write_script
from tests.server import RunningServer

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def server(start: StartServer) -> RunningServer:
    server = start(None, "--Cloudo.embedded_worker=False")
    write_flow(server.workspace, ANY_FLOW, "1")
    with client(server) as http:
        made = http.post("/webhook", json={"name": WEBHOOK, "flow_name": ANY_FLOW})
        assert made.status_code == 201, made.text
    return server


def send(server: RunningServer, case: Bounded, request: dict[str, Any]) -> httpx.Response:
    path = case.path if case.path.startswith("/") else f"{server.url}cloudo/{case.path}?async=1"
    with client(server) as http:
        return http.request(case.method, path, **request)


@pytest.mark.parametrize("case", BOUNDED, ids=lambda case: case.row)
def test_one_step_past_a_bound_is_refused_and_the_bound_itself_is_taken(server: RunningServer, case: Bounded) -> None:
    past = send(server, case, case.past)
    assert past.status_code == case.status, past.text[:500]
    error_of(past)
    at = send(server, case, case.at)
    assert at.status_code == case.at_status if case.at_status else at.is_success, at.text[:500]


def test_a_flow_past_a_bound_is_broken_with_the_reason_and_the_others_are_listed(server: RunningServer) -> None:
    deep = f"# cloudo:\n#   tags: {'[' * 7_000}{']' * 7_000}\ndef handler(system, this): pass\n"
    write_script(server.workspace, "past/nesting", deep)
    write_script(
        server.workspace, "past/words", "def handler(system, this): pass\n" + "x=1\n" * bounds.MAX_SCRIPT_WORDS
    )
    write_flow(server.workspace, "past/inputs", "1", parameters="=".join(f"x{n}" for n in range(201)) + "=1")
    values = {"metadata": {"a": [1] * bounds.MAX_NOTEBOOK_VALUES}, "nbformat": 4, "nbformat_minor": 5, "cells": []}
    (server.workspace / "flows" / "past" / "values.ipynb").write_text(json.dumps(values))
    with client(server) as http:
        found = {flow["name"]: flow["broken"] for flow in http.get("/flow").json()["items"]}
    assert found[ANY_FLOW] is None
    assert {name.removeprefix("past/"): reason for name, reason in found.items() if name.startswith("past/")} == {
        "nesting": "its metadata '# cloudo:' cannot be read as YAML: it is nested more than 30 deep",
        "words": "it has more than 20,000 words and signs of Python source",
        "inputs": "the parameters cell has more than 200 inputs",
        "values": "it holds more than 300,000 values; clear its outputs",
    }


@pytest.mark.parametrize(
    "script",
    [
        "+".join(["1"] * 200_000),  # it could be base64, too
        f"x={'-' * 19_000}1\ndef handler(system, this): pass",
        "QUFB" * 100_000,
    ],
    ids=["sum", "signs", "base64"],
)
def test_a_script_that_no_parser_takes_is_no_error_of_the_server(server: RunningServer, script: str) -> None:
    with client(server) as http:
        reply = http.post("/execution", json={"script": script, "delay_seconds": 1_000_000})
    assert reply.status_code == 201, reply.text[:500]  # its own error shows when it runs


def test_the_table_of_bounds_has_a_row_for_each() -> None:
    table = SECURITY.read_text().partition("## What a request can cost")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]
    assert [case.row for case in BOUNDED] == [row for row in rows if row in {case.row for case in BOUNDED}]


def test_an_answer_with_several_files_may_be_larger_than_a_record(server: RunningServer) -> None:
    keys = ("a", "b", "c", "d")
    form = {"properties": {key: {"element": "file"} for key in keys}}
    file = {"name": "large", "content": base64.b64encode(bytes(FILE_LIMIT_BYTES)).decode()}
    with client(server) as http:
        asked = http.post("/message", json={"subject": "Which files?", "body": form}).json()
        reply = http.post(f"/message/{asked['id']}/response", json={"response": dict.fromkeys(keys, file)})
    assert reply.status_code == 200, reply.text[:500]
