"""Heartbeats are kept with their time, so that absences of schedulers can be read after any end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from cloudo_kernel.models import CreateSchedule, ScheduleTrigger
from cloudo_kernel.planning import Absence
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.heartbeat import Heartbeat
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.databases import Databases
from tests.flows import write_flow
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

SECOND = timedelta(seconds=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, clock: Clock, databases: Databases) -> Iterator[Store]:
    with databases.copy(tmp_path / "store.sqlite") as url, closing(Store.open(url, clock=clock)) as store:
        yield store


def absences(store: Store) -> list[Absence]:
    """Return what is known but for the time before the first worker."""
    return [one for one in store.workers.absences(since=LONG_AGO) if one.start > LONG_AGO]


def worker(store: Store, name: str, *, private: bool = False) -> Heartbeat:
    heartbeat = Heartbeat(store, name, private=private)
    heartbeat.register()
    return heartbeat


def test_a_killed_worker_was_there_until_its_last_heartbeat(store: Store, clock: Clock) -> None:
    first = worker(store, "first")
    for _ in range(3):
        clock.now += 2 * SECOND
        assert first.beat()
    last_heartbeat = clock.now
    clock.now += timedelta(days=30)
    worker(store, "second")
    assert absences(store) == [Absence(last_heartbeat, clock.now)]


def test_a_stopped_one_was_there_until_its_scheduler_stopped(store: Store, clock: Clock) -> None:
    first = worker(store, "first")
    clock.now += SECOND
    first.leave()
    stopped = clock.now
    clock.now += SECOND
    assert first.beat(), "its last runs end"
    store.queue.release("first", lost=False)
    clock.now += SECOND / 10
    worker(store, "second")
    assert absences(store) == [Absence(stopped, clock.now)]


def test_there_is_no_absence_while_one_of_several_workers_lives(store: Store, clock: Clock) -> None:
    first, second = worker(store, "first"), worker(store, "second")
    worker(store, "private", private=True)
    clock.now += SECOND
    first.beat()
    clock.now += 3 * SECOND  # the first one is killed
    second.beat()
    clock.now += SECOND
    worker(store, "third")
    assert absences(store) == []
    last_heartbeat = clock.now
    clock.now += 60 * SECOND
    worker(store, "another", private=True)
    assert absences(store) == [], "it has no scheduler"
    worker(store, "fourth")
    assert absences(store) == [Absence(last_heartbeat, clock.now)]


@pytest.mark.parametrize("moved", [timedelta(hours=1), timedelta(seconds=8)])
def test_a_process_that_stood_still_was_absent_and_says_so_before_the_next_look(
    store: Store, clock: Clock, moved: timedelta
) -> None:
    """It was stopped, its machine was suspended, or its clock was set forward: the wall clock tells the same."""
    heartbeat = worker(store, "w")
    clock.now += 2 * SECOND
    heartbeat.beat()
    last_heartbeat = clock.now
    heartbeat.notice_absence()
    assert absences(store) == []
    clock.now += moved
    heartbeat.notice_absence()
    assert absences(store) == [Absence(last_heartbeat, clock.now)]
    clock.now += 2 * SECOND
    heartbeat.beat()
    heartbeat.notice_absence()
    assert len(absences(store)) == 1


def test_one_of_two_workers_that_stood_still_makes_no_absence(store: Store, clock: Clock) -> None:
    still, other = worker(store, "still"), worker(store, "other")
    for _ in range(5):
        clock.now += 2 * SECOND
        other.beat()
    still.notice_absence()
    assert absences(store) == []


def test_waiting_for_a_locked_store_is_no_absence(tmp_path: Path) -> None:
    class SlowStore(Clock):
        """A clock by which it takes some time after it was read until the store has written."""

        takes: ClassVar[list[timedelta]] = []

        def __call__(self) -> datetime:
            before = self.now
            self.now += self.takes.pop(0) if self.takes else timedelta(0)
            return before

    clock = SlowStore()
    store = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}", clock=clock)
    heartbeat = worker(store, "w")
    clock.now += 2 * SECOND
    clock.takes.extend([timedelta(0), 28 * SECOND])
    heartbeat.beat()
    assert not clock.takes
    clock.now += 2 * SECOND
    heartbeat.beat()
    heartbeat.notice_absence()
    assert absences(store) == []
    store.close()


def test_a_clock_that_was_wrong_for_a_while_leaves_no_absence_in_the_future(store: Store, clock: Clock) -> None:
    heartbeat, right = worker(store, "w"), clock.now
    clock.now += timedelta(days=365)
    heartbeat.beat()
    assert absences(store) == [Absence(right, clock.now)]
    clock.now = right + 4 * SECOND
    heartbeat.beat()
    assert absences(store) == [Absence(right, clock.now)]
    last_heartbeat = clock.now
    clock.now += timedelta(days=1)
    worker(store, "next")
    assert absences(store)[-1] == Absence(last_heartbeat, clock.now)


def test_absences_are_kept_as_long_as_a_time_that_came_during_one_is_undecided(
    tmp_path: Path, store: Store, clock: Clock
) -> None:
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    write_flow(workspace.root, "report", "1")
    api = Service(store, Catalog(workspace), user_name="ada")
    worker(store, "first")
    clock.now += SECOND
    trigger = ScheduleTrigger(delay_seconds=60)
    api.create_schedule(CreateSchedule(flow_name="report", trigger=trigger, catch_up="none"))
    clock.now += timedelta(days=1)
    worker(store, "second")
    clock.now += timedelta(days=30)
    api.delete_expired()
    assert len(absences(store)) == 1
    store.workers.beat("second", has_scheduler=True)
    assert api.run_due_schedules() == 1
    api.delete_expired()
    assert absences(store) == []
