"""What follows the end of an attempt, as a table of sentences; without any store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudo_kernel.models import ErrorDetail, ExecutionType, Occasion, Status
from cloudo_kernel.models.lifecycle import (
    Attempt,
    Children,
    Decision,
    Next,
    Outcome,
    after_attempt,
    after_end,
    outcome_of_lost,
)

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SUCCESS = Outcome(status=Status.ENDED_SUCCESS)
CANCELLED = Outcome(status=Status.ENDED_CANCELLED, message="no more")
STOPPED = Outcome(status=Status.ENDED_CANCELLED, message="server stopped", is_interrupted=True)


def error(name: str = "ValueError") -> Outcome:
    return Outcome(status=Status.ENDED_ERROR, error=ErrorDetail(name=name, value="boom"))


FOUR_DEATHS = Attempt(durable=True, deaths=4, died_at_call=7, calls=7)
#: Sentence → attempt, outcome, what becomes of the execution.
NEXT: dict[str, tuple[Attempt, Outcome | None, Next]] = {
    "A success ends the execution, whatever retries are left.": (Attempt(retries=3), SUCCESS, Next.END),
    "A cancelled run ends the execution, whatever retries are left.": (Attempt(retries=3), CANCELLED, Next.END),
    "An error without retries ends the execution.": (Attempt(), error(), Next.END),
    "An error with a retry left is retried.": (Attempt(retries=1), error(), Next.RETRY),
    "An error after the last retry ends the execution.": (Attempt(retries=1, failures=1), error(), Next.END),
    "A stop of the server with a retry left is retried.": (Attempt(retries=1), STOPPED, Next.RETRY),
    "A stop of the server without a retry ends the execution.": (Attempt(), STOPPED, Next.END),
    "A stop request rules out a retry.": (Attempt(retries=1, is_stop_requested=True), error(), Next.END),
    "A run that had not begun when its worker was lost is requeued.": (Attempt(), None, Next.REQUEUE),
    "A durable run whose kernel died is replayed.": (Attempt(durable=True), error("KernelDied"), Next.REPLAY),
    "A durable run whose worker was lost is replayed.": (Attempt(durable=True), error("WorkerLost"), Next.REPLAY),
    "A durable run that exceeded its time limit is replayed.": (Attempt(durable=True), error("Timeout"), Next.REPLAY),
    "A durable run is replayed after a stop of the server.": (Attempt(durable=True), STOPPED, Next.REPLAY),
    "A durable run that raised an error is not replayed.": (Attempt(durable=True), error(), Next.END),
    "A durable run that raised an error uses up a retry.": (Attempt(durable=True, retries=1), error(), Next.RETRY),
    "A replay is chosen before a retry.": (Attempt(durable=True, retries=1), error("KernelDied"), Next.REPLAY),
    "A stop request rules out a replay.": (
        Attempt(durable=True, is_stop_requested=True),
        error("KernelDied"),
        Next.END,
    ),
    "The fifth death without a new call is not replayed.": (FOUR_DEATHS, error("KernelDied"), Next.END),
    "The fifth death without a new call uses up a retry.": (
        Attempt(durable=True, deaths=4, died_at_call=7, calls=7, retries=1),
        error("KernelDied"),
        Next.RETRY,
    ),
    "A new call makes a death the first one again.": (
        Attempt(durable=True, deaths=4, died_at_call=7, calls=8),
        error("KernelDied"),
        Next.REPLAY,
    ),
    "A stop of the server is no death.": (FOUR_DEATHS, STOPPED, Next.REPLAY),
}


@pytest.mark.parametrize("sentence", NEXT)
def test_what_becomes_of_an_execution(sentence: str) -> None:
    attempt, outcome, expected = NEXT[sentence]
    assert after_attempt(attempt, outcome, now=NOW).next is expected


@pytest.mark.parametrize(
    ("failures", "delay", "seconds"),
    [(0, 0, 0), (0, 10, 10), (1, 10, 20), (3, 10, 80), (1, 50_000, 86_400), (1000, 10, 86_400)],
)
def test_the_delay_of_a_retry_doubles_up_to_a_day(failures: int, delay: int, seconds: int) -> None:
    attempt = Attempt(failures=failures, retries=5000, retry_delay=timedelta(seconds=delay))
    assert after_attempt(attempt, error(), now=NOW).due == NOW + timedelta(seconds=seconds)


def test_a_retry_starts_from_the_beginning_and_says_so() -> None:
    attempt = Attempt(number=2, failures=1, retries=3, retry_delay=timedelta(seconds=1.5), durable=True)
    assert after_attempt(attempt, error(), now=NOW) == Decision(
        next=Next.RETRY,
        reason="ValueError: boom",
        outcome=error(),
        due=NOW + timedelta(seconds=3),
        log="Attempt 2 failed (ValueError: boom); trying again in 3 s",
        releases_locks=True,
        withdraws_messages=True,
        forgets_calls=True,
        children=Children.STOP,
    )
    interrupted = after_attempt(Attempt(retries=1), STOPPED, now=NOW)
    assert interrupted.log == "Attempt 1 was interrupted (server stopped); trying again at once"
    assert not interrupted.forgets_calls


def test_a_replay_keeps_everything_and_counts_the_death() -> None:
    attempt = Attempt(number=3, durable=True, deaths=1, died_at_call=4, calls=4)
    assert after_attempt(attempt, error("KernelDied"), now=NOW) == Decision(
        next=Next.REPLAY,
        reason="KernelDied: boom",
        log="Attempt 3 was cut off (KernelDied: boom); a replay goes on from there",
        deaths=2,
        died_at_call=4,
    )
    stopped = after_attempt(attempt, STOPPED, now=NOW)
    assert (stopped.log, stopped.deaths, stopped.died_at_call) == (None, 1, 4)


def test_a_requeue_leaves_no_trace_of_the_attempt() -> None:
    decision = after_attempt(Attempt(retries=1, durable=True), None, now=NOW)
    assert decision == Decision(next=Next.REQUEUE, reason="its worker was lost before it had begun")


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(
    ("outcome", "occasions", "children", "withdraws"),
    [
        (SUCCESS, (Occasion.ON_SUCCESS, Occasion.ON_RECOVERY), Children.STOP_HELD, False),
        (error(), (Occasion.ON_ERROR,), Children.STOP, True),
        (CANCELLED, (), Children.STOP, True),
        (STOPPED, (), Children.STOP, True),
    ],
)
def test_what_follows_an_end(
    outcome: Outcome, occasions: tuple[Occasion, ...], children: Children, *, withdraws: bool, durable: bool
) -> None:
    assert after_end(outcome, durable=durable) == Decision(
        next=Next.END,
        outcome=outcome,
        wakes_waiters=True,
        occasions=occasions,
        releases_locks=True,
        withdraws_messages=withdraws,
        forgets_calls=durable,
        children=children,
    )


def test_the_outcome_of_a_run_whose_worker_was_lost() -> None:
    flow, interactive = ExecutionType.FLOW, ExecutionType.INTERACTIVE
    assert outcome_of_lost(flow, has_begun=False, stop_reason=None) is None
    lost = outcome_of_lost(flow, has_begun=True, stop_reason=None)
    assert lost is not None
    assert lost.error is not None
    assert (lost.status, lost.error.name, lost.is_death) == (Status.ENDED_ERROR, "WorkerLost", True)
    for has_begun in (False, True):
        assert outcome_of_lost(flow, has_begun=has_begun, stop_reason="no more") == CANCELLED
        assert outcome_of_lost(interactive, has_begun=has_begun, stop_reason=None) == SUCCESS
