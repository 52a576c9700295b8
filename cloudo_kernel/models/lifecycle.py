"""Which moves between the states of an execution are legal, and what follows the end of an attempt.

Pure: it decides, and the store carries the decisions out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cloudo_kernel.errors import IllegalTransition
from cloudo_kernel.models import ErrorDetail, ExecutionType, Occasion, Progress, Status

_ENDED = {Status.ENDED_SUCCESS, Status.ENDED_ERROR, Status.ENDED_CANCELLED}

#: To `PENDING` leads a new attempt; `PENDING` → `ENDED_ERROR` is a run that could not begin.
#: `PAUSED` → `ENDED_SUCCESS`: a run that was paused while one of its threads waited, and came to its end.
LEGAL: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RUNNING, Status.PAUSED, Status.ENDED_CANCELLED, Status.ENDED_ERROR}),
    Status.RUNNING: frozenset({Status.PENDING, Status.WAITING, Status.PAUSED} | _ENDED),
    Status.WAITING: frozenset({Status.RUNNING, Status.PENDING, Status.PAUSED} | _ENDED),
    Status.PAUSED: frozenset({Status.PENDING, Status.WAITING} | _ENDED),
    **{ended: frozenset() for ended in _ENDED},
}

#: Maximum delay before a retry.
_MAX_DELAY = timedelta(days=1)
#: The error names of runs that were cut off.
_DEATHS = ("KernelDied", "WorkerLost", "Timeout")
#: A durable execution that dies this many times without a new call in between is not replayed again.
_MAX_DEATHS = 5
_OCCASIONS = {
    Status.ENDED_SUCCESS: (Occasion.ON_SUCCESS, Occasion.ON_RECOVERY),
    Status.ENDED_ERROR: (Occasion.ON_ERROR,),
}


def origins(wanted: Status) -> tuple[Status, ...]:
    """Return the states from which `wanted` can be reached in one move."""
    return tuple(status for status, moves in LEGAL.items() if wanted in moves)


def check(execution_id: str, status: Status, wanted: Status, *, history: Sequence[str] = ()) -> None:
    """Raise `IllegalTransition` unless `status` → `wanted` is legal."""
    if wanted not in LEGAL[status]:
        raise IllegalTransition(execution_id, status, wanted, history)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a run."""

    status: Status
    message: str | None = None
    error: ErrorDetail | None = None
    progress: Progress | None = None
    #: Path of the executed notebook; None if the run did not write it.
    notebook: str | None = None
    #: The server was stopped during the run. The run did not fail, but is retried like a failure if a retry is left.
    is_interrupted: bool = False

    @property
    def is_death(self) -> bool:
        """Whether the run was cut off instead of ending itself; a durable execution survives that."""
        return self.is_interrupted or (self.error is not None and self.error.name in _DEATHS)

    @property
    def has_failed(self) -> bool:
        """Whether a retry may follow."""
        return self.status is Status.ENDED_ERROR or self.is_interrupted

    @property
    def reason(self) -> str:
        """Why the run ended, on one line."""
        if self.error is None:
            return self.message or self.status
        return f"{self.error.name}: {self.error.value}".strip().split("\n", 1)[0][:500]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt that ends, with the options and the past of its execution."""

    number: int = 1
    #: Whether someone wants the execution stopped.
    is_stop_requested: bool = False
    #: Failed attempts before this one, and how many retries the execution may have.
    failures: int = 0
    retries: int = 0
    retry_delay: timedelta = timedelta(0)
    durable: bool = False
    #: Recorded calls of a durable execution.
    calls: int = 0
    #: Deaths in a row without a new call, and how many calls there were at the last one.
    deaths: int = 0
    died_at_call: int = 0


class Next(Enum):
    """The next step of an execution after an attempt."""

    #: The execution ends.
    END = "end"
    #: It becomes pending, and its next attempt starts from the beginning.
    RETRY = "retry"
    #: It becomes pending, or waits without a worker, and its next attempt replays its calls.
    REPLAY = "replay"
    #: It becomes pending, and the attempt leaves no trace.
    REQUEUE = "requeue"


class Children(Enum):
    """The treatment of children that have not ended."""

    KEEP = "keep"
    #: Held children without dependencies are stopped, because nothing will release them.
    STOP_HELD = "stop held"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows the end of an attempt. The store carries it out in the transaction of the end."""

    next: Next
    #: Why it becomes pending again; None at its end.
    reason: str | None = None
    #: The result to record; None if the attempt leaves none.
    outcome: Outcome | None = None
    #: When a retry is due.
    due: datetime | None = None
    #: A line for its log, None for no line.
    log: str | None = None
    #: For a replay: deaths in a row without a new call, and the calls at this one.
    deaths: int = 0
    died_at_call: int = 0
    #: Whether executions that wait for its end are woken.
    wakes_waiters: bool = False
    #: The occasions on which its flow or its schedule may want something to follow.
    occasions: tuple[Occasion, ...] = ()
    #: Whether it loses its locks, and its open requests for answers.
    releases_locks: bool = False
    withdraws_messages: bool = False
    #: Whether the recorded calls of a durable execution are deleted.
    forgets_calls: bool = False
    children: Children = Children.KEEP


def after_attempt(attempt: Attempt, outcome: Outcome | None, *, now: datetime) -> Decision:
    """Decide what follows the end of an attempt; without an outcome its worker was lost before the run had begun."""
    if outcome is None:
        return Decision(next=Next.REQUEUE, reason="its worker was lost before it had begun")
    if not attempt.is_stop_requested:
        if attempt.durable and outcome.is_death:
            deaths = 0 if outcome.is_interrupted else _deaths(attempt)
            if deaths < _MAX_DEATHS:
                return _replay(attempt, outcome, deaths=deaths)
        if outcome.has_failed and attempt.failures < attempt.retries:
            return _retry(attempt, outcome, now=now)
    return after_end(outcome, durable=attempt.durable)


def after_end(outcome: Outcome, *, durable: bool) -> Decision:
    """Decide what follows the end of an execution, with or without a run.

    Its children and its requests for answers outlive a success: another execution may wait for them.
    """
    is_success = outcome.status is Status.ENDED_SUCCESS
    return Decision(
        next=Next.END,
        outcome=outcome,
        wakes_waiters=True,
        occasions=_OCCASIONS.get(outcome.status, ()),
        releases_locks=True,
        withdraws_messages=not is_success,
        forgets_calls=durable,
        children=Children.STOP_HELD if is_success else Children.STOP,
    )


def outcome_of_lost(kind: ExecutionType, *, has_begun: bool, stop_reason: str | None) -> Outcome | None:
    """Return the outcome of an attempt whose worker was lost, None if its run had not begun.

    `stop_reason` is the reason of a stop request, None without one.
    """
    if stop_reason is not None:
        return Outcome(status=Status.ENDED_CANCELLED, message=stop_reason)
    if kind is ExecutionType.INTERACTIVE:
        return Outcome(status=Status.ENDED_SUCCESS)
    if not has_begun:
        return None
    error = ErrorDetail(name="WorkerLost", value="The worker that ran it died, or lost its lease.")
    return Outcome(status=Status.ENDED_ERROR, message="worker lost", error=error)


def _deaths(attempt: Attempt) -> int:
    """Return the number of deaths in a row without a new call, with this one."""
    return attempt.deaths + 1 if attempt.calls <= attempt.died_at_call else 1


def _replay(attempt: Attempt, outcome: Outcome, *, deaths: int) -> Decision:
    """Decide to replay a durable execution. An interrupted one did not die: its deaths stay as they are."""
    if outcome.is_interrupted:
        return Decision(
            next=Next.REPLAY, reason=outcome.reason, deaths=attempt.deaths, died_at_call=attempt.died_at_call
        )
    return Decision(
        next=Next.REPLAY,
        reason=outcome.reason,
        log=f"Attempt {attempt.number} was cut off ({outcome.reason}); a replay goes on from there",
        deaths=deaths,
        died_at_call=attempt.calls,
    )


def _retry(attempt: Attempt, outcome: Outcome, *, now: datetime) -> Decision:
    """Decide to retry. The delay doubles with each failure, up to a day."""
    longest = _MAX_DELAY / timedelta(seconds=1)
    seconds = min(attempt.retry_delay / timedelta(seconds=1) * 2**attempt.failures, longest)
    when = f"in {seconds:g} s" if seconds else "at once"
    how = "was interrupted" if outcome.is_interrupted else "failed"
    return Decision(
        next=Next.RETRY,
        reason=outcome.reason,
        outcome=outcome,
        due=now + timedelta(seconds=seconds),
        log=f"Attempt {attempt.number} {how} ({outcome.reason}); trying again {when}",
        releases_locks=True,
        withdraws_messages=True,
        forgets_calls=attempt.durable,
        children=Children.STOP,
    )
