"""`Service`: the rules, in process. Every door ends here; it checks, then has the store and the catalog act."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Any

from cloudo_kernel import lease, settings
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.catalog import Catalog, Source, script_text, validate
from cloudo_kernel.errors import (
    ExecutionNotEnded,
    ExecutionNotFound,
    FlowNotFound,
    IllegalTransition,
    MalformedRequest,
    NotebookNotFound,
    ResourceNotFoundError,
    SettingInvalid,
)
from cloudo_kernel.events import FLOW, FLOW_CHANGED, FLOW_CREATED, FLOW_DELETED
from cloudo_kernel.ids import new_id
from cloudo_kernel.models import (
    Event,
    Execution,
    ExecutionFilter,
    ExecutionType,
    Flow,
    FlowSource,
    Health,
    JsonObject,
    LogLine,
    Page,
    Setting,
    StartExecution,
    Status,
    Trigger,
    User,
)
from cloudo_kernel.store import IdempotencyKey, NewExecution, Store

#: Reading it takes a millisecond.
_version = cache(version)
#: A wait looks at the store at least this often, should the event tail miss something.
_LOOK_SECONDS = 5.0


class Service:
    """`Api` over a store and a catalog, for one caller. Cheap to make: one per request."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        *,
        user_name: str,
        trigger: Trigger = Trigger.API,
        parent_id: str | None = None,
        reserved_for: str | None = None,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._user_name = user_name
        self._trigger = trigger
        #: The execution whose children are started here.
        self._parent_id = parent_id
        #: The private worker that is to run what is started here.
        self._reserved_for = reserved_for

    # Flows

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """See `Api.flows`."""
        flows = [flow for flow in self._catalog.flows(q) if self._is_offered(flow)]
        newest = self._store.executions.newest_of_flows([flow.name for flow in flows])
        return tuple(flow.model_copy(update={"last_executions": newest.get(flow.name, ())}) for flow in flows)

    def flow(self, name: str) -> Flow:
        """See `Api.flow`."""
        flow = self._catalog.flow(name)
        if not self._is_offered(flow):
            raise FlowNotFound(name)
        newest = self._store.executions.newest_of_flows([flow.name])
        return flow.model_copy(update={"last_executions": newest.get(flow.name, ())})

    def create_flow(self, name: str, *, source: str | None = None, copy_of: str | None = None) -> Flow:
        """See `Api.create_flow`."""
        if (source is None) == (copy_of is None):
            raise MalformedRequest(
                "A new flow takes either its source or the name of the flow to copy.", field="source"
            )
        text = self._catalog.snapshot(copy_of).text if copy_of is not None else source
        assert text is not None
        flow = self._catalog.create(name, text)
        self._tell_of_flow(FLOW_CREATED, flow.name)
        return flow

    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """See `Api.change_flow`."""
        if source is None and new_name is None:
            raise MalformedRequest("Changing a flow takes a new source or a new name.", field="source")
        flow = self._catalog.flow(name)
        if source is not None:
            flow = self._catalog.replace(name, source)
        if new_name is not None and new_name != name:
            flow = self._catalog.rename(name, new_name)
        self._tell_of_flow(FLOW_CHANGED, flow.name)
        return flow

    def delete_flow(self, name: str) -> None:
        """See `Api.delete_flow`."""
        self._catalog.delete(name)
        self._tell_of_flow(FLOW_DELETED, name)

    # Executions

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`."""
        new, idempotency = self.prepare_start(request, idempotency_key=idempotency_key)
        return self._store.executions.insert(new, idempotency=idempotency)

    def prepare_start(
        self, request: StartExecution, *, idempotency_key: str | None = None
    ) -> tuple[NewExecution, IdempotencyKey | None]:
        """Check a start and return what the store needs for it; the server inserts many at once."""
        if (request.flow_name is None) == (request.script is None):
            raise MalformedRequest("Give either flow_name or script.", field="flow_name")
        source = self._source_of(request)
        new = self._new(
            source,
            ExecutionType.SCRIPT if request.flow_name is None else ExecutionType.FLOW,
            name=request.name or request.flow_name or "script",
            input_value=self._validated(source.flow, request.inputs, self._trigger),
            tags=request.tags,
            scheduled_for=self._scheduled_for(request),
            timeout_seconds=request.timeout_seconds or source.flow.metadata.timeout_seconds,
        )
        idempotency = None
        if idempotency_key is not None:
            body = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
            idempotency = IdempotencyKey(idempotency_key, body)
        return new, idempotency

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """See `Api.executions`."""
        return self._store.executions.page(where or ExecutionFilter(), limit=_limit(limit), before=cursor)

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""
        return self._store.executions.get(execution_id)

    def execution_log(self, execution_id: str, *, limit: int = 500, cursor: str | None = None) -> Page[LogLine]:
        """See `Api.execution_log`."""
        if cursor is not None and not cursor.isdecimal():
            raise MalformedRequest("cursor is what an earlier page gave as next.", field="cursor")
        self._store.executions.status(execution_id)  # raises if there is none
        return self._store.log.page(execution_id, limit=_limit(limit), after=int(cursor or 0))

    def execution_notebook(self, execution_id: str) -> str:
        """See `Api.execution_notebook`."""
        path = self._store.executions.get(execution_id).notebook
        if path is None:
            raise NotebookNotFound(execution_id)
        try:
            return (self._catalog.workspace.root / path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NotebookNotFound(execution_id) from error

    def execution_source(self, execution_id: str) -> str:
        """See `Api.execution_source`."""
        return self._store.executions.source(execution_id)

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`."""
        self._until(lambda: self._store.executions.status(execution_id).is_ended, timeout)
        return self._store.executions.get(execution_id)

    def cancel_execution(self, execution_id: str) -> Execution:
        """See `Api.cancel_execution`."""
        self._store.wishes.cancel(execution_id, user_name=self._user_name, reason=f"cancelled by {self._user_name}")
        for child in self._store.executions.unended_children(execution_id):
            with contextlib.suppress(IllegalTransition):  # it has ended by now
                self.cancel_execution(child)
        return self._store.executions.get(execution_id)

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        self._store.wishes.pause(execution_id, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        self._store.wishes.resume(execution_id, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`."""
        past = self._store.executions.get(execution_id)
        if not past.is_ended:
            raise ExecutionNotEnded(execution_id, past.status)
        if past.flow_name is None:
            source = self._catalog.script(self._store.executions.source(execution_id))
        else:
            source = self._flow_source(past.flow_name)
        # What was taken from another flow is taken again; what is given now is for this door.
        door = past.trigger if inputs is None else self._trigger
        new = self._new(
            source,
            past.type,
            name=past.name,
            input_value=self._validated(source.flow, past.input_value if inputs is None else inputs, door),
            tags=past.tags,
            timeout_seconds=self._store.executions.time_limit(execution_id),
            retry_of=past.id,
        )
        return self._store.executions.insert(new)

    def delete_execution(self, execution_id: str) -> None:
        """See `Api.delete_execution`."""
        execution = self._store.executions.get(execution_id)
        if not execution.is_ended:
            raise ExecutionNotEnded(execution_id, execution.status)
        self._delete(execution)

    def delete_expired(self) -> None:
        """Delete the executions whose retention is over; the worker's housekeeping calls it."""
        while expired := self._store.executions.expired():
            for execution in expired:
                self._delete(execution)
        self._store.executions.forget_idempotency_keys()

    # Events

    def events(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        timeout: timedelta = timedelta(0),
        subject_id: str | None = None,
    ) -> Page[Event]:
        """See `Api.events`."""
        start = self._store.events.newest_id() if after is None else after
        found: tuple[Event, ...] = ()

        def look() -> bool:
            nonlocal found
            found = self._store.events.after(start, limit=_limit(limit), subject_id=subject_id)
            return bool(found)

        self._until(look, timeout)
        return Page[Event](items=found, next=str(found[-1].id if found else start))

    # Settings

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        return self._store.settings.all()

    def setting(self, name: str) -> Any:
        """See `Api.setting`."""
        return self._store.settings.value(name)

    def save_setting(self, name: str, value: Any) -> Setting:
        """See `Api.save_setting`."""
        if not name or len(name) > 200 or not name.isprintable():
            raise SettingInvalid(name, "a printable name of 1 to 200 characters")
        return self._store.settings.save(name, value, user_name=self._user_name)

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        if not self._store.settings.delete(name, user_name=self._user_name):
            raise ResourceNotFoundError(f"There is no setting {name!r}.")

    # Oneself

    def user(self) -> User:
        """See `Api.user`."""
        return User(name=self._user_name)

    def health(self) -> Health:
        """See `Api.health`."""
        state = self._catalog.workspace.state
        workers = [
            worker for worker in self._store.workers.all() if not worker.private and not lease.is_dead(state, worker.id)
        ]
        counts = self._store.queue.counts()
        return Health(
            status="ok" if workers else "no worker",
            version=_version("cloudo"),
            workers=len(workers),
            running=counts.get(Status.RUNNING, 0),
            pending=counts.get(Status.PENDING, 0),
        )

    # What the above share

    def _is_offered(self, flow: Flow) -> bool:
        return flow.source is FlowSource.WORKSPACE or bool(self._store.settings.value(settings.LIBRARY_FALLBACK))

    def _tell_of_flow(self, event_type: str, name: str) -> None:
        self._store.events.add(event_type, FLOW, name, user_name=self._user_name)

    def _source_of(self, request: StartExecution) -> Source:
        if request.flow_name is None:
            assert request.script is not None
            return self._catalog.script(script_text(request.script, request.script_encoding))
        if request.script_encoding is not None:
            raise MalformedRequest("script_encoding goes with script.", field="script_encoding")
        return self._flow_source(request.flow_name)

    def _flow_source(self, name: str) -> Source:
        source = self._catalog.snapshot(name)
        if not self._is_offered(source.flow):
            raise FlowNotFound(name)
        return source

    def _new(self, source: Source, kind: ExecutionType, **more: Any) -> NewExecution:
        """Return a new execution of the source, with what the flow's metadata and this caller say about it."""
        flow, is_flow = source.flow, kind is ExecutionType.FLOW
        return NewExecution(
            id=new_id(),
            type=kind,
            flow_name=flow.name if is_flow else None,
            trigger=self._trigger,
            user_name=self._user_name,
            source_text=source.text,
            source_sha256=source.sha256,
            kernel=flow.kernel,
            folder=str(source.folder),
            parent_id=self._parent_id,
            rank=-flow.metadata.priority,
            max_running=flow.metadata.max_running if is_flow else None,
            retries=flow.metadata.retries,
            retry_delay_seconds=flow.metadata.retry_delay_seconds,
            engine=flow.metadata.engine,
            memory_limit_mb=flow.metadata.memory_limit_mb,
            retention_minutes=flow.metadata.retention_minutes,
            reserved_for=self._reserved_for,
            **more,
        )

    def _validated(self, flow: Flow, inputs: JsonObject, door: Trigger) -> JsonObject:
        """Check inputs; what the flow does not know is an error at the doors of people, and kept from other flows."""
        known = flow.input_schema["properties"]
        if door is not Trigger.FLOW or flow.input_schema["additionalProperties"]:
            return validate(flow.input_schema, inputs)
        strangers = {name: value for name, value in inputs.items() if name not in known}
        fitting = validate(flow.input_schema, {name: value for name, value in inputs.items() if name in known})
        return {**validate({}, strangers), **fitting}

    def _scheduled_for(self, request: StartExecution) -> datetime | None:
        if request.delay_seconds is None:
            return request.scheduled_at
        if request.scheduled_at is not None:
            raise MalformedRequest("Give either scheduled_at or delay_seconds.", field="delay_seconds")
        try:
            return self._store.now + timedelta(seconds=request.delay_seconds)
        except OverflowError as error:
            raise MalformedRequest("delay_seconds is too large.", field="delay_seconds") from error

    def _delete(self, execution: Execution) -> None:
        """Remove the notebook, then the row: killed in between, the next one finds the row and goes on."""
        if execution.notebook is not None:
            path = self._catalog.workspace.root / execution.notebook
            path.unlink(missing_ok=True)
        try:
            self._store.executions.delete(execution.id, user_name=self._user_name)
        except ExecutionNotFound:
            return  # somebody else was quicker

    def _until(self, is_done: Callable[[], bool], timeout: timedelta | None) -> None:
        """Block until `is_done` or the timeout is over; it is asked again whenever events were committed."""
        woken = threading.Event()
        remove = self._store.tail.add_listener(woken.set)
        try:
            end = None if timeout is None else time.monotonic() + timeout.total_seconds()
            while not is_done():
                left = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
                if left <= 0:
                    return
                woken.wait(left)
                woken.clear()
        finally:
            remove()


def _limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT:
        raise MalformedRequest(f"limit is a number from 1 to {PAGE_LIMIT}.", field="limit")
    return limit
