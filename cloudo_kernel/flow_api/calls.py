"""The calls behind the flow author's objects: over the channel inside a run, over a connection elsewhere."""

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
    """The verbs of `Api` that work inside and outside of a run. `Api` documents them."""

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
        """See `Api.wait`; inside a run it releases the slot while it waits."""

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`; inside a run it starts a child."""

    def create_message(self, request: CreateMessage) -> Message:
        """See `Api.create_message`; inside a run the message belongs to the execution."""

    def message(self, message_id: str) -> Message:
        """See `Api.message`; inside a run it includes protected answers."""

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """See `Api.wait_message`; inside a run it releases the slot meanwhile and includes protected answers."""

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
    """The verbs that only a running flow has, most of them for its children."""

    def release_execution(self, execution_id: str, after: Sequence[str] = ()) -> Execution:
        """Release a held execution: it runs now, or once all of `after` have succeeded. No effect if it is not held."""

    def clone_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Create a held child that copies an execution, with the same inputs or with `inputs`."""

    def save_execution(self, execution_id: str, fields: JsonObject) -> Execution:
        """Change fields of a child."""

    def flow_source(self, name: str) -> str:
        """Return a flow's current source."""

    def own_client(self) -> OwnClient:
        """Return the names of the workspace and of the environment in which the flow runs."""


def has_children(api: Calls) -> bool:
    """Tell whether `api` belongs to a running flow, which can have children."""
    return bool(getattr(api, "is_of_run", False))


def child_calls(api: Calls, what: str) -> ChildCalls:
    """Return `api` with the verbs that only a running flow has. Raises `MalformedRequest` outside of a run."""
    if not has_children(api):
        raise MalformedRequest(f"{what} works only inside of a running flow.")
    return cast("ChildCalls", api)


class RunApi(RunScheduleCalls):
    """`Calls` from inside a run, `ChildCalls`, and the verbs of the running execution itself."""

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
        """See `ChildCalls.flow_source`."""
        return str(self._channel.call("flow_source", name=name))

    def start_execution(self, request: StartExecution) -> Execution:
        """Start a child."""
        return self.start_child(request)

    def start_child(
        self, request: StartExecution, *, is_held: bool = False, init: JsonObject | None = None
    ) -> Execution:
        """Start a child, or with `is_held` only create it. `init` sets fields of it from the beginning."""
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
        """See `Api.wait`. Releases the slot while it waits."""
        ended = self.wait_for([execution_id], timeout=timeout)
        return ended[0] if ended else self.execution(execution_id)

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""
        # Sent only when set: durable flows of older versions have recorded the call without `tree`.
        more = {"tree": True} if tree else {}
        return Execution.model_validate(self._channel.call("cancel_execution", execution_id=execution_id, **more))

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        return Execution.model_validate(self._channel.call("pause_execution", execution_id=execution_id))

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        return Execution.model_validate(self._channel.call("resume_execution", execution_id=execution_id))

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Retry an ended execution as a child."""
        retried = self._channel.call("retry_execution", execution_id=execution_id, inputs=inputs)
        return Execution.model_validate(retried)

    def create_message(self, request: CreateMessage) -> Message:
        """Create a message of the running execution."""
        made = self._channel.call("create_message", request=request.model_dump(mode="json", exclude_unset=True))
        return Message.model_validate(made)

    def message(self, message_id: str) -> Message:
        """Return a message, including protected answers."""
        return Message.model_validate(self._channel.call("message", message_id=message_id))

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """Wait, without a slot, until the message is closed. Return it, including protected answers."""
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
        """Acquire the lock `name`, waiting without a slot. Return False if this execution holds it already."""
        until = None if timeout is None else self.now() + timeout.total_seconds()
        # The id identifies the call if the flow dies during it and repeats it.
        return bool(self._channel.call("acquire_lock", name=name, until=until, call=new_id()))

    def release_lock(self, name: str) -> bool:
        """Release the lock `name`. Return False if this execution does not hold it."""
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
        """Wait, without a slot, until all of `ids`, or with `first` one of them, have ended. Return the ended ones."""
        # A moment, not a period, because a repeated wait must end at the same moment.
        until = None if timeout is None else self.now() + timeout.total_seconds()
        ended = self._channel.call("wait_for", ids=list(ids), first=first, until=until)
        return tuple(Execution.model_validate(record) for record in ended)

    def now(self) -> float:
        """Return the time by the store's clock, in seconds since 1970."""
        return float(self._channel.call("now"))

    def sleep_until(self, when: float, *, seconds: float | None = None) -> None:
        """Wait, without a slot, until `when`, in seconds since 1970, but no longer than `seconds`."""
        self._channel.call("sleep_until", when=when, seconds=seconds)

    def step_begin(self, name: str) -> JsonObject:
        """Begin a step. Return its `number`, whether it is done already (`is_done`), and its `result` or `error`."""
        return dict(self._channel.call("step_begin", name=name))

    def step_done(self, number: int, result: Any) -> Any:
        """Record the result of the step, and return it."""
        return self._channel.call("step_done", number=number, result=result)

    def step_failed(self, number: int, error: JsonObject) -> None:
        """Record the error that the step raised; see `raised`."""
        self._channel.call("step_failed", number=number, error=error)

    def log(self, text: str, *, level: str) -> None:
        """Add a line to the log. It is in the socket to the worker when this returns."""
        self._channel.tell("log", text=text, level=level)

    def save(self, **fields: Any) -> None:
        """Save `name`, `message` or `output_value` of the running execution."""
        self._channel.call("save", **fields)

    def set_output(self, key: str, value: Any, *, append: bool) -> None:
        """Save one output."""
        self._channel.call("set_output", key=key, value=value, append=append)

    def webhook_response(self, content: bytes, *, status: int, content_type: str) -> None:
        """Set the response to the webhook call that started this execution."""
        text, encoding = encoded(content)
        self._channel.call(
            "webhook_response", content=text, encoding=encoding, status=status, content_type=content_type
        )

    def end(self, status: Status, message: str | None) -> None:
        """Set how the execution ends. The caller must stop the notebook then."""
        self._channel.call("end", status=status, message=message)


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
