"""The OpenAPI document: complete, true, and not changed unnoticed."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from cloudo_extension.backend import backend
from cloudo_extension.backend.backend import Backend
from cloudo_extension.http.examples import EXAMPLES
from cloudo_extension.http.handler import Handler
from cloudo_extension.http.openapi import document
from cloudo_extension.http.operation import METHODS, operations_of
from cloudo_extension.rest import routes
from cloudo_kernel.api import VERBS
from cloudo_kernel.errors import ExecutionNotFound, IllegalTransition
from cloudo_kernel.models import Action, Execution
from cloudo_kernel.workspace.layout import Workspace
from tests.server import RunningServer

SNAPSHOT = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document(routes, base_url="/")


def test_the_document_is_openapi_3_1(made: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(made).validate()


def test_the_document_is_made_before_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PREPARE_SECONDS", 0.0)
    made = threading.Event()

    async def use() -> None:
        used = Backend(Workspace(tmp_path), has_worker=False, prepare=made.set)
        await used.open()
        assert await asyncio.to_thread(made.wait, 10)
        await used.close()

    asyncio.run(use())


def test_the_document_changes_only_with_its_snapshot(made: dict[str, Any]) -> None:
    """Renew it with `python -m cloudo_extension > docs/openapi.json`."""
    assert json.loads(SNAPSHOT.read_text()) == made


def test_each_method_that_serves_is_in_the_document_and_no_other(made: dict[str, Any]) -> None:
    documented = [
        (method.upper(), operation["operationId"])
        for path in made["paths"].values()
        for method, operation in path.items()
    ]
    served = [
        (method, operations_of(handler)[method].id)
        for _, handler in routes
        for method in METHODS
        if getattr(handler, method.lower()) is not getattr(Handler, method.lower())
    ]
    assert sorted(documented) == sorted(served)
    names = [name for _, name in documented]
    assert len(set(names)) == len(names) > 50


def test_each_verb_with_an_address_is_served_there() -> None:
    served = {
        (operation.verb, f"{method} {pattern.removeprefix('cloudo/api/1/')}")
        for pattern, handler in routes
        for method, operation in operations_of(handler).items()
    }
    for name, verb in VERBS.items():
        if verb.http is not None:
            path = re.sub(r"{\w+}", "([^/]+)", re.sub(r"{\w+:path}", "(.+)", verb.http))
            assert (name, path) in served, name
    assert {name for name, verb in VERBS.items() if verb.http is None} == {"wait", "wait_message"}


def test_a_method_that_does_not_say_what_it_is_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"Silent.get needs @operation"):

        class Silent(Handler):
            async def get(self) -> None: ...


def test_each_operation_says_what_it_is_takes_and_answers(made: dict[str, Any]) -> None:
    for path in made["paths"].values():
        for operation in path.values():
            name = operation["operationId"]
            assert operation["summary"], name
            assert operation["description"], name
            failing = {status for status in operation["responses"] if status >= "400"}
            if name not in ("alive", "health"):
                assert failing >= ({"403"} if operation.get("security") is None else set()), name
            for status, response in operation["responses"].items():
                assert response["description"], name
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if status >= "400" and name != "health":
                    assert schema == {"$ref": "#/components/schemas/ErrorReply"}, name
            if "requestBody" in operation:
                assert "403" not in failing or name == "call_webhook" or failing >= {"400", "413", "415"}, name


def test_an_operation_has_the_errors_and_the_permission_of_its_verb(made: dict[str, Any]) -> None:
    cancel = made["paths"]["/api/1/execution/{execution_id}/cancel"]["post"]
    assert f"`{ExecutionNotFound.code}`" in cancel["responses"]["404"]["description"]
    assert f"`{IllegalTransition.code}`" in cancel["responses"]["409"]["description"]
    assert cancel["security"] == [{"token": [Action.EXECUTION_WRITE]}]


def test_each_body_has_an_example_that_is_taken() -> None:
    bodies = [
        operation
        for _, handler in routes
        for operation in operations_of(handler).values()
        if operation.body is not None
    ]
    for operation in bodies:
        assert operation.example is not None, operation.id
        assert operation.body is not None
        operation.body.model_validate(operation.example)


def test_each_record_that_is_sent_has_an_example(made: dict[str, Any]) -> None:
    def sent() -> set[type[BaseModel]]:
        operations = [operation for _, handler in routes for operation in operations_of(handler).values()]
        return {reply.content for operation in operations for reply in operation.replies.values() if reply.content}

    schemas = made["components"]["schemas"]
    for record in sent() - {next(kind for kind in sent() if kind.__name__ == "Document")}:
        name = record.__name__.replace("[", "_").replace("]", "_")
        assert schemas[name]["examples"], name
    assert len({type(record) for record in EXAMPLES}) == len(EXAMPLES)


def test_fields_have_the_descriptions_of_their_models(made: dict[str, Any]) -> None:
    fields = made["components"]["schemas"]["Execution"]["properties"]
    assert (
        fields["id"]["description"]
        == Execution.model_fields["id"].description
        == "UUIDv7: sorts by the time of creation."
    )
    assert fields["created_at"]["format"] == "date-time"


def test_a_server_sends_the_document_with_its_own_address(
    server: RunningServer, http: httpx.Client, anonymous: httpx.Client, made: dict[str, Any]
) -> None:
    reply = http.get("/openapi.json")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json() == made
    assert anonymous.get("/openapi.json").status_code == 403
