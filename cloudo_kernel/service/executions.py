"""Verbs for existing executions."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from cloudo_kernel.errors import (
    ExecutionNotEnded,
    ExecutionNotFound,
    IllegalTransition,
    MalformedRequest,
    NotebookNotFound,
)
from cloudo_kernel.models import Execution, ExecutionFilter, LogLine, Page
from cloudo_kernel.service.base import Base, id_cursor, not_a_cursor, page_limit
from cloudo_kernel.workspace.layout import executed_notebook

#: Databases limit the length of a search text.
_MAX_QUERY = 1_000
#: No log has a line number of this many digits, and Python refuses to parse thousands of digits.
_MAX_DIGITS = 18


class ExecutionVerbs(Base):
    """Read, list, await, cancel, pause, resume and delete executions."""

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """See `Api.executions`."""
        self._ask("executions")
        wanted, flows = where or ExecutionFilter(), self._rights.flows
        if wanted.q is not None and len(wanted.q) > _MAX_QUERY:
            raise MalformedRequest(f"q has at most {_MAX_QUERY:,} characters.", field="q")
        return self._store.executions.page(wanted, flows=flows, limit=page_limit(limit), before=id_cursor(cursor))

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""
        self._ask_execution("execution", execution_id)
        return self._store.executions.get(execution_id)

    def started(self, execution_id: str) -> Execution:
        """Return an execution that the caller has started. The right to start it is enough to see it."""
        return self._store.executions.get(execution_id)

    def execution_log(self, execution_id: str, *, limit: int = 500, cursor: str | None = None) -> Page[LogLine]:
        """See `Api.execution_log`."""
        self._ask_execution("execution_log", execution_id)
        if cursor is not None and not (cursor.isdecimal() and len(cursor) < _MAX_DIGITS):
            raise not_a_cursor()
        self._store.executions.status(execution_id)  # raises `ExecutionNotFound`
        return self._store.log.page(execution_id, limit=page_limit(limit), after=int(cursor or 0))

    def execution_notebook(self, execution_id: str) -> str:
        """See `Api.execution_notebook`."""
        self._ask_execution("execution_notebook", execution_id)
        path = self._store.executions.get(execution_id).notebook
        if path is None:
            raise NotebookNotFound(execution_id)
        try:
            return (self._catalog.workspace.root / path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NotebookNotFound(execution_id) from error

    def execution_source(self, execution_id: str) -> str:
        """See `Api.execution_source`."""
        self._ask_execution("execution_source", execution_id)
        return self._store.executions.source(execution_id)

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`."""
        self._ask_execution("wait", execution_id)
        self._until(lambda: self._store.executions.status(execution_id).is_ended, timeout)
        return self._store.executions.get(execution_id)

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""
        self._ask_execution("cancel_execution", execution_id)
        if tree:
            reason = f"cancelled by {self._user_name}"
            self._store.control.cancel_tree(execution_id, user_name=self._user_name, reason=reason)
        else:
            self._cancel(execution_id)
        return self._store.executions.get(execution_id)

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        self._ask_execution("pause_execution", execution_id)
        self._store.control.pause(execution_id, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        self._ask_execution("resume_execution", execution_id)
        self._store.control.resume(execution_id, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def delete_execution(self, execution_id: str) -> None:
        """See `Api.delete_execution`."""
        self._ask_execution("delete_execution", execution_id)
        execution = self._store.executions.get(execution_id)
        if not execution.is_ended:
            raise ExecutionNotEnded(execution_id, execution.status)
        self._delete(execution)

    def delete_expired(self) -> None:
        """Delete records past their retention, expire messages past their timeout. Worker housekeeping calls it."""
        self._store.messages.expire()
        self._store.messages.delete_expired()
        self._store.schedules.delete_expired()
        self._store.workers.delete_expired()
        self._store.tokens.delete_expired()
        self._store.webhooks.delete_expired()
        while expired := self._store.executions.expired():
            for execution in expired:
                self._delete(execution)
        self._store.executions.forget_idempotency_keys()

    def _cancel(self, execution_id: str) -> None:
        """Cancel an execution and all its descendants, whichever flows they run."""
        self._store.control.cancel(execution_id, user_name=self._user_name, reason=f"cancelled by {self._user_name}")
        for child in self._store.executions.unended_children(execution_id):
            with contextlib.suppress(IllegalTransition):  # it has ended meanwhile
                self._cancel(child)

    def _delete(self, execution: Execution) -> None:
        """Delete the notebook, then the row. After a crash in between, the next call finds the row and finishes."""
        # A killed worker may have written a notebook that the record does not name.
        path = execution.notebook or executed_notebook(execution.flow_name, execution.id)
        (self._catalog.workspace.root / path).unlink(missing_ok=True)
        try:
            self._store.executions.delete(execution.id, user_name=self._user_name)
        except ExecutionNotFound:
            return  # already deleted by another caller
