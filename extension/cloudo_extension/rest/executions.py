"""REST for executions: start, list, read, cancel, pause, resume, retry, delete."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from cloudo_extension.backend.batching import Start
from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import PageQuery, Query, Reply, operation, routes_of
from cloudo_extension.http.request_body import MAX_RECORD_BYTES
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import ExecutionNotFound, MalformedRequest, PermissionDenied, TooLarge
from cloudo_kernel.models import (
    BulkOutcome,
    BulkRequest,
    Execution,
    ExecutionActivity,
    ExecutionCells,
    ExecutionCount,
    ExecutionFilter,
    ExecutionOrder,
    JsonObject,
    LogKind,
    LogPage,
    Page,
    Request,
    StartExecution,
)
from cloudo_kernel.models.canonical import canonical

#: The wait of `"wait": true`, and a reader's longest. Proxies in front of the server would cut a longer one.
_WAIT_SECONDS = 60.0
_HEADERS: Final = {
    "Idempotency-Key": "Makes a repetition harmless: for 24 hours, and per user, the same key with the same body gets "
    "the first call's execution, and with another body 409. 1 to 255 characters.",
    "X-Cloudo-Trigger": "Which door the caller stands for: `api`, `ui`, `cell` or `cli`. The record keeps it.",
}


def _seconds(wait: object) -> float:
    """Return the seconds to wait for the end, 0 for no wait. Raises `ValueError`."""
    if isinstance(wait, bool):
        return _WAIT_SECONDS if wait else 0
    try:
        seconds = float(canonical("number", wait))
    except (ValueError, OverflowError):
        seconds = -1
    if seconds < 0:
        raise ValueError(f"0 or more seconds, or true for {_WAIT_SECONDS:g} seconds")
    return seconds


class Wait(Request):
    """The part of the body of `POST /execution` that concerns the reply."""

    wait: Annotated[
        float,
        BeforeValidator(_seconds),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0}]}),
    ] = Field(
        default=0,
        description="Seconds to wait for the end, or true for 60. If the execution takes longer, the reply is "
        "its current record.",
    )


class StartBody(StartExecution, Wait):
    """The body of `POST /execution`."""

    input_value: JsonObject | None = Field(default=None, description="Synonym of `inputs`. Use one of the two.")


class WaitQuery(Query):
    """How long to wait for the end."""

    wait: float = Field(
        default=0,
        ge=0,
        le=_WAIT_SECONDS,
        allow_inf_nan=False,
        description="Seconds to wait for the end. If the execution takes longer, the reply is its current record.",
    )


class ExecutionQuery(PageQuery):
    """The requested page of executions, and their order."""

    order: ExecutionOrder = Field(
        default=ExecutionOrder.NEWEST,
        description="Which come first. `longest` and `shortest` sort the newest 10,000 matching ones.",
    )


class LogQuery(PageQuery):
    """The requested page of a log."""

    limit: int = Field(default=PAGE_LIMIT, ge=1, le=PAGE_LIMIT, description="Maximum number of lines.")
    tail: int | None = Field(
        default=None, ge=1, le=5_000, description="Only the last lines, oldest first. Not with `cursor`."
    )
    streams: bool = Field(default=False, description="Also the lines that cells printed, at the start of their cell.")
    q: str | None = Field(
        default=None,
        description="Only lines that contain this text, ignoring case, up to 1,000 characters. Only with `tail`.",
    )
    kind: LogKind | None = Field(
        default=None,
        description="Only lines of this kind: `log`, `warning` and `error` are those of `this.log` with at least this "
        "level. Only with `tail`.",
    )


class CellsQuery(Query):
    """The requested cells."""

    after: str | None = Field(default=None, description="The `version` that the caller has.")
    first: int = Field(default=0, ge=0, alias="from", description="Index of the first cell.")


class Executions(Handler):
    """`/execution`."""

    takes_documents: ClassVar[bool] = True

    @operation("executions", reply=Page[Execution], query=(ExecutionFilter, ExecutionQuery))
    async def get(self) -> None:
        """List executions in order."""
        await self.answer(self.api.executions, self.asked(ExecutionFilter), **self.page(ExecutionQuery))

    @operation(
        "start_execution",
        headers=_HEADERS,
        body=StartBody,
        example={"flow_name": "examples/greeting", "inputs": {"name": "Ada"}, "wait": True},
        replies={
            201: Reply(Execution, "It is safe on disk; where its end was waited for, it has ended."),
            200: Reply(Execution, "The first call's execution: nothing new was started."),
            202: Reply(Execution, "It has not ended in the time that was waited."),
        },
    )
    async def post(self) -> None:
        """Start an execution, and optionally wait for its end."""
        wanted = _with_inputs(await self.body())
        if "script" not in wanted and self._size > MAX_RECORD_BYTES:
            raise TooLarge(f"The inputs have more than {MAX_RECORD_BYTES:,} bytes. Save a file, and send its path.")
        wait = self.parse(Wait, {"wait": wanted.pop("wait", False)})
        request = self.parse(StartExecution, wanted)
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not 1 <= len(key) <= 255:
            raise MalformedRequest("The header Idempotency-Key must have 1 to 255 characters.")
        outcome = await self.backend.start(Start(self.api, request, key))
        started = outcome.execution
        self.set_header("Location", self.at("execution", started.id))
        if wait.wait:
            started = await self.while_connected(self.backend.until_ended(self.api.started, started.id, wait.wait))
        if wait.wait and not started.is_ended:
            self.set_status(202)
        else:
            self.set_status(201 if outcome.is_new else 200)
        if wait.wait or self.is_large:
            await self.answer(lambda: started)
        else:
            await self.finish(started.model_dump_json())


class ManyExecutions(Handler):
    """`/execution/bulk`."""

    @operation(
        "bulk_executions",
        reply=BulkOutcome,
        body=BulkRequest,
        example={"action": "start", "flow_names": ["examples/greeting"], "inputs": {"name": "Ada"}},
    )
    async def post(self) -> None:
        """Apply one action to many executions, or start many flows."""
        outcome = await self.backend.call(self.api.bulk_executions, await self.sent(BulkRequest))
        refused = [item.error for item in outcome.items if item.error and item.error.code == PermissionDenied.code]
        if refused:  # the reply is still a success
            self.note_denial(refused[0].message)
        await self.answer(lambda: outcome)


class Count(Handler):
    """`/execution/count`."""

    @operation("execution_count", reply=ExecutionCount, query=(ExecutionFilter,))
    async def get(self) -> None:
        """Count executions, in all and by status."""
        await self.answer(self.api.execution_count, self.asked(ExecutionFilter))


class ActivityQuery(Query):
    """The requested span."""

    hours: int = Field(default=24, ge=1, le=744, description="Number of hours, the current one included.")


class Activity(Handler):
    """`/execution/activity`."""

    @operation("execution_activity", reply=ExecutionActivity, query=(ActivityQuery,))
    async def get(self) -> None:
        """Count the executions that ended in each of the last hours."""
        await self.answer(self.api.execution_activity, hours=self.asked(ActivityQuery).hours)


class OneExecution(Handler):
    """`/execution/<id>`."""

    @operation("execution", reply=Execution, query=(WaitQuery,))
    async def get(self, execution_id: str) -> None:
        """Return the whole record, immediately or when the execution has ended."""
        if seconds := self.asked(WaitQuery).wait:
            wait = self.backend.until_ended(self.api.execution, execution_id, seconds)
            execution = await self.while_connected(wait)
            await self.answer(lambda: execution)
        else:
            await self.answer(self.api.execution, execution_id)

    @operation("delete_execution", status=204)
    async def delete(self, execution_id: str) -> None:
        """Delete an ended execution."""
        await self.backend.call(self.api.delete_execution, execution_id)
        await self.finish_empty()


class Log(Handler):
    """`/execution/<id>/log`."""

    @operation("execution_log", reply=LogPage, query=(LogQuery,))
    async def get(self, execution_id: str) -> None:
        """Page through the log from its first line."""
        await self.answer(self.api.execution_log, execution_id, **self.page(LogQuery))


class Cells(Handler):
    """`/execution/<id>/cells`."""

    @operation("execution_cells", reply=ExecutionCells, query=(CellsQuery,))
    async def get(self, execution_id: str) -> None:
        """Return the cells of the executed notebook, live while it runs."""
        await self.answer(self.api.execution_cells, execution_id, **self.asked(CellsQuery).model_dump())


class TreeQuery(Query):
    """Whether to list children only."""

    tree: bool = Field(default=False, description="All descendants: children, their children, and so on.")


class Children(Handler):
    """`/execution/<id>/children`."""

    @operation(
        "executions",
        id="execution_children",
        reply=Page[Execution],
        query=(TreeQuery, ExecutionQuery),
        raises=(ExecutionNotFound,),
    )
    async def get(self, execution_id: str) -> None:
        """List the executions that this execution started, or its whole tree, by default newest first."""
        await self.backend.call(self.api.execution, execution_id)  # raises if it does not exist
        name = "ancestor_id" if self.asked(TreeQuery).tree else "parent_id"
        where = ExecutionFilter.model_validate({name: execution_id})
        await self.answer(self.api.executions, where, **self.page(ExecutionQuery))


class Again(Request):
    """The body of `POST /execution/<id>/retry`."""

    inputs: JsonObject | None = None


class CancelBody(Request):
    """The body of `POST /execution/<id>/cancel`."""

    tree: bool = Field(
        default=False, description="Also cancel all descendants, even if the execution itself has ended."
    )


class Cancel(Handler):
    """`/execution/<id>/cancel`."""

    @operation("cancel_execution", reply=Execution, body=CancelBody, has_optional_body=True, example={"tree": True})
    async def post(self, execution_id: str) -> None:
        """Cancel the execution and its children, or its whole tree."""
        wanted = self.parse(CancelBody, await self.body(default={}))
        await self.answer(self.api.cancel_execution, execution_id, tree=wanted.tree)


class Pause(Handler):
    """`/execution/<id>/pause`."""

    @operation("pause_execution", reply=Execution)
    async def post(self, execution_id: str) -> None:
        """Pause the execution, immediately or before its next cell."""
        await self.answer(self.api.pause_execution, execution_id)


class Resume(Handler):
    """`/execution/<id>/resume`."""

    @operation("resume_execution", reply=Execution)
    async def post(self, execution_id: str) -> None:
        """Resume the execution."""
        await self.answer(self.api.resume_execution, execution_id)


class Retry(Handler):
    """`/execution/<id>/retry`."""

    @operation(
        "retry_execution",
        reply=Execution,
        status=201,
        body=Again,
        has_optional_body=True,
        example={"inputs": {"name": "Grace"}},
    )
    async def post(self, execution_id: str) -> None:
        """Start the ended execution again, with its own or other inputs."""
        again = self.parse(Again, _with_inputs(await self.body(default={})))
        await self.answer_created("execution", self.api.retry_execution, execution_id, again.inputs)


def _with_inputs(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the body with `input_value` renamed to its synonym `inputs`. Raises `MalformedRequest`."""
    if "input_value" not in wanted:
        return wanted
    if "inputs" in wanted:
        raise MalformedRequest("inputs and input_value are synonyms: send only one of them.", field="input_value")
    return {"inputs" if name == "input_value" else name: value for name, value in wanted.items()}


routes = [
    *routes_of(Executions, ManyExecutions, Count, Activity, OneExecution, Log, Cells, Cancel, Pause, Resume, Retry),
    (rf"{API}/execution/([^/]+)/children", Children),
]
