"""REST for executions: start, list, look at, cancel, pause, resume, retry, delete."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from cloudo_extension.base import API, Handler
from cloudo_extension.starts import Start
from cloudo_extension.waiting import until_ended
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import ExecutionFilter, JsonObject, StartExecution

#: How long `"wait": true` waits.
_WAIT_SECONDS = 60.0
_FILTERS = frozenset({"status", "flow_name", "parent_id", "schedule_id", "user_name", "since", "q"})
_PAGE = frozenset({"limit", "cursor"})


class Wait(BaseModel):
    """The part of the body of `POST /execution` that is not about the execution but about the reply."""

    model_config = ConfigDict(frozen=True)

    wait: StrictBool | float = Field(default=False, ge=0, allow_inf_nan=False)

    @property
    def seconds(self) -> float:
        """How long to wait for the end; 0 for not at all."""
        return float(self.wait) * (_WAIT_SECONDS if self.wait is True else 1)


class Executions(Handler):
    """`/execution`."""

    query_of: ClassVar = {"GET": _FILTERS | _PAGE}

    async def get(self) -> None:
        """List executions, newest first."""
        given: dict[str, Any] = {name: self.query(name) for name in _FILTERS}
        statuses = [status for text in self.query_all("status") for status in text.split(",") if status]
        where = self.parse(ExecutionFilter, given | {"status": statuses or None})
        await self.answer(self.api.executions, where, **self.page_of())

    async def post(self) -> None:
        """Start an execution, and wait for its end when asked to."""
        wanted = _with_inputs(self.body())
        wait = self.parse(Wait, {"wait": wanted.pop("wait", False)})
        request = self.parse(StartExecution, wanted)
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not 1 <= len(key) <= 255:
            raise MalformedRequest("The header Idempotency-Key takes 1 to 255 characters.")
        outcome = await self.engine.start(Start(self.api, request, key))
        started = outcome.execution
        self.set_header("Location", self.at("execution", started.id))
        if wait.seconds:
            started = await self.while_connected(until_ended(self.engine, self.api.started, started.id, wait.seconds))
        if wait.seconds and not started.is_ended:
            self.set_status(202)
        else:
            self.set_status(201 if outcome.is_new else 200)
        await self.finish(started.model_dump_json())


class OneExecution(Handler):
    """`/execution/<id>`."""

    async def get(self, execution_id: str) -> None:
        """Return the whole record."""
        await self.answer(self.api.execution, execution_id)

    async def delete(self, execution_id: str) -> None:
        """Delete an ended execution."""
        await self.engine.call(self.api.delete_execution, execution_id)
        await self.finish_empty()


class Log(Handler):
    """`/execution/<id>/log`."""

    query_of: ClassVar = {"GET": _PAGE}

    async def get(self, execution_id: str) -> None:
        """Page through the log from its first line."""
        await self.answer(self.api.execution_log, execution_id, **self.page_of(default=PAGE_LIMIT))


class Children(Handler):
    """`/execution/<id>/children`."""

    query_of: ClassVar = {"GET": _PAGE}

    async def get(self, execution_id: str) -> None:
        """List the executions that this one started, newest first."""
        await self.engine.call(self.api.execution, execution_id)  # raises if there is none
        await self.answer(self.api.executions, ExecutionFilter(parent_id=execution_id), **self.page_of())


class Again(BaseModel):
    """The body of `POST /execution/<id>/retry`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: JsonObject | None = None


class Cancel(Handler):
    """`/execution/<id>/cancel`."""

    async def post(self, execution_id: str) -> None:
        """End the execution and its children."""
        await self.answer(self.api.cancel_execution, execution_id)


class Pause(Handler):
    """`/execution/<id>/pause`."""

    async def post(self, execution_id: str) -> None:
        """Pause the execution, at once or before its next cell."""
        await self.answer(self.api.pause_execution, execution_id)


class Resume(Handler):
    """`/execution/<id>/resume`."""

    async def post(self, execution_id: str) -> None:
        """Let the execution go on."""
        await self.answer(self.api.resume_execution, execution_id)


class Retry(Handler):
    """`/execution/<id>/retry`."""

    async def post(self, execution_id: str) -> None:
        """Start the ended execution anew, with its own inputs or others."""
        again = self.parse(Again, _with_inputs(self.body(default={})))
        started = await self.engine.call(self.api.retry_execution, execution_id, again.inputs)
        self.set_header("Location", self.at("execution", started.id))
        self.set_status(201)
        await self.answer(lambda: started)


def _with_inputs(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the body with `input_value`, which means the same, as `inputs`. Raises `MalformedRequest`."""
    if "input_value" not in wanted:
        return wanted
    if "inputs" in wanted:
        raise MalformedRequest("inputs and input_value mean the same: send one of them.", field="input_value")
    return {"inputs" if name == "input_value" else name: value for name, value in wanted.items()}


routes = [
    (rf"{API}/execution", Executions),
    (rf"{API}/execution/([^/]+)", OneExecution),
    (rf"{API}/execution/([^/]+)/log", Log),
    (rf"{API}/execution/([^/]+)/children", Children),
    (rf"{API}/execution/([^/]+)/cancel", Cancel),
    (rf"{API}/execution/([^/]+)/pause", Pause),
    (rf"{API}/execution/([^/]+)/resume", Resume),
    (rf"{API}/execution/([^/]+)/retry", Retry),
]
