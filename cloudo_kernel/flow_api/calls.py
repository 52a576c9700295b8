"""The calls behind the flow author's objects: inside a run over its channel, elsewhere over a connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api.caller import Caller
from cloudo_kernel.flow_api.schedule_calls import RunScheduleCalls, ScheduleCalls
from cloudo_kernel.models import (
    CreateMessage,
    Execution,
    ExecutionFilter,
    File,
    Flow,
    JsonObject,
    Message,
    OwnClient,
    Page,
    Setting,
    StartExecution,
    Status,
    User,
    malformed,
)
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.workspace.files import encoded

if TYPE_CHECKING:
    from cloudo_kernel.api import Api


Request = TypeVar("Request", bound=BaseModel)


class Calls(ScheduleCalls, Protocol):
    """The verbs of `Api` that work everywhere; they are documented there."""

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """See `Api.flows`."""

    def flow(self, name: str) -> Flow:
        """See `Api.flow`."""

    def start_execution(self, request: StartExecution) -> Execution:
        """See `Api.start_execution`; inside a run it starts a child."""

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """See `Api.executions`."""

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`; inside a run it gives the slot back meanwhile."""

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`; inside a run it starts a child."""

    def create_message(self, request: CreateMessage) -> Message:
        """See `Api.create_message`; inside a run the message is the execution's."""

    def message(self, message_id: str) -> Message:
        """See `Api.message`; inside a run with protected answers."""

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """See `Api.wait_message`; inside a run it gives the slot back meanwhile, and has protected answers."""

    def setting(self, name: str) -> Setting:
        """See `Api.setting`."""

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """See `Api.save_setting`."""

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""

    def user(self) -> User:
        """See `Api.user`."""


class ChildCalls(Protocol):
    """The verbs that only a running flow has, most of them for what it started."""

    def release_execution(self, execution_id: str, after: Sequence[str] = ()) -> Execution:
        """Let a held execution run, at once or when others have ended in success; another one stays as it is."""

    def clone_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Create a child like an execution, with the same inputs or others, and hold it."""

    def save_execution(self, execution_id: str, fields: JsonObject) -> Execution:
        """Change fields of a child."""

    def flow_source(self, name: str) -> str:
        """Return a flow's source as it is now."""

    def own_client(self) -> OwnClient:
        """Return where the flow runs."""


def has_children(api: Calls) -> bool:
    """Tell whether these are the calls of a running flow, which has children."""
    return bool(getattr(api, "is_of_run", False))


def child_calls(api: Calls, what: str) -> ChildCalls:
    """Return the same calls, with those that only a running flow has. Raises `MalformedRequest`."""
    if not has_children(api):
        raise MalformedRequest(f"{what} works only inside of a running flow.")
    return cast("ChildCalls", api)


class RunApi(RunScheduleCalls):
    """`Calls` from inside a run, and what only the running execution itself can say."""

    #: See `has_children`.
    is_of_run: ClassVar = True

    def __init__(self, channel: Caller) -> None:
        self._channel = channel

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """See `Api.flows`."""
        return tuple(Flow.model_validate(flow) for flow in self._channel.call("flows", q=q))

    def flow(self, name: str) -> Flow:
        """See `Api.flow`."""
        return Flow.model_validate(self._channel.call("flow", name=name))

    def flow_source(self, name: str) -> str:
        """Return a flow's source as it is now."""
        return str(self._channel.call("flow_source", name=name))

    def start_execution(self, request: StartExecution) -> Execution:
        """Start a child."""
        return self.start_child(request)

    def start_child(
        self, request: StartExecution, *, is_held: bool = False, init: JsonObject | None = None
    ) -> Execution:
        """Start a child, or with `is_held` only create it. `init` are fields that it has from the beginning."""
        given = {"request": request.model_dump(mode="json"), "is_held": is_held, "init": init}
        return Execution.model_validate(self._channel.call("start_child", **given))

    def clone_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `ChildCalls.clone_execution`."""
        cloned = self._channel.call("clone_execution", execution_id=execution_id, inputs=inputs)
        return Execution.model_validate(cloned)

    def release_execution(self, execution_id: str, after: Sequence[str] = ()) -> Execution:
        """See `ChildCalls.release_execution`."""
        released = self._channel.call("release_execution", execution_id=execution_id, after=list(after))
        return Execution.model_validate(released)

    def save_execution(self, execution_id: str, fields: JsonObject) -> Execution:
        """See `ChildCalls.save_execution`."""
        saved = self._channel.call("save_execution", execution_id=execution_id, fields=fields)
        return Execution.model_validate(saved)

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""
        return Execution.model_validate(self._channel.call("execution", execution_id=execution_id))

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """See `Api.executions`."""
        given = (where or ExecutionFilter()).model_dump(mode="json")
        page = self._channel.call("executions", where=given, limit=limit, cursor=cursor)
        return Page[Execution].model_validate(page)

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """Wait without a slot."""
        ended = self.wait_for([execution_id], timeout=timeout)
        return ended[0] if ended else self.execution(execution_id)

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""
        # Not always: a durable flow of an older version has recorded the call without it.
        more = {"tree": True} if tree else {}
        return Execution.model_validate(self._channel.call("cancel_execution", execution_id=execution_id, **more))

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        return Execution.model_validate(self._channel.call("pause_execution", execution_id=execution_id))

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        return Execution.model_validate(self._channel.call("resume_execution", execution_id=execution_id))

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Start an ended execution anew, as a child."""
        retried = self._channel.call("retry_execution", execution_id=execution_id, inputs=inputs)
        return Execution.model_validate(retried)

    def create_message(self, request: CreateMessage) -> Message:
        """Make a message of the running execution."""
        made = self._channel.call("create_message", request=request.model_dump(mode="json", exclude_unset=True))
        return Message.model_validate(made)

    def message(self, message_id: str) -> Message:
        """Return a message, with protected answers."""
        return Message.model_validate(self._channel.call("message", message_id=message_id))

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """Wait without a slot until the message takes no answer any more; return it with protected answers."""
        until = None if timeout is None else self.now() + timeout.total_seconds()  # as for `wait_for`
        return Message.model_validate(self._channel.call("wait_message", message_id=message_id, until=until))

    def setting(self, name: str) -> Setting:
        """See `Api.setting`."""
        return Setting.model_validate(self._channel.call("setting", name=name))

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        return tuple(Setting.model_validate(setting) for setting in self._channel.call("settings"))

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """See `Api.save_setting`."""
        saved = self._channel.call("save_setting", name=name, value=value, secret=secret)
        return Setting.model_validate(saved)

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        self._channel.call("delete_setting", name=name)

    def acquire_lock(self, name: str, *, timeout: timedelta | None = None) -> bool:
        """Take the lock of a name, waiting without a slot; False: this execution has it already."""
        until = None if timeout is None else self.now() + timeout.total_seconds()
        # By its id the call is known when a flow that died in it makes it again.
        return bool(self._channel.call("acquire_lock", name=name, until=until, call=new_id()))

    def release_lock(self, name: str) -> bool:
        """Let go of the lock of a name; False: this execution does not have it."""
        return bool(self._channel.call("release_lock", name=name))

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        return tuple(File.model_validate(file) for file in self._channel.call("files", folder=folder, glob=glob))

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        return File.model_validate(self._channel.call("file", path=path, with_content=with_content))

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        text, encoding = encoded(content)
        return File.model_validate(self._channel.call("save_file", path=path, content=text, encoding=encoding))

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""
        self._channel.call("delete_file", path=path)

    def user(self) -> User:
        """See `Api.user`."""
        return User.model_validate(self._channel.call("user"))

    def own_client(self) -> OwnClient:
        """See `ChildCalls.own_client`."""
        return OwnClient.model_validate(self._channel.call("own_client"))

    def this(self) -> Execution:
        """Return the running execution's own record."""
        return Execution.model_validate(self._channel.call("this"))

    def wait_for(
        self, ids: Sequence[str], *, first: bool = False, timeout: timedelta | None = None
    ) -> tuple[Execution, ...]:
        """Wait, without a slot, until all or the first of them have ended; return those that have."""
        # A moment, not a period: it stays the same if the wait has to be made again.
        until = None if timeout is None else self.now() + timeout.total_seconds()
        ended = self._channel.call("wait_for", ids=list(ids), first=first, until=until)
        return tuple(Execution.model_validate(record) for record in ended)

    def now(self) -> float:
        """Return the time by the store's clock, in seconds since 1970."""
        return float(self._channel.call("now"))

    def sleep_until(self, when: float, *, seconds: float | None = None) -> None:
        """Wait, without a slot, for a moment in seconds since 1970; if `seconds` are given, no longer than these."""
        self._channel.call("sleep_until", when=when, seconds=seconds)

    def step_begin(self, name: str) -> JsonObject:
        """Begin a step; tell whether it was done before (`is_done`), its `result` or `error` then, and its `number`."""
        return dict(self._channel.call("step_begin", name=name))

    def step_done(self, number: int, result: Any) -> Any:
        """Keep the result of the step, and return it."""
        return self._channel.call("step_done", number=number, result=result)

    def step_failed(self, number: int, error: JsonObject) -> None:
        """Keep the error that the step raised; see `raised`."""
        self._channel.call("step_failed", number=number, error=error)

    def log(self, text: str, *, level: str) -> None:
        """Add a line to the log; it is in the worker's hands when this returns."""
        self._channel.tell("log", text=text, level=level)

    def save(self, **fields: Any) -> None:
        """Save `name`, `message` or `output_value` of the running execution."""
        self._channel.call("save", **fields)

    def set_output(self, key: str, value: Any, *, append: bool) -> None:
        """Save one output."""
        self._channel.call("set_output", key=key, value=value, append=append)

    def webhook_response(self, content: bytes, *, status: int, content_type: str) -> None:
        """Say what the call that started this execution is answered."""
        text, encoding = encoded(content)
        self._channel.call(
            "webhook_response", content=text, encoding=encoding, status=status, content_type=content_type
        )

    def end(self, status: Status, message: str | None) -> None:
        """Say how the execution is to end; the notebook has to stop then."""
        self._channel.call("end", status=status, message=message)


class LazyApi:
    """Connects when it is first used: a kernel opened by hand must not look for a server at its start."""

    @cached_property
    def connected(self) -> Api:
        """Connect, at the first time."""
        from cloudo_kernel.discovery import connect

        return connect()

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.connected, verb)


def start_request(**fields: Any) -> StartExecution:
    """Return a request to start. Raises `MalformedRequest`, naming the field."""
    return request_of(StartExecution, fields)


def message_request(**fields: Any) -> CreateMessage:
    """Return a request to make a message of the fields that are not None. Raises `MalformedRequest`."""
    return request_of(CreateMessage, {name: value for name, value in fields.items() if value is not None})


def request_of(kind: type[Request], fields: JsonObject) -> Request:
    """Return a request of this kind. Raises `MalformedRequest`, naming each field that is invalid."""
    try:
        return kind(**fields)
    except ValidationError as error:
        raise malformed(error) from error
