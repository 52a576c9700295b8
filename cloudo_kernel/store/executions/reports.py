"""Store the reports of runs, from their beginning to their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, select, update

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import Execution, JsonObject, Progress, RunOptions, Status
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_CHANGED, EXECUTION_PROGRESSED, EXECUTION_RESUMED
from cloudo_kernel.models.lifecycle import Outcome
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions import dependencies, results
from cloudo_kernel.store.executions.fencing import ATTEMPT, EXECUTION_ID, IS_LIVE, LEASED, change, check_live
from cloudo_kernel.store.executions.new_execution import Protected
from cloudo_kernel.store.executions.queue import Slots
from cloudo_kernel.store.executions.records import to_record
from cloudo_kernel.store.executions.transitions import detach, end_run, requeue, tell
from cloudo_kernel.store.executions.wakeups import Wake, forget, register_wait
from cloudo_kernel.store.locks import is_turn
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.sql.row_locks import lock_execution, lock_slots, lock_subjects
from cloudo_kernel.store.tables import executions, sources, webhook_responses

# Built once, because runs report often. `_TOUCH` sets the columns of the parameters given at execution.
_TOUCH = update(executions).where(*IS_LIVE)
_HAS_FAILED = select(executions.c.failures).where(executions.c.id == bindparam("of"))
_SOURCE = select(sources.c.text).where(sources.c.sha256 == bindparam("digest"))


@dataclass(frozen=True)
class Assignment:
    """Everything needed to run a claimed execution."""

    execution: Execution
    source: str
    kernel: str
    folder: str
    memory_limit_mb: int | None
    options: RunOptions
    #: The number of its ancestors.
    depth: int
    #: The unmasked values of what the record masks.
    protected: Protected
    #: The keys of outputs to protect.
    protected_outputs: tuple[str, ...]


class Reports:
    """Take the reports of runs. Each report names its attempt.

    A report of another attempt than the current one raises `StaleAttempt`; `detach` and `pause` return False instead.
    """

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def begin(self, execution_id: str, attempt: int, *, replays: bool = False) -> Assignment:
        """Record that the run starts now, clear what an earlier run left, and return what the run needs.

        `replays` keeps the outputs, because a replay does not set them again.
        """
        now = self._database.clock()
        fresh: JsonObject = {"progress": Progress().model_dump(), "error": None}
        with self._database.write() as connection:
            # Until a run has failed, outputs come from the parent, not from an earlier run.
            if not replays and connection.execute(_HAS_FAILED, {"of": execution_id}).scalar():
                fresh |= {"output_value": {}, "sealed_outputs": None, "message": None}
                connection.execute(delete(webhook_responses).where(webhook_responses.c.execution_id == execution_id))
                results.forget(connection, execution_id)
            row = change(
                connection,
                execution_id,
                attempt,
                {"started_at": now, **fresh},
                (Status.RUNNING,),
            )
            source = connection.execute(_SOURCE, {"digest": row.source_sha256}).scalar_one()
            record(connection, EXECUTION_CHANGED, EXECUTION, execution_id, time=now, started=True)
        decrypt = self._encryption.unseal_values
        protected = Protected(decrypt(row.sealed_inputs), decrypt(row.sealed_outputs))
        outputs = tuple(row.protected_outputs or ())
        options = RunOptions.model_validate(row.run_options or {})
        more = (row.memory_limit_mb, options, row.depth, protected, outputs)
        return Assignment(to_record(row), source, row.kernel, row.folder, *more)

    def progress(self, execution_id: str, attempt: int, progress: Progress, *, notebook: str | None = None) -> None:
        """Record the progress of the run, and the path of its notebook once it is written."""
        now, values = self._database.clock(), progress.model_dump()
        written = {} if notebook is None else {"notebook": notebook}
        with self._database.write() as connection:
            _touch(connection, execution_id, attempt, {"progress": values, **written})
            record(connection, EXECUTION_PROGRESSED, EXECUTION, execution_id, time=now, **values)

    def save(self, execution_id: str, attempt: int, fields: JsonObject) -> None:
        """Change fields that a running flow may change: `name`, `message`, `output_value` with `hidden_outputs`.

        `hidden_outputs` are the unmasked values of outputs that `output_value` masks.
        """
        now = self._database.clock()
        values = {name: value for name, value in fields.items() if name != "hidden_outputs"}
        if "output_value" in fields:
            values["sealed_outputs"] = self._encryption.seal_values(fields.get("hidden_outputs", {}))
        fields = {name: value for name, value in values.items() if name != "sealed_outputs"}
        with self._database.write() as connection:
            _touch(connection, execution_id, attempt, values)
            record(connection, EXECUTION_CHANGED, EXECUTION, execution_id, time=now, fields=sorted(fields))

    def wait(
        self, execution_id: str, attempt: int, *, message: str, on: Sequence[str] = (), wake: Wake | None = None
    ) -> None:
        """Release the slot while the run waits; a requested pause begins here.

        `on` are executions that must end before the run can continue. Raises `DependencyCycle` if one of them depends
        on this one. `wake` is for durable executions, which can wait without processes.
        """
        now, c = self._database.clock(), executions.c
        status = case((c.wants_pause, Status.PAUSED.value), else_=Status.WAITING.value)
        values = {"status": status, "message": message, "wants_slot": False, "wants_pause": False}
        with self._database.write() as connection:
            lock_execution(connection, execution_id)
            lock_subjects(connection, on)
            # The run may be waiting already: after a store outage during the wait, it starts the wait again.
            row = change(connection, execution_id, attempt, values, (Status.RUNNING, Status.WAITING))
            dependencies.add(connection, execution_id, on)
            if wake is not None:
                if wake.lock is not None and is_turn(connection, wake.lock, execution_id):
                    wake = Wake()  # its turn has come already
                register_wait(connection, execution_id, wake)
            tell(connection, execution_id, Status(row.status), now=now, message=message)

    def depend(self, execution_id: str, attempt: int, on: Sequence[str]) -> None:
        """Set the executions that a run without a slot waits for; an empty `on` clears them.

        Raises `DependencyCycle` if one of them depends on this one.
        """
        with self._database.write() as connection:
            lock_execution(connection, execution_id)
            check_live(connection, execution_id, attempt)
            dependencies.add(connection, execution_id, on)

    def detach(self, execution_id: str, attempt: int) -> bool:
        """Detach a waiting durable execution from its worker; return False if it keeps the worker."""
        with self._database.write() as connection:
            return detach(connection, execution_id, attempt)

    def pause(self, execution_id: str, attempt: int) -> bool:
        """Pause between two cells and release the slot; return False if no pause is requested any more."""
        now, c = self._database.clock(), executions.c
        is_wanted = (c.id == execution_id, c.attempt == attempt, c.status == Status.RUNNING, c.wants_pause)
        values = {"status": Status.PAUSED, "wants_pause": False}
        with self._database.write() as connection:
            is_paused = connection.execute(update(executions).where(*is_wanted).values(**values)).rowcount > 0
            if is_paused:
                tell(connection, execution_id, Status.PAUSED, now=now)
        return is_paused

    def take_slot(self, execution_id: str, attempt: int, *, keeps_message: bool = False) -> bool:
        """Continue after a wait or a pause, ahead of new work; return False if no slot is free or it is paused."""
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            lock_slots(connection)
            lock_execution(connection, execution_id)
            query = select(c.status, c.flow_name, c.max_running, c.durable).where(
                c.id == execution_id, c.attempt == attempt
            )
            row = connection.execute(query).one_or_none()
            if row is None:
                raise StaleAttempt(execution_id, attempt)
            if row.status == Status.PAUSED:
                return False
            has_slot = Slots(connection).has_room_again(row.flow_name, row.max_running)
            values: JsonObject = {"wants_slot": not has_slot}
            if has_slot:
                values["status"] = Status.RUNNING
                if not keeps_message:
                    values["message"] = None
            change(connection, execution_id, attempt, values, (Status.WAITING,))
            if has_slot:
                dependencies.forget(connection, execution_id)
                if row.durable:
                    forget(connection, execution_id)
                tell(connection, execution_id, Status.RUNNING, now=now, kind=EXECUTION_RESUMED)
        return has_slot

    def finish(self, execution_id: str, attempt: int, outcome: Outcome) -> None:
        """End the run, and with it the execution unless it is retried or replayed."""
        with self._database.write() as connection:
            end_run(connection, execution_id, attempt, outcome, now=self._database.clock())

    def requeue(self, execution_id: str, attempt: int, *, reason: str) -> None:
        """Requeue an execution whose run could not begin, without using up a retry."""
        with self._database.write() as connection:
            requeue(connection, execution_id, attempt, now=self._database.clock(), reason=reason)


def _touch(connection: Connection, execution_id: str, attempt: int, values: JsonObject) -> None:
    """Update the row of a live attempt without reading it back. Raises the errors of `change`."""
    given = {EXECUTION_ID: execution_id, ATTEMPT: attempt, **values}
    if not connection.execute(_TOUCH, given).rowcount:
        change(connection, execution_id, attempt, values, LEASED)
