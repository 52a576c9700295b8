"""The worker's end of one run: answers what its runner and its kernel ask, and reports to the store."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from cloudo_kernel.catalog import Catalog
from cloudo_kernel.errors import CloudoError, MalformedRequest, PermissionDenied, StaleAttempt, Unavailable
from cloudo_kernel.models import (
    ErrorDetail,
    Execution,
    ExecutionFilter,
    LogLine,
    Progress,
    StartExecution,
    Status,
    Trigger,
)
from cloudo_kernel.service import Service
from cloudo_kernel.store import Assignment, Claim, Outcome, Store

_log = logging.getLogger(__name__)

#: The most that one execution may put out, as JSON.
OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
#: Log lines are written when so many have come, when none came for a moment, and before anything else is done.
_LOG_BATCH = 1000
#: Progress is written at most so often.
_PROGRESS_SECONDS = 0.1
#: A paused runner is answered after so long, and asks again.
_PAUSE_SECONDS = 1.0
#: A store that cannot be used is tried again so often,
_RETRY_SECONDS = 1.0
#: and for so long before the flow is told. The end of a run is reported however long it takes.
_PATIENCE_SECONDS = 120.0
#: Of runs that die before they have begun.
_START_ATTEMPTS = 5


class RunHost:
    """One run, as its worker sees it.

    `runner_verb` and `kernel_verb` are called on one thread each; `finish` once, when both have gone.
    """

    def __init__(self, store: Store, catalog: Catalog, claim: Claim, *, reserved_for: str | None) -> None:
        self._store = store
        self._catalog = catalog
        self._reserved_for = reserved_for
        self.claim = claim
        self._execution: Execution | None = None
        self._service: Service | None = None
        self._output: dict[str, Any] = {}
        self._lines: list[LogLine] = []
        self._progress = Progress()
        self._is_progress_new = False
        self._progress_written = 0.0
        #: What the flow itself said that its end is: `this.success(...)`.
        self._declared: Outcome | None = None
        #: What the runner found.
        self._found: Outcome | None = None
        #: What somebody outside wants the end to be.
        self._imposed: Outcome | None = None
        #: Why this worker could not start it.
        self._obstacle: str | None = None
        #: The end of what the runner wrote to its standard error.
        self.complaints = ""
        self._is_over = threading.Event()
        #: Process group of the kernel, once it runs.
        self._kernel_group: int | None = None
        #: This worker goes, and cannot wait for a store that cannot be used.
        self._is_leaving = threading.Event()
        self._flushing = threading.Lock()

    # What the runner asks

    def runner_verb(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Answer the runner."""
        answers: dict[str, Callable[..., Any]] = {
            "begin": self._begin,
            "progress": self._note_progress,
            "kernel_started": self._note_kernel,
            "at_cell": lambda: self._store.wishes.is_pause_wanted(self.claim.id),
            "pause": self._pause,
            "may_go_on": self._may_go_on,
            "found": self._note_found,
        }
        return self._patiently(lambda: answers[verb](**arguments))

    def _begin(self) -> dict[str, Any]:
        execution = self._store.executions.get(self.claim.id)
        folder = execution.flow_name or "_script"
        notebook = PurePosixPath("executions", folder, f"{execution.id}.ipynb")
        assignment = self._store.runs.begin(self.claim.id, self.claim.attempt, notebook=str(notebook))
        self._execution = assignment.execution
        self._output = dict(assignment.execution.output_value)
        self._service = Service(
            self._store,
            self._catalog,
            user_name=assignment.execution.user_name,
            trigger=Trigger.FLOW,
            parent_id=self.claim.id,
            reserved_for=self._reserved_for,
        )
        path = self._catalog.workspace.root / notebook
        path.parent.mkdir(parents=True, exist_ok=True)
        return _to_json(assignment, str(path))

    def _note_progress(self, **progress: Any) -> None:
        self._progress = Progress(**progress)
        self._is_progress_new = True
        if time.monotonic() - self._progress_written >= _PROGRESS_SECONDS:
            with suppress(CloudoError):  # it is tried again when the runner is silent
                self.flush_progress()

    def flush_progress(self) -> None:
        """Write the progress that was held back because it came so soon."""
        if self._is_progress_new:
            self._progress_written = time.monotonic()
            self._store.runs.progress(self.claim.id, self.claim.attempt, self._progress)
            self._is_progress_new = False

    def _note_kernel(self, *, group: int) -> None:
        self._kernel_group = group

    def _pause(self) -> bool:
        self.flush_progress()  # it stands at this cell for a while
        return self._store.runs.pause(self.claim.id, self.claim.attempt)

    def _may_go_on(self) -> bool:
        """Wait for the end of a pause, but not for long: a runner that died meanwhile must be noticed."""
        return self._until(lambda: self._has_slot_again(keeps_message=True), seconds=_PAUSE_SECONDS)

    def _has_slot_again(self, *, keeps_message: bool = False) -> bool:
        if self._store.executions.status(self.claim.id) is Status.PAUSED:
            return False
        return self._store.runs.take_slot(self.claim.id, self.claim.attempt, keeps_message=keeps_message)

    def _note_found(self, *, status: str, message: str | None = None, error: dict[str, Any] | None = None) -> None:
        detail = None if error is None else ErrorDetail.model_validate(error)
        self._found = Outcome(status=Status(status), message=message, error=detail)

    # What the kernel asks

    def kernel_verb(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Answer the flow."""
        if verb == "log":
            self._lines.append(LogLine(time=self._store.now, **arguments))
            if len(self._lines) >= _LOG_BATCH:
                self.flush_log()
            return None
        return self._patiently(lambda: self._kernel_answer(verb, arguments))

    def _kernel_answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        self.flush_log()
        answers: dict[str, Callable[..., Any]] = {
            "this": self._this,
            "save": self._save,
            "set_output": self._set_output,
            "end": self._end,
            "start_child": self._start_child,
            "wait_for": self._wait_for,
            "flow": lambda name: self._api.flow(name).model_dump(mode="json"),
            "flows": lambda q: [flow.model_dump(mode="json") for flow in self._api.flows(q=q)],
            "execution": lambda execution_id: self._api.execution(execution_id).model_dump(mode="json"),
            "executions": self._executions,
            "cancel_execution": self._cancel,
            "pause_execution": lambda execution_id: self._api.pause_execution(execution_id).model_dump(mode="json"),
            "resume_execution": lambda execution_id: self._api.resume_execution(execution_id).model_dump(mode="json"),
            "retry_execution": lambda execution_id, inputs: self._api.retry_execution(
                execution_id, inputs=inputs
            ).model_dump(mode="json"),
            "setting": self._api.setting,
            "user": lambda: self._api.user().model_dump(mode="json"),
        }
        return answers[verb](**arguments)

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """Call again while the store cannot be used, so that a lock or a full disk does not fail a run at once."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call()
            except Unavailable:
                if time.monotonic() > end or self._is_over.wait(_RETRY_SECONDS):
                    raise

    @property
    def _api(self) -> Service:
        assert self._service is not None, "the kernel is started after `begin`"
        return self._service

    def _this(self) -> dict[str, Any]:
        return self._store.executions.get(self.claim.id).model_dump(mode="json")

    def _save(self, **fields: Any) -> None:
        unknown = fields.keys() - {"name", "message", "output_value"}
        if unknown:
            raise PermissionDenied(f"A flow can save its name, message and output_value, not {sorted(unknown)[0]}.")
        if "output_value" in fields:
            self._check_output(fields["output_value"])
            self._output = fields["output_value"]
        self._store.runs.save(self.claim.id, self.claim.attempt, fields)

    def _set_output(self, *, key: str, value: Any, append: bool) -> None:
        changed = {**self._output, key: _appended(self._output.get(key), value) if append else value}
        self._check_output(changed)
        self._store.runs.save(self.claim.id, self.claim.attempt, {"output_value": changed})
        self._output = changed

    @staticmethod
    def _check_output(output: Any) -> None:
        if not isinstance(output, dict):
            raise MalformedRequest("output_value is an object: names and values.", field="output_value")
        size = len(json.dumps(output))
        if size > OUTPUT_LIMIT_BYTES:
            raise MalformedRequest(
                f"The outputs would take {size / 1e6:.0f} MB; at most {OUTPUT_LIMIT_BYTES / 1e6:.0f} MB are kept. "
                "Write large results to a file and put its path out.",
                field="output_value",
            )

    def _end(self, *, status: str, message: str | None) -> None:
        self._declared = Outcome(status=Status(status), message=message)

    def _cancel(self, *, execution_id: str) -> dict[str, Any]:
        self._store.queue.check_current(self.claim.id, self.claim.attempt)
        return self._api.cancel_execution(execution_id).model_dump(mode="json")

    def _start_child(self, request: dict[str, Any]) -> dict[str, Any]:
        self._store.queue.check_current(self.claim.id, self.claim.attempt)
        return self._api.start_execution(StartExecution.model_validate(request)).model_dump(mode="json")

    def _executions(self, *, where: dict[str, Any], limit: int, cursor: str | None) -> dict[str, Any]:
        page = self._api.executions(ExecutionFilter.model_validate(where), limit=limit, cursor=cursor)
        return page.model_dump(mode="json")

    def _wait_for(self, *, ids: list[str], first: bool) -> list[dict[str, Any]]:
        """Wait without a slot until all, or with `first` one of them, have ended; return those that have."""
        wanted = any if first else all
        states = {execution_id: self._store.executions.status(execution_id) for execution_id in ids}
        if not wanted(status.is_ended for status in states.values()):
            names = ", ".join(self._store.executions.get(execution_id).name for execution_id in ids[:3])
            more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
            self._store.runs.wait(self.claim.id, self.claim.attempt, message=f"waiting for {names}{more}")
            self._until(lambda: wanted(self._store.executions.status(one).is_ended for one in ids))
            self._until(self._has_slot_again)
        records = [self._store.executions.get(execution_id) for execution_id in ids]
        return [record.model_dump(mode="json") for record in records if record.is_ended]

    def _until(self, is_done: Callable[[], bool], *, seconds: float = math.inf) -> bool:
        """Block until `is_done` or so many seconds are over; tell whether it is."""
        woken = threading.Event()
        remove = self._store.tail.add_listener(woken.set)
        end = time.monotonic() + seconds
        try:
            while True:
                with suppress(Unavailable):  # a store that cannot be used now is asked again
                    if is_done():
                        return True
                if self._is_over.is_set():
                    raise StaleAttempt(self.claim.id, self.claim.attempt)
                if time.monotonic() >= end:
                    return False
                woken.wait(0.5)
                woken.clear()
        finally:
            remove()

    # What becomes of it

    @property
    def has_begun(self) -> bool:
        """Whether the run got as far as having its assignment."""
        return self._execution is not None

    @property
    def is_decided(self) -> bool:
        """Whether its end was decided from outside."""
        return self._imposed is not None

    def impose(self, outcome: Outcome) -> bool:
        """Decide from outside how the run ends; False when that was decided before."""
        if outcome.is_interrupted:
            self._is_leaving.set()
        if self._imposed is not None:
            return False
        self._imposed = outcome
        self._is_over.set()
        return True

    def note_obstacle(self, error: OSError) -> None:
        """Note that there were no means to start it, and pause: it is put back and must not come at once."""
        self._obstacle = f"it could not be started: {error}"
        self._is_leaving.wait(_RETRY_SECONDS)

    def end_kernel_group(self) -> None:
        """Kill what is left of the kernel's group; called when the runner, whose part that is, has gone.

        Where both were killed at once, nobody is left whom the kernel's lifeline would signal.
        """
        if self._kernel_group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._kernel_group, signal.SIGKILL)

    def flush_log(self) -> None:
        """Write the log lines that have come."""
        with self._flushing:
            if lines := self._lines[:]:
                self._store.log.append(self.claim.id, self.claim.attempt, lines)
                del self._lines[: len(lines)]

    def finish(self, exit_code: int) -> None:
        """Report the end of the run, and go on until the store has it; called when its processes have gone."""
        self._is_over.set()
        outcome, reason = self._outcome(exit_code), self._reason_to_requeue()
        while True:
            try:
                self._report(outcome, reason)
                return
            except StaleAttempt:
                _log.warning("A run was fenced", extra={"execution_id": self.claim.id, "attempt": self.claim.attempt})
                return
            except CloudoError:
                _log.exception("The end of a run cannot be stored", extra={"execution_id": self.claim.id})
            if self._is_leaving.wait(_RETRY_SECONDS):
                return  # the lease ends, and whoever sees that ends the execution

    def _report(self, outcome: Outcome, reason_to_requeue: str | None) -> None:
        self.flush_log()
        if reason_to_requeue is None:
            self._store.runs.finish(self.claim.id, self.claim.attempt, outcome)
        else:
            self._store.runs.requeue(self.claim.id, self.claim.attempt, reason=reason_to_requeue)

    def _reason_to_requeue(self) -> str | None:
        """Say why a run that had not begun is to be started again, None when it is not."""
        if self.has_begun:
            return None
        if self._imposed is not None:
            return self._imposed.reason if self._imposed.is_interrupted else None
        if self._obstacle is not None:
            return self._obstacle
        return "its process died before it had begun" if self.claim.attempt < _START_ATTEMPTS else None

    def _outcome(self, exit_code: int) -> Outcome:
        outcome = self._imposed or self._declared_unless_failed() or self._found
        if outcome is None:
            how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
            value = f"The process that ran the notebook ended with {how}."
            error = ErrorDetail(name="KernelDied", value=value, traceback=tuple(self.complaints.splitlines()))
            outcome = Outcome(status=Status.ENDED_ERROR, message=value, error=error)
        return replace(outcome, progress=self._progress if self.has_begun else None)

    def _declared_unless_failed(self) -> Outcome | None:
        """What the flow declared counts only when it also stopped there, not when the kernel died after it."""
        if self._declared is not None and self._found is not None and self._found.error is None:
            return self._declared
        return None


def _appended(before: Any, value: Any) -> Any:
    """Append to a list or a text; the first value makes the list."""
    if before is None:
        return [value]
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    return [*(before if isinstance(before, list) else [before]), value]


def _to_json(assignment: Assignment, notebook: str) -> dict[str, Any]:
    return {
        "execution": assignment.execution.model_dump(mode="json"),
        "source": assignment.source,
        "kernel": assignment.kernel,
        "folder": assignment.folder,
        "memory_limit_mb": assignment.memory_limit_mb,
        "notebook": notebook,
    }
