"""The verbs about executions, over HTTP."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial

from cloudo_kernel.client.base import POLL_SECONDS, Deadline, given, json_body, not_json, part
from cloudo_kernel.client.events import EventVerbs
from cloudo_kernel.models import (
    BulkOutcome,
    BulkRequest,
    Execution,
    ExecutionFilter,
    JsonObject,
    LogLine,
    Page,
    StartExecution,
)


class ExecutionVerbs(EventVerbs):
    """Start, read, list, await, cancel, pause, resume, retry and delete executions."""

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`. Always sends a key, so that the request can be repeated if the reply is lost."""
        try:
            body = request.model_dump(mode="json", exclude_unset=True)
        except ValueError as error:  # pydantic's PydanticSerializationError is one too
            raise not_json(error) from error
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        reply = self._send("POST", "execution", **json_body(body, headers), is_repeatable=True)
        return self._record(Execution, reply)

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """See `Api.executions`."""
        wanted = (where or ExecutionFilter()).model_dump(mode="json", exclude_none=True)
        return self._get(Page[Execution], "execution", **wanted, limit=limit, cursor=cursor)

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""
        return self._get(Execution, _path(execution_id))

    def execution_log(self, execution_id: str, *, limit: int = 500, cursor: str | None = None) -> Page[LogLine]:
        """See `Api.execution_log`."""
        return self._get(Page[LogLine], _path(execution_id, "log"), limit=limit, cursor=cursor)

    def execution_notebook(self, execution_id: str) -> str:
        """See `Api.execution_notebook`."""
        return self._send("GET", _path(execution_id, "notebook")).content.decode()

    def execution_source(self, execution_id: str) -> str:
        """See `Api.execution_source`."""
        return self._send("GET", _path(execution_id, "source")).content.decode()

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`. A restart of the server does not end the wait."""
        deadline = Deadline.of(timeout)
        while True:
            seconds = min(deadline.left, POLL_SECONDS)
            execution = self._outlasting(partial(self._get, Execution, _path(execution_id), wait=seconds), deadline)
            if execution.is_ended or deadline.is_over:
                return execution

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""
        body = {"json": {"tree": True}} if tree else {}
        return self._record(Execution, self._send("POST", _path(execution_id, "cancel"), **body))

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        return self._record(Execution, self._send("POST", _path(execution_id, "pause")))

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        return self._record(Execution, self._send("POST", _path(execution_id, "resume")))

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`."""
        return self._record(
            Execution, self._send("POST", _path(execution_id, "retry"), **json_body(given({"inputs": inputs})))
        )

    def delete_execution(self, execution_id: str) -> None:
        """See `Api.delete_execution`."""
        self._send("DELETE", _path(execution_id))

    def bulk_executions(self, request: BulkRequest) -> BulkOutcome:
        """See `Api.bulk_executions`."""
        try:
            body = request.model_dump(mode="json", exclude_unset=True)
        except ValueError as error:
            raise not_json(error) from error
        return self._record(BulkOutcome, self._send("POST", _path("bulk"), **json_body(body)))


def _path(execution_id: str, *parts: str) -> str:
    return "/".join(("execution", part(execution_id), *parts))
