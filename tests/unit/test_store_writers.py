"""Many writers at once on two stores of one PostgreSQL database. SQLite has one writer at a time."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from cloudo_kernel.errors import Conflict, StaleAttempt
from cloudo_kernel.models import ErrorDetail, Event, ExecutionFilter, Status
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_STARTED
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Claim, IdempotencyKey, NewExecution, Outcome, Store
from cloudo_kernel.store.tables import idempotency_keys
from tests.databases import Databases
from tests.server import until

pytestmark = pytest.mark.db("postgresql")

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ROOTS, CHILDREN, SLOTS = 12, 4, 3
SUCCESS = Outcome(status=Status.ENDED_SUCCESS)
FAILED = Outcome(status=Status.ENDED_ERROR, message="no", error=ErrorDetail(name="ValueError", value="no"))


@pytest.fixture
def stores(databases: Databases, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with databases.copy(tmp_path / "unused") as url, ExitStack() as stack:
        one, other = (stack.enter_context(closing(Store.open(url, key_file=tmp_path / "key"))) for _ in range(2))
        one.settings.save(MAX_RUNNING, SLOTS, user_name="ada")
        for name in "abcd":
            one.workers.register(name, private=False)
        yield one, other


class Crowd:
    """Threads that claim, run, pause, resume and cancel until all executions have ended."""

    def __init__(self, stores: tuple[Store, Store]) -> None:
        self._stores = stores
        self.is_over = threading.Event()
        #: Errors that no caller should see.
        self.errors: list[Exception] = []

    def start(self, do: Callable[[Store, str, random.Random], None]) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._repeat, args=(do, self._stores[number % 2], name, random.Random(number)))
            for number, name in enumerate("abcd")
        ]
        for thread in threads:
            thread.start()
        return threads

    def _repeat(
        self, do: Callable[[Store, str, random.Random], None], store: Store, name: str, chance: random.Random
    ) -> None:
        while not self.is_over.is_set():
            try:
                do(store, name, chance)
            except (Conflict, StaleAttempt):  # the other one was faster
                pass
            except Exception as error:  # noqa: BLE001 -- the test fails with it
                self.errors.append(error)
                return


def work(store: Store, worker_id: str, chance: random.Random) -> None:
    for claim in store.queue.claim(worker_id, free=2):
        with suppress(StaleAttempt, Conflict):
            store.reports.begin(claim.id, claim.attempt)
            if chance.random() < 0.5:
                store.reports.wait(claim.id, claim.attempt, message="for a slot")
                until(lambda claim=claim: goes_on(store, worker_id, claim))  # type: ignore[misc]
            store.reports.finish(claim.id, claim.attempt, chance.choice((SUCCESS, FAILED)))


def goes_on(store: Store, worker_id: str, claim: Claim) -> bool:
    """Return whether a waiting run has a slot again; end it if that was asked for."""
    if claim.id in {stop.id for stop in store.control.of(worker_id)}:
        store.reports.finish(claim.id, claim.attempt, Outcome(status=Status.ENDED_CANCELLED))
    return store.reports.take_slot(claim.id, claim.attempt)


def disturb(store: Store, _name: str, chance: random.Random) -> None:
    ids = store.executions.ids(ExecutionFilter(status=(Status.PENDING, Status.RUNNING, Status.PAUSED)), limit=9)
    if not ids:
        return
    one, verb = chance.choice(ids), chance.choice(("pause", "resume", "resume", "cancel"))
    if verb == "cancel" and chance.random() < 0.7:
        return
    if verb == "cancel":
        store.control.cancel(one, user_name="ada", reason="no longer needed")
    else:
        getattr(store.control, verb)(one, user_name="ada")


def follow(store: Store, seen: list[Event], is_over: threading.Event) -> None:
    """Read events as a stream does: those after the last one that was read."""
    while True:
        is_last = is_over.is_set()
        while found := store.events.after(seen[-1].id if seen else 0, limit=100):
            seen.extend(found)
        if is_last:
            return


def unended(store: Store) -> tuple[str, ...]:
    """Resume what is paused, and return all that has not ended."""
    for one in store.executions.ids(ExecutionFilter(status=(Status.PAUSED,)), limit=100):
        with suppress(Conflict):
            store.control.resume(one, user_name="ada")
    return store.executions.ids(ExecutionFilter(status=tuple(one for one in Status if not one.is_ended)), limit=1)


def assert_sound(history: Sequence[Event]) -> None:
    """Check the events of all executions: each ends once and last, is claimed once, and finds a free slot."""
    states: dict[str, str] = {}
    claims = Counter[tuple[str, int]]()
    for event in history:
        if event.subject_type != EXECUTION:
            continue
        before = states.get(event.subject_id, Status.PENDING)
        assert not Status(before).is_ended, f"{event.type} after the end of {event.subject_id}"
        states[event.subject_id] = event.data.get("status", before)
        assert list(states.values()).count(Status.RUNNING) <= SLOTS
        if event.type == EXECUTION_STARTED:
            claims[event.subject_id, event.data["attempt"]] += 1
    assert len(states) == ROOTS * (1 + CHILDREN)
    assert all(Status(status).is_ended for status in states.values())
    assert set(claims.values()) == {1}


def test_many_writers_end_each_execution_once_and_readers_miss_nothing(
    stores: tuple[Store, Store], new: Callable[..., NewExecution]
) -> None:
    store = stores[0]
    crowd, seen = Crowd(stores), list[Event]()
    is_written = threading.Event()
    reader = threading.Thread(target=follow, args=(stores[1], seen, is_written))
    reader.start()
    threads = [*crowd.start(work), *crowd.start(disturb)]
    for _ in range(ROOTS):
        root = new()
        store.executions.insert_all([(root, None), *((new(parent_id=root.id), None) for _ in range(CHILDREN))])
    try:
        until(lambda: crowd.errors or not unended(store), seconds=60)
    finally:
        crowd.is_over.set()
        for thread in threads:
            thread.join()
        is_written.set()  # not before: on PostgreSQL an open write hides the events after it
        reader.join()
    assert crowd.errors == []
    kept = store.events.after(0, limit=100_000)
    assert [event.id for event in seen] == [event.id for event in kept]
    assert_sound(kept)


def test_an_old_idempotency_key_that_many_use_at_once_starts_one_execution(
    stores: tuple[Store, Store], new: Callable[..., NewExecution]
) -> None:
    key = IdempotencyKey("k1", "same")
    for _ in range(20):
        stores[0].executions.insert(new(), idempotency=key)
        with stores[0]._database.write() as connection:
            connection.execute(update(idempotency_keys).values(created_at=LONG_AGO))
        with ThreadPoolExecutor(4) as pool:
            found = list(
                pool.map(lambda number: stores[number % 2].executions.insert(new(), idempotency=key), range(4))
            )
        assert len({one.id for one in found}) == 1
