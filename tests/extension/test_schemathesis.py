"""Unusual requests generated from the OpenAPI document: each gets a documented reply."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis import checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from cloudo_extension.http.openapi import document
from cloudo_extension.rest import routes
from tests.extension.conftest import StartServer, client
from tests.flows import write_flow
from tests.server import RunningServer


def schema(**config: Any) -> Any:
    whole = document(routes, base_url="/")
    return schemathesis.openapi.from_dict(whole, config=SchemathesisConfig.from_dict(config))


#: Each limit of each parameter and field, met and passed, and a few requests at random.
AT_THE_LIMITS = schema(phases={"coverage": {"unexpected-methods": []}}, generation={"with-security-parameters": False})
#: Requests that fit, at random.
FITTING = schema(phases={"coverage": {"enabled": False}}, generation={"mode": "positive"})
#: Requests that violate their schema, at random.
VIOLATING = schema(phases={"coverage": {"enabled": False}}, generation={"mode": "negative"})
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    #: No request that violates its schema is accepted.
    checks.negative_data_rejection,
]
#: Few for each: together they are some thousands. The same in each run of the tests.
FEW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
#: Values that read like a number, a boolean or a time; a lax model takes them for one.
LOOKALIKES: tuple[object, ...] = ("5", "1e3", "true", "yes", True, 1, 1.5, "1764576000", 1764576000, "soon")
_KINDS = {"boolean", "integer", "number", "date-time"}
LATER = {"flow_name": "examples/greeting", "inputs": {"name": "Ada"}, "delay_seconds": 1e6}
#: What is made to be there: the address at which it is made, how, and where its name is in the reply.
KINDS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "execution": ("/execution", lambda _name: LATER, "id"),
    "flow": ("/flow", lambda name: {"name": name, "copy_of": "examples/greeting"}, "name"),
    "message": ("/message", lambda name: {"subject": name, "request": "How many?"}, "id"),
    "schedule": (
        "/schedule",
        lambda _name: {**LATER, "delay_seconds": None} | {"trigger": {"daily_at": "08:30"}},
        "id",
    ),
    "setting": ("/setting", lambda name: {"name": name, "value": 1}, "name"),
    "token": ("/token", lambda name: {"name": name, "actions": ["read"]}, "id"),
    "webhook": ("/webhook", lambda name: {"name": name, "flow_name": "examples/greeting"}, "name"),
}


@pytest.fixture(scope="module")
def served(start: StartServer) -> RunningServer:
    """A server for these alone: they change settings, and delete what they find."""
    server = start(None, "--Cloudo.max_body_bytes=1000000")
    write_flow(server.workspace, "examples/greeting", "1", parameters="name: str = 'you'")
    return server


@pytest.fixture(scope="module")
def rest(served: RunningServer) -> Iterator[httpx.Client]:
    with client(served) as http:
        yield http


@cache
def session() -> requests.Session:
    """Return a session that keeps its connection but no cookies, and reads no file about proxies for each request."""
    kept = requests.Session()
    kept.trust_env = False
    kept.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return kept


def send(case: Any, server: RunningServer) -> None:
    """Send a request, and check the reply; what would only take long is left out."""
    for fields, name in ((case.query, "timeout_seconds"), (case.query, "wait"), (case.body, "wait")):
        if isinstance(fields, dict) and is_long(fields.get(name)):
            del fields[name]
    # A query parameter that is empty counts as not given, whatever its schema says.
    is_empty = any(value in ("", [""]) for value in (case.query or {}).values())
    headers = {"Authorization": f"token {server.token}"}
    asked = CHECKS[:-1] if is_empty else CHECKS
    where = {"base_url": f"{server.url}cloudo", "session": session(), "timeout": 60}
    reply = case.call_and_validate(**where, headers=headers, checks=asked)
    if case.operation.path.endswith("/bulk") and reply.status_code == 200:
        # At its limit it has started hundreds of executions, and none of them needs to run.
        pending: Any = {"action": "cancel", "filter": {"status": ["PENDING"], "flow_name": "examples/greeting"}}
        session().post(f"{server.api}/execution/bulk", json=pending, headers=headers).raise_for_status()


def is_long(seconds: Any) -> bool:
    try:
        return float(seconds) > 0
    except (TypeError, ValueError):
        return False


def name_what_is_there(case: Any, rest: httpx.Client) -> bool:
    """Make what the request is about; tell whether it has a kind that can be made."""
    kind = case.operation.path.removeprefix("/api/1").split("/")[1]
    if kind not in KINDS:
        return False
    address, body, key = KINDS[kind]
    fields = {name: value for name, value in body(f"x{uuid.uuid4().hex}").items() if value is not None}
    made = rest.post(address, json=fields)
    assert made.status_code == 201, made.text
    parameter = next(iter(case.path_parameters))
    case.path_parameters[parameter] = made.json()[key]
    return True


@AT_THE_LIMITS.parametrize()
@FEW
def test_whatever_is_asked_for_the_reply_is_one_that_the_document_tells_of(case: Any, served: RunningServer) -> None:
    send(case, served)


@FITTING.include(path_regex="{").parametrize()
@FEW
def test_so_it_is_with_what_is_there(case: Any, served: RunningServer, rest: httpx.Client) -> None:
    name_what_is_there(case, rest)
    send(case, served)


@VIOLATING.parametrize()
@FEW
def test_nothing_that_violates_its_schema_is_accepted(case: Any, served: RunningServer, rest: httpx.Client) -> None:
    """Of things that are there: that one is missing would hide that the rest is accepted."""
    wrong = {location for location, info in case.meta.components.items() if info.mode.is_negative}
    if case.path_parameters and name_what_is_there(case, rest) and wrong == {ParameterLocation.PATH}:
        return
    send(case, served)


def fields(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the paths of all fields of a body that are numbers, booleans or times, and the schema of each."""
    for name, field in schema.get("properties", {}).items():
        branches = [resolved(branch, whole) for branch in field.get("anyOf", [field])]
        if any(branch.get("format", branch.get("type")) in _KINDS for branch in branches):
            yield (name,), field
        for branch in branches:
            yield from (((name, *path), inner) for path, inner in fields(branch, whole))


def resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return whole["components"]["schemas"][name] if name else schema


def nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    return {path[0]: nested(path[1:], value) if path[1:] else value}


def test_no_value_that_only_reads_like_its_kind_is_accepted(rest: httpx.Client) -> None:
    """What is generated at random is seldom "5" in place of 5."""
    whole = document(routes, base_url="/")
    sent = 0
    for address, operations in whole["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for path, field in fields(resolved(content.get("schema", {}), whole), whole):
                fits = Draft202012Validator({**field, "components": whole["components"]}).is_valid
                for value in (one for one in LOOKALIKES if not fits(one)):
                    given = {**content["example"], **nested(path, value)}
                    reply = rest.request(method, address.removeprefix("/api/1").format_map(Names()), json=given)
                    told = reply.json().get("error") or {}
                    named = [one["field"] for one in told.get("errors") or [told]]
                    assert (reply.status_code, ".".join(path) in named) == (400, True), (method, address, given, told)
                    sent += 1
    assert sent > 200


class Names(dict[str, str]):
    """Names for the parameters of an address."""

    def __missing__(self, name: str) -> str:
        """Return a name that nothing has."""
        return f"no-such-{name}"
