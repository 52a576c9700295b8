"""The states of a run in its worker: each pair of a phase and an event, as sentences. No process and no store."""

from __future__ import annotations

import itertools

import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.store import Outcome
from cloudo_kernel.worker.run_state import TABLE, Action, Event, ImpossibleEvent, Phase, RunState, advance

P, E, A = Phase, Event, Action
STOPPED = Outcome(status=Status.ENDED_CANCELLED, message="server stopped", is_interrupted=True)
CANCELLED = Outcome(status=Status.ENDED_CANCELLED, message="no more")

#: Sentence → phases, events, the phase after (None for the same), the actions.
SENTENCES: dict[str, tuple[tuple[Phase, ...], tuple[Event, ...], Phase | None, tuple[Action, ...]]] = {
    "A runner gets the assignment.": ((P.STARTING,), (E.BEGIN,), P.ASSIGNED, ()),
    "A runner that will be stopped gets the assignment, too.": ((P.STOPPED_EARLY,), (E.BEGIN,), None, ()),
    "A runner with the assignment declines, or starts its kernel.": (
        (P.ASSIGNED, P.STOPPED_EARLY),
        (E.DECLINE, E.KERNEL_STARTED),
        None,
        (),
    ),
    "A run with a cell that began may have had effects.": ((P.ASSIGNED, P.RUNNING), (E.CELL,), P.RUNNING, ()),
    "A cell may begin before the interrupt of a stop arrives.": (
        (P.STOPPED_EARLY, P.STOPPED),
        (E.CELL,),
        P.STOPPED,
        (),
    ),
    "A kernel that dies before the first cell can be replaced.": (
        (P.ASSIGNED,),
        (E.FIND_DEAD_KERNEL,),
        P.DIED_EARLY,
        (),
    ),
    "A kernel that dies later ends the run.": ((P.RUNNING, P.FOUND), (E.FIND_DEAD_KERNEL,), P.FOUND, ()),
    "A runner reports the end, and the last report counts.": (
        (P.ASSIGNED, P.RUNNING, P.FOUND, P.DIED_EARLY),
        (E.FIND,),
        P.FOUND,
        (),
    ),
    "The end of a stopped run is reported, but does not count.": (
        (P.STOPPED_EARLY, P.STOPPED),
        (E.FIND, E.FIND_DEAD_KERNEL),
        P.STOPPED,
        (),
    ),
    "A kernel that hangs up wakes the waits.": (tuple(P), (E.HANG_UP,), None, (A.WAKE_WAITS,)),
    "A durable run gives up its processes.": (
        (P.ASSIGNED, P.RUNNING, P.FOUND, P.STOPPED_EARLY, P.STOPPED),
        (E.DETACH,),
        P.DETACHED,
        (A.END_PROCESSES,),
    ),
    "A run that ends meanwhile gives up its processes, too.": ((P.OVER,), (E.DETACH,), None, (A.END_PROCESSES,)),
    "Late calls of killed processes change nothing.": (
        (P.DETACHED,),
        (E.CELL, E.FIND, E.FIND_DEAD_KERNEL),
        None,
        (),
    ),
    "A stop before the first cell ends the waits.": (
        (P.STARTING, P.ASSIGNED),
        (E.STOP,),
        P.STOPPED_EARLY,
        (A.END_WAITS,),
    ),
    "A stop after the first cell, or after a report, ends the waits.": (
        (P.RUNNING, P.FOUND, P.DIED_EARLY),
        (E.STOP,),
        P.STOPPED,
        (A.END_WAITS,),
    ),
    "A worker that stops waits for no store, too; before the first cell.": (
        (P.STARTING, P.ASSIGNED),
        (E.LEAVE,),
        P.STOPPED_EARLY,
        (A.STOP_RETRIES, A.END_WAITS),
    ),
    "A worker that stops waits for no store, too; after the first cell, or after a report.": (
        (P.RUNNING, P.FOUND, P.DIED_EARLY),
        (E.LEAVE,),
        P.STOPPED,
        (A.STOP_RETRIES, A.END_WAITS),
    ),
    "A second stop changes nothing.": ((P.STOPPED_EARLY, P.STOPPED, P.DETACHED, P.OVER), (E.STOP,), None, ()),
    "A worker that stops waits for no store, even after a stop.": (
        (P.STOPPED_EARLY, P.STOPPED, P.DETACHED, P.OVER),
        (E.LEAVE,),
        None,
        (A.STOP_RETRIES,),
    ),
    "An obstacle is noted until the end.": (tuple(one for one in P if one is not P.OVER), (E.OBSTACLE,), None, ()),
    "New processes replace those that died before the first cell.": (
        (P.STARTING, P.ASSIGNED, P.DIED_EARLY),
        (E.BEGIN_ANEW,),
        P.STARTING,
        (A.FORGET_PROCESSES,),
    ),
    "Every run ends once.": (
        tuple(one for one in P if one is not P.OVER),
        (E.FINISH,),
        P.OVER,
        (A.END_WAITS, A.FORGET_SLOT),
    ),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_pair_that_can_occur(sentence: str) -> None:
    phases, events, after, actions = SENTENCES[sentence]
    for phase, event in itertools.product(phases, events):
        state, found = advance(RunState(phase), event)
        assert (state.phase, found) == (after or phase, actions), (phase, event)


def test_the_sentences_name_every_pair_once() -> None:
    named = [
        pair for phases, events, _after, _actions in SENTENCES.values() for pair in itertools.product(phases, events)
    ]
    assert len(named) == len(set(named))
    assert set(named) == set(TABLE)


@pytest.mark.parametrize("phase", P)
def test_a_pair_that_cannot_occur_raises(phase: Phase) -> None:
    impossible = [event for event in E if (phase, event) not in TABLE]
    assert impossible
    for event in impossible:
        with pytest.raises(ImpossibleEvent, match=f"{event.name} cannot occur in the phase {phase.name}"):
            advance(RunState(phase), event)


def test_the_first_outcome_from_outside_counts() -> None:
    state, _ = advance(RunState(P.RUNNING), E.STOP, given=CANCELLED)
    again, _ = advance(state, E.LEAVE, given=STOPPED)
    assert again.given is CANCELLED
    assert advance(RunState(P.OVER), E.STOP, given=CANCELLED)[0].given is None


def test_what_comes_with_an_event_is_kept() -> None:
    found = Outcome(status=Status.ENDED_SUCCESS)
    assert advance(RunState(P.RUNNING), E.FIND, found=found)[0].found is found
    assert advance(RunState(P.ASSIGNED), E.KERNEL_STARTED, kernel_group=7)[0].kernel_group == 7
    assert advance(RunState(), E.OBSTACLE, obstacle="no thread")[0].obstacle == "no thread"
    state = RunState(P.DIED_EARLY, found=found, kernel_group=7, has_kernel_hung_up=True, is_declined=True)
    fresh, _ = advance(state, E.BEGIN_ANEW, found=None, kernel_group=None, has_kernel_hung_up=False)
    assert fresh == RunState(P.STARTING, is_declined=True)


@pytest.mark.parametrize(
    ("state", "attempt", "reason"),
    [
        (RunState(P.STARTING), 1, "its process died before it had begun"),
        (RunState(P.ASSIGNED), 4, "its process died before it had begun"),
        (RunState(P.ASSIGNED), 5, None),
        (RunState(P.ASSIGNED, obstacle="no thread"), 5, "it could not be started: no thread"),
        (RunState(P.STOPPED_EARLY, given=STOPPED), 9, "server stopped"),
        (RunState(P.STOPPED_EARLY, given=CANCELLED), 1, None),
        (RunState(P.STOPPED, given=STOPPED), 1, None),
        (RunState(P.RUNNING, obstacle="no thread"), 1, None),
        (RunState(P.RUNNING), 1, None),
        (RunState(P.DIED_EARLY), 1, None),
        (RunState(P.FOUND), 1, None),
    ],
)
def test_a_run_is_requeued_only_if_it_had_no_effects(state: RunState, attempt: int, reason: str | None) -> None:
    assert state.reason_to_requeue(attempt) == reason
