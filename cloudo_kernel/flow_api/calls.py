"""The calls behind the flow author's objects: over the channel inside a run, over a connection elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from cloudo_kernel.api import AuthorApi
from cloudo_kernel.api.run import RUN_VERBS, RunVerbs
from cloudo_kernel.api.verb import Verb, derived
from cloudo_kernel.errors import MalformedRequest, WaitInterrupted
from cloudo_kernel.models import (
    CreateMessage,
    Execution,
    JsonObject,
    StartExecution,
    malformed,
)
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.workspace.files import decoded, encoded

if TYPE_CHECKING:
    from cloudo_kernel.api import Api


Request = TypeVar("Request", bound=BaseModel)


class Caller(Protocol):
    """The flow's end of a channel."""

    def call(self, verb: str, **arguments: Any) -> Any:
        """See `channel.Channel.call`."""

    def tell(self, verb: str, **arguments: Any) -> None:
        """See `channel.Channel.tell`."""


def to_wire(arguments: Mapping[str, Any], *, now: Callable[[], float]) -> JsonObject:
    """Return the arguments of a call as JSON for the channel, and for the journal of a durable flow.

    Bytes are sent as text with its `encoding`. The `timeout` of a wait is sent as the moment `until`, by the store's
    clock: a wait that is repeated must end at the same moment.
    """
    sent: JsonObject = {}
    for name, value in arguments.items():
        if name == "timeout":
            sent["until"] = None if value is None else now() + value.total_seconds()
        elif isinstance(value, bytes):
            sent[name], sent["encoding"] = encoded(value)
        elif isinstance(value, BaseModel):
            sent[name] = value.model_dump(mode="json", exclude_unset=True)
        else:
            sent[name] = value
    return sent


def from_wire(verb: Verb, sent: Mapping[str, Any], *, now: Callable[[], float]) -> dict[str, Any]:
    """Return the arguments of a call with their declared types: the opposite of `to_wire`."""
    arguments = dict(sent)
    if "until" in arguments:
        until = arguments.pop("until")
        arguments["timeout"] = None if until is None else timedelta(seconds=until - now())
    if "encoding" in arguments:
        arguments["content"] = decoded(arguments["content"], arguments.pop("encoding"))
    return verb.validated(arguments)


def _over_channel(verb: Verb) -> Callable[..., Any]:
    """Return the method of a verb that calls the worker."""

    def method(api: RunApi, *given: Any, **named: Any) -> Any:
        return api.call(verb, verb.arguments(*given, **named))

    return method


@derived(_over_channel)
class RunApi(AuthorApi, RunVerbs):
    """The calls of a running flow: the verbs that are not written here are calls of its worker, as declared."""

    def __init__(self, channel: Caller) -> None:
        self._channel = channel

    def call(self, verb: Verb, arguments: Mapping[str, Any]) -> Any:
        """Call the worker, and return the result with its declared type. Raises the worker's error."""
        return verb.result.validate_python(self._channel.call(verb.name, **to_wire(arguments, now=self.now)))

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """Start a child. Raises `MalformedRequest` for a key: a durable flow does not repeat a recorded start."""
        if idempotency_key is not None:
            raise MalformedRequest("idempotency_key works only outside of a running flow.", field="idempotency_key")
        return self.start_child(request)

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`. Releases the slot while it waits."""
        ended = self.wait_for([execution_id], timeout=timeout)
        return ended[0] if ended else self.execution(execution_id)

    def acquire_lock(self, name: str, *, timeout: timedelta | None = None, call: str | None = None) -> bool:
        """See `RunVerbs.acquire_lock`."""
        arguments = {"name": name, "timeout": timeout, "call": call or new_id()}
        is_new: bool = self.call(RUN_VERBS["acquire_lock"], arguments)
        return is_new

    def log(self, text: str, *, level: str, at: float = 0.0) -> None:
        """See `RunVerbs.log`. There is no answer to wait for."""
        self._channel.tell("log", text=text, level=level, at=at)

    def save(self, **fields: Any) -> None:
        """See `RunVerbs.save`."""
        self._channel.call("save", **fields)


def has_children(api: AuthorApi) -> bool:
    """Tell whether `api` belongs to a running flow, which can have children."""
    return isinstance(api, RunApi)


def is_whole(api: AuthorApi) -> bool:
    """Tell whether `api` has all verbs: those of a running flow are fewer."""
    return hasattr(api, "events")


def interrupted_wait(api: AuthorApi, name: str, execution_ids: Sequence[str]) -> WaitInterrupted:
    """Return the error for an interrupted wait outside of a running flow."""
    return WaitInterrupted(name, execution_ids, system="system" if has_children(api) else "cloudo_kernel.connect()")


def run_verbs(api: AuthorApi, what: str) -> RunVerbs:
    """Return `api` with the verbs that only a running flow has. Raises `MalformedRequest` outside of a run."""
    if not isinstance(api, RunApi):
        raise MalformedRequest(f"{what} works only inside of a running flow.")
    return api


class LazyApi:
    """An `Api` that connects on first use, because a kernel opened by hand must not look for a server at its start."""

    @cached_property
    def connected(self) -> Api:
        """The `Api`, connected on first use."""
        from cloudo_kernel.discovery import connect

        return connect()

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.connected, verb)


def start_request(**fields: Any) -> StartExecution:
    """Return a request to start an execution. Raises `MalformedRequest`, naming the field."""
    return request_of(StartExecution, fields)


def message_request(**fields: Any) -> CreateMessage:
    """Return a request to create a message, from the fields that are not None. Raises `MalformedRequest`."""
    return request_of(CreateMessage, {name: value for name, value in fields.items() if value is not None})


def request_of(kind: type[Request], fields: JsonObject) -> Request:
    """Return a request of this kind. Raises `MalformedRequest`, naming each invalid field."""
    try:
        return kind(**fields)
    except ValidationError as error:
        raise malformed(error) from error
