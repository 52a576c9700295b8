"""Bulk actions on executions. Items fail independently."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import (
    BulkAction,
    BulkError,
    BulkItem,
    BulkOutcome,
    BulkRequest,
    Execution,
    ExecutionBrief,
    StartExecution,
)
from cloudo_kernel.service.executions import ExecutionVerbs
from cloudo_kernel.service.starts import StartVerbs


class BulkVerbs(ExecutionVerbs, StartVerbs):
    """Start, cancel, pause, resume, retry or delete many executions."""

    def bulk_executions(self, request: BulkRequest) -> BulkOutcome:
        """See `Api.bulk_executions`."""
        self._ask("bulk_executions")
        if request.action is BulkAction.START:
            return BulkOutcome(items=self._start_all(request))
        return BulkOutcome(items=tuple(self._done(request, execution_id) for execution_id in request.ids or ()))

    def _start_all(self, request: BulkRequest) -> tuple[BulkItem, ...]:
        """Start the flows of the request in one commit."""
        names = request.flow_names or ()
        prepared: list[Any] = []
        for name in names:
            try:
                wanted = StartExecution(flow_name=name, inputs=request.inputs or {})
                prepared.append(self.prepare_start(wanted))
            except CloudoError as error:
                prepared.append(error)
        fitting = [one for one in prepared if not isinstance(one, CloudoError)]
        inserted = iter(self._store.executions.insert_all(fitting) if fitting else ())
        outcomes = [one if isinstance(one, CloudoError) else next(inserted) for one in prepared]
        items = []
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, CloudoError):
                items.append(BulkItem(flow_name=name, ok=False, error=_told(outcome)))
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                items.append(BulkItem(flow_name=name, ok=True, execution=_brief(outcome.execution)))
        return tuple(items)

    def _done(self, request: BulkRequest, execution_id: str) -> BulkItem:
        """Apply the requested action to one execution and return the outcome."""
        try:
            execution = self._act(request, execution_id)
        except CloudoError as error:
            return BulkItem(id=execution_id, ok=False, error=_told(error))
        return BulkItem(id=execution_id, ok=True, execution=None if execution is None else _brief(execution))

    def _act(self, request: BulkRequest, execution_id: str) -> Execution | None:
        match request.action:
            case BulkAction.CANCEL:
                return self.cancel_execution(execution_id, tree=request.tree)
            case BulkAction.PAUSE:
                return self.pause_execution(execution_id)
            case BulkAction.RESUME:
                return self.resume_execution(execution_id)
            case BulkAction.RETRY:
                return self.retry_execution(execution_id, request.inputs)
            case _:
                self.delete_execution(execution_id)
                return None


def _brief(execution: Execution) -> ExecutionBrief:
    return ExecutionBrief.model_validate(execution.model_dump(include=set(ExecutionBrief.model_fields)))


def _told(error: CloudoError) -> BulkError:
    return BulkError.model_validate(error.payload)
