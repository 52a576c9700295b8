"""Supervises one run in its worker: answers its runner and its kernel, and reports to the store."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cloudo_kernel.errors import CloudoError, StaleAttempt, Unavailable
from cloudo_kernel.models import ErrorDetail, LogLine, Progress, Status, Trigger
from cloudo_kernel.processes.loop import Failures
from cloudo_kernel.service import Service
from cloudo_kernel.store import Assignment, Claim, Outcome, Store
from cloudo_kernel.worker.flow_requests import FlowRequests
from cloudo_kernel.worker.run_secrets import RunSecrets, secrets_of
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.worker.waits import RETRY_SECONDS, Waits
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import executed_notebook

_log = logging.getLogger(__name__)

#: Minimum interval between writes of progress, and from the claim to the first one: most runs end before that.
_PROGRESS_SECONDS = 0.1
_FIRST_PROGRESS_SECONDS = 0.25
#: Seconds until a paused runner is answered and asks again; the second value applies if its kernel may be dead.
_PAUSE_SECONDS = 1.0
_HUNG_UP_SECONDS = 0.1
#: Maximum time that the interrupt of an ending run takes to reach its kernel, even on a busy machine.
_INTERRUPT_SECONDS = 2.0
#: Maximum attempts of a run that dies before it begins.
_START_ATTEMPTS = 5
#: Maximum failed tries to record an end, apart from an unavailable store; after that, recovery ends the run.
_MAX_END_TRIES = 4


class RunSupervisor:
    """The worker's side of one run.

    `runner_verb` and `kernel_verb` are called on one thread each, `finish` once when runner and kernel are gone.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        claim: Claim,
        slots: WorkerSlots,
        *,
        reserved_for: str | None,
        linger_seconds: float,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._slots = slots
        self._reserved_for = reserved_for
        self._linger_seconds = linger_seconds
        self.claim = claim
        self._notebook = executed_notebook(claim.flow_name, claim.id)
        self._is_notebook_written = False
        #: Ends the processes of the run; set by the executor that starts them.
        self.end_processes: Callable[[], None] = lambda: None
        #: Whether it now waits without processes, so that no end is to be reported.
        self._is_detached = False
        self._waits = Waits(store, claim, slots)
        #: Answers the flow's calls, once it runs.
        self._calls: FlowRequests | None = None
        self._secrets: RunSecrets | None = None
        self._progress = Progress()
        self._is_progress_new = False
        self._progress_due = time.monotonic() + _FIRST_PROGRESS_SECONDS
        #: Whether a cell has begun, and so may have had effects.
        self._has_cell_begun = False
        #: Whether the kernel has closed its end of the channel; most probably it died.
        self._has_kernel_hung_up = False
        #: The outcome that the runner reported.
        self._found: Outcome | None = None
        #: The outcome that was set from outside.
        self._given_outcome: Outcome | None = None
        #: Why this worker could not start it.
        self._obstacle: str | None = None
        #: The last part of the runner's standard error.
        self.complaints = ""
        #: Whether the flow would notice that its process was forked from a zygote.
        self.is_declined = False
        #: Process group of the kernel, once it runs.
        self._kernel_group: int | None = None
        #: Set when the runner has ended.
        self._has_gone = threading.Event()
        #: Set when this worker stops, and cannot wait for an unavailable store.
        self._is_leaving = threading.Event()

    # Calls of the runner and the flow

    def runner_verb(self, verb: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """Answer a call of the runner."""
        del is_main  # the runner may call from any thread
        answers: dict[str, Callable[..., Any]] = {
            "begin": self._begin,
            "progress": self._note_progress,
            "kernel_started": self._note_kernel,
            "at_cell": self._enter_cell,
            "pause": self._pause,
            "may_go_on": self._may_go_on,
            "found": self._note_found,
            "decline": self._note_decline,
            "secrets": self._told_secrets,
        }
        return self._waits.retry_while_unavailable(lambda: answers[verb](**arguments))

    def _begin(self) -> dict[str, Any]:
        assignment = self._store.reports.begin(self.claim.id, self.claim.attempt, replays=self.claim.durable)
        self._secrets = secrets = secrets_of(assignment, self._store, self._catalog, self.claim)
        service = Service(
            self._store,
            self._catalog,
            user_name=assignment.execution.user_name,
            trigger=Trigger.FLOW,
            parent_id=self.claim.id,
            reserved_for=self._reserved_for,
            depth=assignment.depth + 1,
            redaction=secrets.redaction,
        )
        self._calls = FlowRequests(
            self._store,
            service,
            self.claim,
            self._waits,
            secrets,
            output=assignment.protected.revealed(assignment.execution).output_value,
            linger_seconds=self._linger_seconds,
            detach=self._detach,
        )
        path = self._catalog.workspace.root / self._notebook
        path.parent.mkdir(parents=True, exist_ok=True)
        return _to_json(assignment, str(path))

    def _note_decline(self, *, reason: str) -> None:
        """Note that the run needs a cold start, and write the reason to its log."""
        line = LogLine(
            time=self._store.now, level="info", text=f"Started cold, because of the preloaded modules: {reason}."
        )
        self._store.log.append(self.claim.id, self.claim.attempt, [line])
        self.is_declined = True

    def _note_progress(self, **progress: Any) -> None:
        self._is_notebook_written = True  # the runner saves it before it reports any progress
        self._progress = Progress(**progress)
        if self._secrets is not None:
            self._progress = self._secrets.progress(self._progress)
        self._is_progress_new = True
        if time.monotonic() >= self._progress_due:
            with suppress(CloudoError):  # retried when the runner is silent
                self.flush_progress()

    def flush_progress(self) -> None:
        """Write progress that came too soon after the last write."""
        if self._is_progress_new:
            self._progress_due = time.monotonic() + _PROGRESS_SECONDS
            self._store.reports.progress(self.claim.id, self.claim.attempt, self._progress, notebook=self._written)
            self._is_progress_new = False

    @property
    def _written(self) -> str | None:
        """Return the path of the executed notebook below the workspace, or None before it is written."""
        return self._notebook if self._is_notebook_written else None

    def _told_secrets(self, *, known: int) -> list[str]:
        """Return the secrets that the runner does not know yet, so that it can mask them in the notebook."""
        return [] if self._secrets is None else self._secrets.redaction.texts(after=known)

    def _note_kernel(self, *, group: int) -> None:
        self._kernel_group = group

    def _enter_cell(self, **progress: Any) -> bool:
        """Note that a cell is about to run; return whether the run should pause before it."""
        self._has_cell_begun = True
        self._note_progress(**progress)
        return self._store.control.is_pause_wanted(self.claim.id)

    def _pause(self) -> bool:
        self.flush_progress()  # it stays at this cell for a while
        return self._store.reports.pause(self.claim.id, self.claim.attempt)

    def _may_go_on(self) -> bool:
        """Wait briefly for the end of a pause, and return whether it has ended.

        The wait is short so that a dead runner is noticed. When the kernel hangs up, the runner is answered at once
        and checks whether its kernel died.
        """
        may_go_on, knew = False, self._has_kernel_hung_up

        def has_news() -> bool:
            nonlocal may_go_on
            may_go_on = self._waits.has_slot_again(keeps_message=True)
            return may_go_on or self._has_kernel_hung_up != knew

        self._waits.until(has_news, seconds=_HUNG_UP_SECONDS if knew else _PAUSE_SECONDS)
        return may_go_on

    def note_hang_up(self) -> None:
        """Note that the kernel's end of the channel is closed, in every process that had it."""
        self._has_kernel_hung_up = True
        self._waits.wake()

    def _note_found(self, *, status: str, message: str | None = None, error: dict[str, Any] | None = None) -> None:
        detail = None if error is None else ErrorDetail.model_validate(error)
        self._found = Outcome(status=Status(status), message=message, error=detail)

    def kernel_verb(self, verb: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """Answer a call of the flow; `is_main` says whether its main thread called."""
        assert self._calls is not None, "no cell runs before `begin`"
        try:
            return self._calls.answer(verb, arguments, is_main=is_main)
        except StaleAttempt:
            # Let the interrupt come first: the flow would take this error for a failure of its call, and act on it.
            if self._given_outcome is not None:
                self._has_gone.wait(_INTERRUPT_SECONDS)
            raise

    # The end of the run

    @property
    def has_begun(self) -> bool:
        """Whether the run has received its assignment."""
        return self._calls is not None

    @property
    def has_found(self) -> bool:
        """Whether the runner has reported how the run ended."""
        return self._found is not None

    @property
    def can_begin_anew(self) -> bool:
        """Whether its processes died before any cell began, so that new ones may replace them."""
        has_died = self._found is None or (self._found.error is not None and self._found.error.name == "KernelDied")
        return has_died and not self._has_cell_begun and self._given_outcome is None

    def begin_anew(self) -> None:
        """Forget the dead processes; called before new ones replace them."""
        self._found, self._calls, self._kernel_group = None, None, None
        self._has_gone.clear()
        self._progress, self._is_progress_new = Progress(), False
        self._has_kernel_hung_up = False

    @property
    def is_decided(self) -> bool:
        """Whether its outcome was set from outside."""
        return self._given_outcome is not None

    def set_outcome(self, outcome: Outcome) -> bool:
        """Set the outcome of the run from outside; return False if one was set before."""
        if outcome.is_interrupted:
            self._is_leaving.set()
        if self._given_outcome is not None:
            return False
        self._given_outcome = outcome
        self._waits.end()
        return True

    def _detach(self) -> None:
        self._is_detached = True
        self.end_processes()
        self._kill_kernel_group()  # at once: otherwise the flow takes the end of its call for an error, and acts on it

    def note_obstacle(self, error: Exception) -> None:
        """Note why it could not be started, and wait a moment: it must not be claimed again at once."""
        self._obstacle = str(error) or type(error).__name__
        self._is_leaving.wait(RETRY_SECONDS)

    def end_kernel_group(self) -> None:
        """Kill what is left of the kernel's process group; called when the runner, which usually does this, is gone.

        If both were killed at once, the lifeline of the kernel no longer signals the processes that it started.
        """
        self._has_gone.set()
        self._kill_kernel_group()

    def _kill_kernel_group(self) -> None:
        if self._kernel_group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._kernel_group, signal.SIGKILL)

    def flush_log(self) -> None:
        """Write the buffered log lines."""
        if self._calls is not None:
            self._calls.flush_log()

    def finish(self, exit_code: int) -> bool:
        """Report the end of the run, with retries; called when its processes are gone.

        Returns False if the store has not recorded it, so that recovery has to end the run. An unavailable store is
        retried until the worker stops. Any other error is recorded as the outcome, in place of the one that caused it.
        """
        self._waits.end()
        self._slots.forget(self.claim)
        if self._is_detached:
            return True
        failures = Failures(f"The record of the end of {self.claim.id}")
        ended: tuple[Outcome, str | None] | None = None
        tries_left = _MAX_END_TRIES
        while tries_left:
            try:
                ended = ended or (self._outcome(exit_code), self._reason_to_requeue())
                self._report(*ended)
            except StaleAttempt:
                _log.warning("A run was fenced", extra={"execution_id": self.claim.id, "attempt": self.claim.attempt})
                return True
            except Unavailable as error:
                failures.note(error)
            except Exception as error:  # noqa: BLE001 -- its slot has to become free
                failures.note(error)
                ended, tries_left = (_unrecorded(error), None), tries_left - 1
                self._calls = None  # unwritten log lines may be the cause
            else:
                failures.clear()
                return True
            if self._is_leaving.wait(RETRY_SECONDS):
                break
        return False

    def _report(self, outcome: Outcome, reason_to_requeue: str | None) -> None:
        self.flush_log()
        if reason_to_requeue is None:
            self._store.reports.finish(self.claim.id, self.claim.attempt, outcome)
        else:
            self._store.reports.requeue(self.claim.id, self.claim.attempt, reason=reason_to_requeue)

    def _reason_to_requeue(self) -> str | None:
        """Return why a run without a begun cell is requeued, or None if it is not."""
        if self._has_cell_begun or self._found is not None:
            return None
        if self._given_outcome is not None:
            return self._given_outcome.reason if self._given_outcome.is_interrupted else None
        if self._obstacle is not None:
            return f"it could not be started: {self._obstacle}"
        return "its process died before it had begun" if self.claim.attempt < _START_ATTEMPTS else None

    def _outcome(self, exit_code: int) -> Outcome:
        outcome = self._given_outcome or self._differing() or self._declared_unless_failed() or self._found
        if outcome is None and self._obstacle is not None:
            outcome = _failed("WorkerFailed", f"The worker could not go on with this run: {self._obstacle}")
        if outcome is None:
            how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
            value = f"The process that ran the notebook ended with {how}."
            error = ErrorDetail(name="KernelDied", value=value, traceback=tuple(self.complaints.splitlines()))
            outcome = Outcome(status=Status.ENDED_ERROR, message=value, error=error)
        outcome = replace(outcome, progress=self._progress if self.has_begun else None, notebook=self._written)
        return outcome if self._secrets is None else self._secrets.outcome(outcome)

    def _differing(self) -> Outcome | None:
        """Return an error if a replay made other calls, even if the flow caught it."""
        if self._calls is not None and self._found is not None and self._found.error is None:
            self._calls.note_last_cell()
        obstacle = None if self._calls is None else self._calls.obstacle
        if obstacle is None:
            return None
        found = self._found.error if self._found is not None else None
        error = found or ErrorDetail(name=type(obstacle).__name__, value=str(obstacle))
        return Outcome(status=Status.ENDED_ERROR, message=f"{error.name}: {error.value}", error=error)

    def _declared_unless_failed(self) -> Outcome | None:
        """Return what the flow declared, but only if it stopped there without an error, such as a dead kernel."""
        declared = None if self._calls is None else self._calls.declared
        if declared is not None and self._found is not None and self._found.error is None:
            return declared
        return None


def _unrecorded(error: Exception) -> Outcome:
    kind = type(error).__name__
    return _failed("ReportFailed", f"The end of this run could not be recorded ({kind}). The worker's log says why.")


def _failed(name: str, value: str) -> Outcome:
    return Outcome(status=Status.ENDED_ERROR, message=value, error=ErrorDetail(name=name, value=value))


def _to_json(assignment: Assignment, notebook: str) -> dict[str, Any]:
    return {
        "execution_id": assignment.execution.id,
        "inputs": assignment.execution.input_value,
        "hidden_inputs": assignment.protected.inputs,
        "source": assignment.source,
        "kernel": assignment.kernel,
        "folder": assignment.folder,
        "memory_limit_mb": assignment.memory_limit_mb,
        "cell_timeout_seconds": assignment.options.cell_timeout_seconds,
        "report_mode": bool(assignment.options.report_mode),
        "notebook": notebook,
    }
