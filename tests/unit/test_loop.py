"""The loop of the background threads: it outlives what its step raises, and says so once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Store
from tests.server import until


class Steps:
    """A step that raises what a test sets, and counts."""

    def __init__(self) -> None:
        self.number = 0
        self.error: BaseException | None = None

    def __call__(self) -> float:
        self.number += 1
        if self.error is not None:
            raise self.error
        return 60.0


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def start(steps: Steps) -> Iterator[Callable[[], Loop]]:
    loops: list[Loop] = []

    def start() -> Loop:
        loops.append(Loop("tested", steps))
        loops[-1].start()
        return loops[-1]

    yield start
    for loop in loops:
        loop.stop()


@pytest.mark.slow
def test_a_step_that_fails_is_retried_and_logged_once_until_it_works(
    steps: Steps, start: Callable[[], Loop], caplog: pytest.LogCaptureFixture
) -> None:
    steps.error = RuntimeError("can't start new thread")
    loop = start()
    until(lambda: steps.number >= 3)
    assert loop.is_failing
    steps.error = None
    until(lambda: not loop.is_failing)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    first, last = caplog.messages
    assert first == "The loop tested fails and is retried: can't start new thread"
    assert caplog.records[0].exc_info, "the unexpected comes with its traceback"
    assert last == "The loop tested works again."
    assert not loop.is_dead


def test_what_the_store_has_logged_is_not_logged_again(
    steps: Steps, start: Callable[[], Loop], caplog: pytest.LogCaptureFixture
) -> None:
    steps.error = Unavailable("The store cannot be used.")
    steps.error.is_logged = True
    loop = start()
    until(lambda: steps.number >= 2)
    assert loop.is_failing
    steps.error = None
    until(lambda: not loop.is_failing)
    assert caplog.messages == []


def test_waking_a_loop_ends_its_wait_but_not_its_retry_delay(steps: Steps, start: Callable[[], Loop]) -> None:
    loop = start()
    until(lambda: steps.number == 1)
    loop.wake()
    until(lambda: steps.number == 2)
    steps.error = ValueError()
    loop.wake()
    until(lambda: loop.is_failing)
    for _ in range(100_000):
        loop.wake()
    assert steps.number < 50


def test_a_loop_that_dies_says_so_and_calls_for_help(
    steps: Steps, start: Callable[[], Loop], caplog: pytest.LogCaptureFixture
) -> None:
    steps.error = SystemExit()
    calls: list[str] = []
    helped = threading.Event()
    loop = Loop("tested", steps)

    def call_for_help(name: str) -> None:
        calls.append(name)
        helped.set()

    loop.on_death = call_for_help
    loop.start()
    assert helped.wait(20)
    until(lambda: loop.is_dead)
    assert calls == ["tested"]
    assert "The loop tested has died." in caplog.messages


def test_the_state_of_a_loop_tells_its_last_turn_and_its_error(steps: Steps, start: Callable[[], Loop]) -> None:
    assert Loop("tested", steps).state is None, "it was not started"
    steps.error = Unavailable("/a/path is full", reason="the disk is full")
    loop = start()
    until(lambda: loop.is_failing)
    state = loop.state
    assert state is not None
    assert (state.name, state.is_alive, state.is_stuck, state.error) == ("tested", True, False, "the disk is full")
    steps.error = RuntimeError("the password is 123")
    until(lambda: (now := loop.state) is not None and now.error == "RuntimeError", what=lambda: str(loop.state))
    steps.error = None
    until(lambda: (now := loop.state) is not None and now.error is None)
    state = loop.state
    assert state is not None
    assert state.stuck_after_seconds == 6 * 60
    assert state.idle_seconds < 20
    loop.stop()
    assert loop.state is None, "it was stopped"


def test_a_loop_whose_step_hangs_is_stuck_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudo_kernel.processes.loop._MIN_INTERVAL_SECONDS", 0.05)
    go_on, entered = threading.Event(), threading.Event()

    def hang() -> float:
        entered.set()
        go_on.wait()
        return 0.01

    loop = Loop("tested", hang)
    loop.start()
    assert entered.wait(20)
    until(lambda: (state := loop.state) is not None and state.is_stuck)
    assert not loop.is_dead
    loop.stop()  # returns, although the step hangs
    go_on.set()


def test_a_listener_that_fails_is_called_again_and_does_not_keep_the_others_from_being_called(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def fail() -> None:
        calls.append("failing")
        raise RuntimeError("Event loop is closed")

    remove = [store.tail.add_listener(fail), store.tail.add_listener(lambda: calls.append("healthy"))]
    before = calls.count("healthy")
    store.events.add("FlowChanged", "flow", "a", user_name="ada")
    until(lambda: calls.count("healthy") > before and calls.count("failing") > 3)
    remove[0]()
    until(lambda: "A listener for events works again." in caplog.messages)
    assert caplog.messages.count("A listener for events fails and is retried: Event loop is closed") == 1
    remove[1]()
