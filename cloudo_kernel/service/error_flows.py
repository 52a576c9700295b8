"""What follows an execution that ended in error: the flow that its own one names for that."""

from __future__ import annotations

import logging
from typing import Any

from cloudo_kernel.errors import CloudoError, Unavailable
from cloudo_kernel.models import Execution, StartExecution, Trigger
from cloudo_kernel.service.starts import StartVerbs
from cloudo_kernel.store import Failed, IdempotencyKey

_log = logging.getLogger(__name__)


class ErrorFlowVerbs(StartVerbs):
    """Starts of the flows that others name as `on_error`."""

    def start_error_flows(self) -> None:
        """Start what is to follow the ends in error; every worker calls it, after each change of the store."""
        for failed in self._store.error_flows.due(reserved_for=self._reserved_for):
            complaint = None
            try:
                self._start_error_flow(failed)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 -- whatever it is, the dispatcher has to go on
                if not isinstance(error, CloudoError):
                    _log.exception("An error flow could not be started", extra={"execution_id": failed.execution.id})
                complaint = f"The flow {failed.flow_name!r} (on_error) could not be started: {error}"
            self._store.error_flows.settle(failed.execution.id, complaint=complaint)

    def _start_error_flow(self, failed: Failed) -> None:
        execution = failed.execution
        acting = type(self)(
            self._store,
            self._catalog,
            user_name=execution.user_name,
            trigger=Trigger.FLOW,
            reserved_for=self._reserved_for,
            # As deep as a child: one whose own children fail must not come again without end.
            depth=failed.depth + 1,
        )
        request = StartExecution(flow_name=failed.flow_name, inputs=_told(execution))
        new, _ = acting.prepare_start(request, on_error=None)  # its own failure starts nothing further
        # Of several workers, and of one that dies before it has noted this, one start is left.
        key = IdempotencyKey(f"on_error {execution.id}", failed.flow_name)
        self._store.executions.insert(new, idempotency=key)


def _told(execution: Execution) -> dict[str, Any]:
    error = execution.error
    return {
        "execution_id": execution.id,
        "flow_name": execution.flow_name,
        "error": None if error is None else error.model_dump(mode="json", exclude={"traceback"}),
        "message": execution.message,
    }
