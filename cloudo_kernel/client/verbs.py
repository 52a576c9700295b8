"""`Client`: each verb of `Api` as a request. Those that are not written here follow from their declaration."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast, get_args, get_origin

import httpx
from pydantic import BaseModel

from cloudo_kernel.api import Api
from cloudo_kernel.api.verb import Verb, derived
from cloudo_kernel.client.http import in_path, json_body, part
from cloudo_kernel.client.waiting import Waiting
from cloudo_kernel.errors import FormInvalid, InputsInvalid, ResponseInvalid
from cloudo_kernel.models import (
    CreateMessage,
    Execution,
    ExecutionCells,
    File,
    Flow,
    Health,
    JsonObject,
    Message,
    MessageState,
    Page,
    StartExecution,
)
from cloudo_kernel.workspace.files import encoded

_IN_PATH = re.compile(r"{(\w+)(:path)?}")


def _over_http(verb: Verb) -> Callable[..., Any]:
    """Return the method of a verb that makes the declared request."""

    def method(client: Client, *given: Any, **named: Any) -> Any:
        return client.ask(verb, verb.arguments(*given, **named))

    return method


@derived(_over_http)
class Client(Waiting, Api):
    """`Api` over HTTP. Thread-safe."""

    def ask(self, verb: Verb, arguments: JsonObject) -> Any:
        """Make the request that a verb declares, and return its result.

        Arguments that are not in the path are the query or the body; those that have their default are left out.
        A list without pages in `Api` has them over HTTP: a GET fetches them all.
        """
        method, path = _address(verb, arguments)
        sent = {name: value for name, value in arguments.items() if value is not verb.defaults[name]}
        for name, _ in _IN_PATH.findall(cast("str", verb.http)):
            del sent[name]
        page = _page_of(verb)
        if method == "GET":
            query = _query(sent)
            if page is not None:
                return self._whole(page, path, **query)
            reply = self._send("GET", path, params=query)
        else:
            body = sent.get("request", sent)
            reply = self._send(method, path, **(json_body(body) if body else {}))
        if page is not None:
            return self._record(page, reply).items
        return self._result(verb, reply)

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`. Always sends a key, so that the request can be repeated if the reply is lost."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        reply = self._send("POST", "execution", **json_body(request, headers), is_repeatable=True)
        return self._record(Execution, reply)

    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """See `Api.change_flow`."""
        wanted = {key: value for key, value in (("source", source), ("name", new_name)) if value is not None}
        return self._record(Flow, self._send("PATCH", f"flow/{in_path(name)}", **json_body(wanted)))

    def create_message(self, request: CreateMessage) -> Message:
        """See `Api.create_message`."""
        try:
            body = json_body(request)
        except InputsInvalid as error:
            raise FormInvalid("body", "is no JSON") from error
        return self._record(Message, self._send("POST", "message", **body))

    def messages(
        self,
        *,
        unanswered: bool = False,
        states: Sequence[MessageState] = (),
        execution_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Message]:
        """See `Api.messages`."""
        wanted = {
            "unanswered": "1" if unanswered else None,
            "state": ",".join(states) or None,
            "execution_id": execution_id,
        }
        return self._get(Page[Message], "message", **wanted, limit=limit, cursor=cursor)

    def answer_message(self, message_id: str, response: JsonObject) -> Message:
        """See `Api.answer_message`."""
        try:
            body = json_body({"response": response})
        except InputsInvalid as error:
            raise ResponseInvalid(None, "is no JSON") from error
        return self._record(Message, self._send("POST", f"message/{part(message_id)}/response", **body))

    def execution_cells(self, execution_id: str, *, after: str | None = None, first: int = 0) -> ExecutionCells:
        """See `Api.execution_cells`."""
        query = {"after": after, "from": first or None}
        return self._get(ExecutionCells, f"execution/{part(execution_id)}/cells", **query)

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        return self._whole(Page[File], "file", dir=folder, glob=glob)

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        return self._get(File, f"file/{in_path(path)}", content=None if with_content else 0)

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        text, encoding = encoded(content)
        body = json_body({"content": text, "encoding": encoding})
        return self._record(File, self._send("PUT", f"file/{in_path(path)}", **body))

    def health(self) -> Health:
        """See `Api.health`. A server that cannot start anything answers with 503 and a record."""
        reply = self._request("GET", "health")
        return self._record(Health, reply if reply.status_code == 503 else self._checked(reply))

    def _result(self, verb: Verb, reply: httpx.Response) -> Any:
        if verb.returns is type(None):
            return None
        return reply.content.decode() if verb.returns is str else self._record(verb.returns, reply)


def _address(verb: Verb, arguments: JsonObject) -> tuple[str, str]:
    """Return the HTTP method and the path of a request."""
    assert verb.http is not None

    def quoted(found: re.Match[str]) -> str:
        text = arguments[found[1]]
        return in_path(text) if found[2] else part(text)

    method, _, path = verb.http.partition(" ")
    return method, _IN_PATH.sub(quoted, path)


def _query(arguments: JsonObject) -> JsonObject:
    """Return arguments as query parameters: the fields of a filter are parameters of their own."""
    query: JsonObject = {}
    for name, value in arguments.items():
        is_filter = isinstance(value, BaseModel)
        query |= value.model_dump(mode="json", exclude_none=True) if is_filter else {name: value}
    return query


@cache
def _page_of(verb: Verb) -> type[Page[Any]] | None:
    """Return the page that a list without pages in `Api` is sent as, or None for a verb with another result."""
    if get_origin(verb.returns) is not tuple:
        return None
    return cast("type[Page[Any]]", Page.__class_getitem__(get_args(verb.returns)[0]))
