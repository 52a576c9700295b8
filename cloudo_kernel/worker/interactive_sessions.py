"""Answers the calls of kernels that were opened by hand.

This runs in the server or, without one, in the kernel itself. It leaves the transport of the calls to others.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloudo_kernel.errors import CloudoError, NameInvalid, StaleAttempt, Unavailable, WaitTimeout
from cloudo_kernel.models import EngineTier, Execution, Status
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.processes import liveness
from cloudo_kernel.processes.channel import Frames, answer
from cloudo_kernel.processes.loop import Failures, Loop
from cloudo_kernel.service import Service
from cloudo_kernel.store import HEARTBEAT_SECONDS, Claim, Outcome, Store
from cloudo_kernel.worker.flow_requests import READS, FlowRequests
from cloudo_kernel.worker.run_secrets import RunSecrets
from cloudo_kernel.worker.waits import RETRY_SECONDS, Waits
from cloudo_kernel.workspace.catalog import check_name

_log = logging.getLogger(__name__)

#: Tries to record the end of an execution while the store is unavailable; after that its lease decides.
_END_TRIES = 60
#: Verbs that write nothing, in addition to `READS`.
_WAITS = frozenset({"wait_for", "wait_message", "sleep_until", "step_begin", "step_done", "step_failed"})


class Sessions:
    """The sessions of this process, and the one lease on their executions."""

    def __init__(self, store: Store, state: Path) -> None:
        self._store = store
        self._state = state
        self._holder_id = new_id()
        self._lease: liveness.Lease | None = None
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Session, Frames]] = {}
        self.loop = Loop("sessions", self._live)
        self.loop.on_death = self._give_up

    def open(
        self, key: str, frames: Frames, service_of: Callable[[str], Service], flow_name: Callable[[], str | None]
    ) -> Session:
        """Answer a kernel on its own thread until the other end of `frames` is closed.

        `key` identifies the kernel: if it is opened again, the kernel was restarted and its former session ends.
        `service_of` returns the service of the parent with an id, `flow_name` the current flow of the notebook.
        """
        session = Session(self._store, self._hold, service_of, flow_name)
        with self._lock:
            former, self._open[key] = self._open.get(key), (session, frames)
        if former is not None:
            former[1].close()
            former[0].end()

        def serve() -> None:
            try:
                answer(frames, session.answer, flush=session.flush)
            except (ValueError, KeyError, TypeError):  # an invalid frame: its sender is not a kernel
                _log.warning("An interactive notebook sent an invalid frame", exc_info=True)
            finally:
                frames.close()
                session.end()
                with self._lock:
                    if self._open.get(key) == (session, frames):
                        del self._open[key]

        threading.Thread(target=serve, name="cloudo-by-hand", daemon=True).start()
        return session

    def close(self) -> None:
        """End all executions, and release the lease."""
        with self._lock:
            sessions = list(self._open.values())
        for session, _ in sessions:
            session.end()
        self.loop.stop()
        if self._lease is not None:
            with suppress(CloudoError):  # another process sees that the lease is gone
                self._store.queue.release(self._holder_id, lost=False)
            self._lease.close()

    def _hold(self) -> str:
        """Take the lease unless this process has it; return its id."""
        with self._lock:
            if self._lease is None:
                taken = liveness.Lease(self._state, self._holder_id)
                try:
                    # Private: it claims nothing, and does not count as a worker that would.
                    self._store.workers.register(self._holder_id, private=True)
                    self.loop.start()
                except BaseException:
                    taken.close()
                    raise
                self._lease = taken
        return self._holder_id

    def _live(self) -> float:
        if not self._store.workers.beat(self._holder_id):
            self._hold_again()
        return HEARTBEAT_SECONDS

    def _give_up(self, _name: str) -> None:
        if self._lease is not None:
            self._lease.release()  # workers see it, and end the executions held here

    def _hold_again(self) -> None:
        """Register again: this process stalled until others ended its executions."""
        if self._lease is not None:
            self._lease.close()
        self._lease = liveness.Lease(self._state, self._holder_id)
        self._store.workers.register(self._holder_id, private=True)


class Session:
    """The session of one kernel. Its first write creates an execution, and so does the first after its end."""

    def __init__(
        self,
        store: Store,
        hold: Callable[[], str],
        service_of: Callable[[str], Service],
        flow_name: Callable[[], str | None],
    ) -> None:
        self._store = store
        self._hold = hold
        self._service_of = service_of
        self._flow_name = flow_name
        self._is_over = False
        self._calls = self._next_calls()
        self._ending = threading.Lock()

    def answer(self, verb: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """Answer a call of the kernel."""
        if self._is_over:
            raise Unavailable("This kernel is answered elsewhere, or was ended.")
        self._calls.waits.is_interrupted.clear()
        try:
            return self._calls.answer(verb, arguments, is_main=is_main)
        except StaleAttempt:  # it was cancelled, or the lease was lost: this call belongs to a new one
            if not self._renew():
                raise
            return self._calls.answer(verb, arguments, is_main=is_main)
        finally:
            if self._calls.declared is not None:
                self._calls = self._next_calls()

    def flush(self) -> None:
        """Write the buffered log lines."""
        try:
            self._calls.flush_log()
        except StaleAttempt:
            if self._renew():
                self._calls.flush_log()

    def interrupt(self) -> None:
        """End the current wait: its cell was interrupted. The kernel may make more calls."""
        self._calls.waits.is_interrupted.set()
        self._calls.waits.wake()

    def stop(self) -> None:
        """Refuse further calls of this kernel, and end its waits."""
        self._is_over = True
        self._calls.waits.end()

    def end(self) -> None:
        """End the execution as a success, because its kernel is gone."""
        self.stop()
        failures = Failures("The record of the end of an interactive notebook")
        with self._ending:
            for _ in range(_END_TRIES):
                try:
                    self._calls.close()
                except StaleAttempt:
                    return
                except CloudoError as error:
                    failures.note(error)
                    threading.Event().wait(RETRY_SECONDS)
                else:
                    failures.clear()
                    return

    def _renew(self) -> bool:
        """Replace an execution that others ended by a new one, which gets the unwritten log lines."""
        if self._is_over or not self._calls.is_open:
            return False
        lines = self._calls.unwritten_lines()
        self._calls = self._next_calls()
        self._calls.take_lines(lines)
        return True

    def _next_calls(self) -> InteractiveRequests:
        claim = Claim(new_id(), 1, None, "cloudo", EngineTier.KERNEL, durable=False)
        waits = InteractiveWaits(self._store, claim)
        return InteractiveRequests(self._store, self._service_of(claim.id), claim, waits, self._hold, self._flow_name)


class InteractiveWaits(Waits):
    """Waits that also end when the waiting cell is interrupted."""

    def __init__(self, store: Store, claim: Claim) -> None:
        super().__init__(store, claim)
        self.is_interrupted = threading.Event()

    def until(self, is_done: Callable[[], bool], *, seconds: float = math.inf) -> bool:
        """See `Waits.until`."""

        def look() -> bool:
            if self.is_interrupted.is_set():
                raise WaitTimeout("The cell that waited was interrupted.")
            return is_done()

        return super().until(look, seconds=seconds)


class InteractiveRequests(FlowRequests):
    """The calls of one interactive execution. The first call that writes creates it."""

    def __init__(
        self,
        store: Store,
        service: Service,
        claim: Claim,
        waits: InteractiveWaits,
        hold: Callable[[], str],
        flow_name: Callable[[], str | None],
    ) -> None:
        # The notebook itself is not masked, but its reports are, like a run's.
        secrets = RunSecrets(store, claim, service.redaction)
        super().__init__(store, service, claim, waits, secrets, output={}, linger_seconds=math.inf, detach=lambda: None)
        self.waits = waits
        self.is_open = False
        self._hold = hold
        self._flow_name = flow_name

    def answer(self, name: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """See `FlowRequests.answer`."""
        if not self.is_open and name not in READS and name not in _WAITS:
            self.open()
        return super().answer(name, arguments, is_main=is_main)

    def open(self) -> None:
        """Create the execution."""
        new = self._service.prepare_by_hand(self._claim.id, self._flow_name())
        self._store.executions.open(new, worker_id=self._hold())
        self._secrets.protect_outputs(new.protected_outputs or ())
        self.is_open = True

    def close(self) -> None:
        """End the execution, if it was created, as a success."""
        if self.is_open:
            with suppress(CloudoError):
                self.flush_log()
            self._store.reports.finish(self._claim.id, self._claim.attempt, Outcome(status=Status.ENDED_SUCCESS))

    def unwritten_lines(self) -> list[Any]:
        """Return the log lines that are not in the store yet."""
        return list(self._lines)

    def take_lines(self, lines: list[Any]) -> None:
        """Take over log lines of an execution that others ended."""
        if lines:
            self.open()
            self._lines += lines

    def this(self) -> Execution:
        """Return the record; if the execution was not created yet, the record that it would have."""
        if self.is_open:
            return super().this()
        new = self._service.prepare_by_hand(self._claim.id, self._flow_name())
        made = {"status": Status.RUNNING, "attempt": 1, "created_at": self._store.now, "log": ()}
        return Execution.model_validate({**vars(new), **made})

    def end(self, status: Status, message: str | None) -> None:
        """End the execution at once: later calls belong to a new one."""
        super().end(status, message)
        outcome = self._secrets.outcome(Outcome(status=status, message=message))
        self._store.reports.finish(self._claim.id, self._claim.attempt, outcome)

    def _without_slot(
        self,
        message: str,
        is_done: Callable[[], bool],
        *,
        seconds: float = math.inf,
        on: Sequence[str] = (),
        **_more: Any,
    ) -> bool:
        """Wait; there is no slot to give back. Raises `DependencyCycle` if the executions wait for each other."""
        del message
        if not (on and self.is_open):
            return self._waits.until(is_done, seconds=seconds)
        self._store.reports.depend(self._claim.id, self._claim.attempt, on)
        try:
            return self._waits.until(is_done, seconds=seconds)
        finally:
            with suppress(CloudoError):  # the end of the execution clears it, too
                self._store.reports.depend(self._claim.id, self._claim.attempt, ())


def flow_name_of(notebook: Path, flows: Path) -> str | None:
    """Return the flow name of a notebook, or None if it is not a flow."""
    try:
        below = Path(os.path.realpath(notebook)).relative_to(os.path.realpath(flows))
        if below.suffix != ".ipynb":
            return None
        return check_name(unicodedata.normalize("NFC", below.with_suffix("").as_posix()))
    except (ValueError, NameInvalid):
        return None
