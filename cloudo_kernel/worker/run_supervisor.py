"""Supervises one run in its worker: answers its runner and its kernel, and reports to the store."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cloudo_kernel.errors import StaleAttempt, Unavailable
from cloudo_kernel.models import ErrorDetail, LogLine, Origin, Progress, Status
from cloudo_kernel.processes.loop import Failures
from cloudo_kernel.service import Service
from cloudo_kernel.store import Assignment, Claim, Outcome, Store
from cloudo_kernel.worker.flow_requests import FlowRequests
from cloudo_kernel.worker.outcomes import replay_differed, runner_died, unrecorded, worker_failed
from cloudo_kernel.worker.run_progress import RunProgress
from cloudo_kernel.worker.run_secrets import RunSecrets, secrets_of
from cloudo_kernel.worker.run_state import Action, Event, ImpossibleEvent, Phase, RunState, advance
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.worker.waits import RETRY_SECONDS, Waits
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import executed_notebook

_log = logging.getLogger(__name__)

#: Seconds until a paused runner is answered and asks again; the second value applies if its kernel may be dead.
_PAUSE_SECONDS = 1.0
_HUNG_UP_SECONDS = 0.1
#: Maximum time that the interrupt of an ending run takes to reach its kernel, even on a busy machine.
_INTERRUPT_SECONDS = 2.0
#: Maximum failed tries to record an end, apart from an unavailable store; after that, recovery ends the run.
_MAX_END_TRIES = 4


class RunSupervisor:
    """The worker's side of one run.

    `runner_verb` and `kernel_verb` are called on one thread each, `finish` once when runner and kernel are gone.
    These threads, and those that stop the run, change the state by events only (`run_state`).
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
        #: Ends the processes of the run; set by the executor that starts them.
        self.end_processes: Callable[[], None] = lambda: None
        #: Changed by `_send` only.
        self._state = RunState()
        self._lock = threading.Lock()
        self._waits = Waits(store, claim, slots)
        #: Answers the flow's calls, once it runs.
        self._calls: FlowRequests | None = None
        self._secrets: RunSecrets | None = None
        self._progress = RunProgress(store, claim)
        #: The last part of the runner's standard error.
        self.complaints = ""
        #: Set when the runner has ended.
        self._has_gone = threading.Event()
        #: Set when this worker stops, and cannot wait for an unavailable store.
        self._is_leaving = threading.Event()

    def _send(self, event: Event, **given: Any) -> RunState:
        """Change the state as an event does, carry the actions out, and return the state before."""
        with self._lock:
            before = self._state
            self._state, actions = advance(before, event, **given)
        for action in actions:
            self._act(action)
        return before

    def _act(self, action: Action) -> None:
        if action is Action.END_WAITS:
            self._waits.end()
        elif action is Action.WAKE_WAITS:
            self._waits.wake()
        elif action is Action.FORGET_SLOT:
            self._slots.forget(self.claim)
        elif action is Action.STOP_RETRIES:
            self._is_leaving.set()
        elif action is Action.FORGET_PROCESSES:
            self._calls = None
            self._has_gone.clear()
            self._progress.reset()
        else:
            self.end_processes()
            self._kill_kernel_group()  # at once: else the flow takes the end of its call for an error, and acts on it

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
            trigger=Origin.FLOW,
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
        path = self._catalog.workspace.root / executed_notebook(self.claim.flow_name, self.claim.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._send(Event.BEGIN)
        return _to_json(assignment, str(path))

    def _note_decline(self, *, reason: str) -> None:
        """Note that the run needs a cold start, and write the reason to its log."""
        line = LogLine(
            time=self._store.now, level="info", text=f"Started cold, because of the preloaded modules: {reason}."
        )
        self._store.log.append(self.claim.id, self.claim.attempt, [line])
        self._send(Event.DECLINE, is_declined=True)

    def _note_progress(self, **progress: Any) -> None:
        made = Progress(**progress)
        self._progress.note(made if self._secrets is None else self._secrets.progress(made))

    def flush_progress(self) -> None:
        """Write progress that came too soon after the last write."""
        self._progress.flush()

    def _told_secrets(self, *, known: int) -> list[str]:
        """Return the secrets that the runner does not know yet, so that it can mask them in the notebook."""
        return [] if self._secrets is None else self._secrets.redaction.texts(after=known)

    def _note_kernel(self, *, group: int) -> None:
        self._send(Event.KERNEL_STARTED, kernel_group=group)

    def _enter_cell(self, **progress: Any) -> bool:
        """Note that a cell is about to run; return whether the run should pause before it."""
        self._send(Event.CELL)
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
        may_go_on, knew = False, self._state.has_kernel_hung_up

        def has_news() -> bool:
            nonlocal may_go_on
            may_go_on = self._waits.has_slot_again(keeps_message=True)
            return may_go_on or self._state.has_kernel_hung_up != knew

        self._waits.until(has_news, seconds=_HUNG_UP_SECONDS if knew else _PAUSE_SECONDS)
        return may_go_on

    def note_hang_up(self) -> None:
        """Note that the kernel's end of the channel is closed, in every process that had it."""
        self._send(Event.HANG_UP, has_kernel_hung_up=True)

    def _note_found(self, *, status: str, message: str | None = None, error: dict[str, Any] | None = None) -> None:
        detail = None if error is None else ErrorDetail.model_validate(error)
        is_dead = detail is not None and detail.name == "KernelDied"
        found = Outcome(status=Status(status), message=message, error=detail)
        self._send(Event.FIND_DEAD_KERNEL if is_dead else Event.FIND, found=found)

    def kernel_verb(self, verb: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """Answer a call of the flow; `is_main` says whether its main thread called."""
        assert self._calls is not None, "no cell runs before `begin`"
        try:
            return self._calls.answer(verb, arguments, is_main=is_main)
        except StaleAttempt:
            # Let the interrupt come first: the flow would take this error for a failure of its call, and act on it.
            if self.is_decided:
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
        return self._state.found is not None

    @property
    def is_declined(self) -> bool:
        """Whether the flow would notice that its process was forked from a zygote."""
        return self._state.is_declined

    def begin_anew(self) -> bool:
        """Forget the dead processes, so that new ones may replace them.

        Return False if they may not, because a cell has begun, or the outcome of the run is decided.
        """
        try:
            self._send(Event.BEGIN_ANEW, found=None, kernel_group=None, has_kernel_hung_up=False)
        except ImpossibleEvent:
            return False
        return True

    @property
    def is_decided(self) -> bool:
        """Whether its outcome was set from outside."""
        return self._state.given is not None

    def set_outcome(self, outcome: Outcome) -> bool:
        """Set the outcome of the run from outside; return False if it is too late."""
        before = self._send(Event.LEAVE if outcome.is_interrupted else Event.STOP, given=outcome)
        return before.given is None and self._state.given is outcome

    def _detach(self) -> None:
        self._send(Event.DETACH)

    def note_obstacle(self, error: Exception) -> None:
        """Note why it could not be started, and wait a moment: it must not be claimed again at once."""
        self._send(Event.OBSTACLE, obstacle=str(error) or type(error).__name__)
        self._is_leaving.wait(RETRY_SECONDS)

    def end_kernel_group(self) -> None:
        """Kill what is left of the kernel's process group; called when the runner, which usually does this, is gone.

        If both were killed at once, the lifeline of the kernel no longer signals the processes that it started.
        """
        self._has_gone.set()
        self._kill_kernel_group()

    def _kill_kernel_group(self) -> None:
        if (group := self._state.kernel_group) is not None:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def flush_log(self) -> None:
        """Write the buffered log lines."""
        if self._calls is not None:
            self._calls.flush_log()

    def finish(self, exit_code: int) -> bool:
        """Report the end of the run, with retries; called when its processes are gone.

        Returns False if the store has not recorded it, so that recovery has to end the run. An unavailable store is
        retried until the worker stops. Any other error is recorded as the outcome, in place of the one that caused it.
        """
        state = self._send(Event.FINISH)
        if state.phase is Phase.DETACHED:
            return True
        failures = Failures(f"The record of the end of {self.claim.id}")
        ended: tuple[Outcome, str | None] | None = None
        tries_left = _MAX_END_TRIES
        while tries_left:
            try:
                ended = ended or (self._outcome(exit_code), state.reason_to_requeue(self.claim.attempt))
                self._report(*ended)
            except StaleAttempt:
                _log.warning("A run was fenced", extra={"execution_id": self.claim.id, "attempt": self.claim.attempt})
                return True
            except Unavailable as error:
                failures.note(error)
            except Exception as error:  # noqa: BLE001 -- its slot has to become free
                failures.note(error)
                ended, tries_left = (unrecorded(error), None), tries_left - 1
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

    def _outcome(self, exit_code: int) -> Outcome:
        state = self._state
        outcome = state.given or self._differing() or self._declared_unless_failed() or state.found
        if outcome is None and state.obstacle is not None:
            outcome = worker_failed(state.obstacle)
        if outcome is None:
            outcome = runner_died(exit_code, self.complaints)
        outcome = replace(
            outcome, progress=self._progress.last if self.has_begun else None, notebook=self._progress.notebook
        )
        return outcome if self._secrets is None else self._secrets.outcome(outcome)

    def _differing(self) -> Outcome | None:
        """Return an error if a replay made other calls, even if the flow caught it."""
        found = self._state.found
        if self._calls is not None and found is not None and found.error is None:
            self._calls.note_last_cell()
        obstacle = None if self._calls is None else self._calls.obstacle
        if obstacle is None:
            return None
        return replay_differed(obstacle, found)

    def _declared_unless_failed(self) -> Outcome | None:
        """Return what the flow declared, but only if it stopped there without an error, such as a dead kernel."""
        declared = None if self._calls is None else self._calls.declared
        found = self._state.found
        return declared if found is not None and found.error is None else None


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
