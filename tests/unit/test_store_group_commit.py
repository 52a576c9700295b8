"""Group commit: threads that write at the same time share a commit, and nobody is told before it is on disk."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store.sql.database import Database
from tests.server import until


class Writers:
    """A database, threads that write to it, and a second connection that sees what is committed."""

    def __init__(self, path: Path) -> None:
        self.database = Database(f"sqlite:///{path}")
        self.commits = 0
        with self.database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE rows (name TEXT PRIMARY KEY, number INTEGER)")
            connection.exec_driver_sql(
                "CREATE TABLE parts (whole TEXT REFERENCES rows (name) DEFERRABLE INITIALLY DEFERRED)"
            )
        self.database.on_commit = self._count
        self._reader = sqlite3.connect(path)
        self._threads = ThreadPoolExecutor(16)

    def _count(self) -> None:
        self.commits += 1

    def write(self, name: str, then: Callable[[Connection], object] = lambda _: None) -> Future[None]:
        """Add a row on a thread, and do something else in the same transaction."""
        return self._threads.submit(self.write_here, name, then)

    def write_here(self, name: str, then: Callable[[Connection], object] = lambda _: None) -> None:
        with self.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO rows VALUES (?, 0)", (name,))
            then(connection)

    @property
    def queue(self) -> int:
        """How many threads wait for their turn."""
        return len(self.database._group_commit._turns._queue)

    def tickets(self) -> list[threading.Lock]:
        """What they wait with."""
        return list(self.database._group_commit._turns._queue.values())

    def group_of(self, *members: Callable[[], Future[None]]) -> list[Future[None]]:
        """Write in one group: the first member stays in its block until all others have queued, in this order."""
        begun, go_on = threading.Event(), threading.Event()

        def stay(_: Connection) -> None:
            begun.set()
            assert go_on.wait(20)

        futures = [self.write("first", stay)]
        assert begun.wait(20)
        for number, member in enumerate(members, start=1):
            futures.append(member())
            until(lambda queued=number: self.queue == queued)  # type: ignore[misc]  # its number, bound now
        go_on.set()
        return futures

    def committed(self) -> set[str]:
        """What another connection sees."""
        return {name for (name,) in self._reader.execute("SELECT name FROM rows")}

    def close(self) -> None:
        self._threads.shutdown()
        self._reader.close()
        self.database.close()


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Be told of interrupts, which are ignored in what a shell runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    writers = Writers(tmp_path / "group.sqlite")
    yield writers
    writers.close()


def test_writers_share_one_commit(writers: Writers) -> None:
    for future in writers.group_of(*(lambda name=f"row {n}": writers.write(name) for n in range(8))):
        future.result(20)
    assert len(writers.committed()) == 9
    assert writers.commits == 1


def test_each_write_sees_those_before_it_and_counts_once(writers: Writers) -> None:
    writers.write("counter").result(20)

    def count() -> None:
        for _ in range(50):
            with writers.database.write() as connection:
                number = connection.exec_driver_sql("SELECT number FROM rows").scalar_one()
                connection.exec_driver_sql("UPDATE rows SET number = ?", (number + 1,))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with writers.database.read() as connection:
        assert connection.exec_driver_sql("SELECT number FROM rows").scalar_one() == 400
    assert writers.commits < 400  # they were grouped


def test_a_member_that_fails_leaves_no_trace_and_hurts_nobody(writers: Writers) -> None:
    def fail(_: Connection) -> None:
        raise LookupError("mine")

    first, bad, twice, good = writers.group_of(
        lambda: writers.write("bad", fail), lambda: writers.write("first"), lambda: writers.write("good")
    )
    with pytest.raises(LookupError, match="mine"):
        bad.result(20)
    with pytest.raises(IntegrityError, match="UNIQUE"):
        twice.result(20)
    first.result(20)
    good.result(20)
    assert writers.committed() == {"first", "good"}


def test_a_first_member_that_fails_leaves_no_trace_either(writers: Writers) -> None:
    with pytest.raises(ZeroDivisionError):
        writers.write_here("bad", lambda _: 1 / 0)
    writers.write_here("good")
    assert writers.committed() == {"good"}


def test_nobody_sees_or_is_told_of_a_write_before_its_commit(writers: Writers) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def stay(_: Connection) -> None:
        inside.set()
        assert go_on.wait(20)

    first, last = writers.group_of(lambda: writers.write("last", stay))
    assert inside.wait(20)
    until(lambda: writers.queue == 1)  # the first has left its block and waits to commit
    assert writers.committed() == set()
    assert not first.done()
    go_on.set()
    first.result(20)
    last.result(20)
    assert writers.committed() == {"first", "last"}


def test_a_commit_that_fails_is_raised_in_every_member(writers: Writers) -> None:
    def break_the_commit(connection: Connection) -> None:
        # A deferred constraint is checked at the commit.
        connection.exec_driver_sql("INSERT INTO parts VALUES ('of nothing')")

    futures = writers.group_of(lambda: writers.write("a"), lambda: writers.write("b", break_the_commit))
    for future in futures:
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            future.result(20)
    assert writers.committed() == set()
    assert writers.commits == 0
    writers.write("later").result(20)
    assert writers.committed() == {"later"}


def test_at_a_full_disk_those_who_were_told_are_there(writers: Writers) -> None:
    def fill(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        try:
            connection.exec_driver_sql("INSERT INTO rows VALUES (?, 0)", ("x" * 100_000,))
        finally:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    futures = writers.group_of(lambda: writers.write("full", fill), lambda: writers.write("last"))
    with pytest.raises(Unavailable, match="full"):
        futures[1].result(20)
    told = {name for name, future in zip(("first", "full", "last"), futures, strict=True) if not future.exception(20)}
    assert writers.committed() == told
    assert "last" in told


def test_a_member_that_undoes_the_whole_transaction_is_told_to_all_before_it(writers: Writers) -> None:
    def roll_back(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT OR ROLLBACK INTO rows VALUES ('first', 0)")

    first, bad, last = writers.group_of(lambda: writers.write("bad", roll_back), lambda: writers.write("last"))
    with pytest.raises(IntegrityError, match="UNIQUE"):
        bad.result(20)
    with pytest.raises(Unavailable):
        first.result(20)
    last.result(20)
    assert writers.committed() == {"last"}


def test_a_write_within_a_write_is_refused(writers: Writers) -> None:
    with pytest.raises(RuntimeError, match="within a write"):
        writers.write_here("outer", lambda _: writers.write_here("inner"))
    assert writers.committed() == set()


def test_an_interrupt_in_the_queue_passes_the_turn_on(writers: Writers) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def stay(_: Connection) -> None:
        inside.set()
        assert go_on.wait(20)

    held = writers.write("held", stay)
    assert inside.wait(20)

    def interrupt() -> None:
        until(lambda: writers.queue == 1)
        _interrupt(lambda: writers.queue == 0)

    interrupting = writers._threads.submit(interrupt)
    with pytest.raises(KeyboardInterrupt):
        writers.write_here("interrupted")
    interrupting.result(20)
    go_on.set()
    held.result(20)
    writers.write("later").result(20)
    assert writers.committed() == {"held", "later"}


def test_an_interrupt_before_the_commit_leaves_no_group_open(writers: Writers) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def stay(_: Connection) -> None:
        inside.set()
        assert go_on.wait(20)

    def bring_another(_: Connection) -> None:
        writers.write("other", stay)
        until(lambda: writers.queue == 1)

    def interrupt() -> None:
        assert inside.wait(20)
        until(lambda: writers.queue == 1)
        [ticket] = writers.tickets()
        _interrupt(lambda: writers.tickets() not in ([], [ticket]))
        go_on.set()

    interrupting = writers._threads.submit(interrupt)
    with pytest.raises(KeyboardInterrupt):
        writers.write_here("interrupted", bring_another)
    interrupting.result(20)
    writers.write("later").result(20)
    assert writers.committed() == {"interrupted", "other", "later"}


@pytest.mark.slow
def test_what_was_told_survives_a_kill(tmp_path: Path) -> None:
    path, told = tmp_path / "group.sqlite", tmp_path / "told"
    for round_number in range(3):
        process = subprocess.Popen([sys.executable, "-c", _CHILD, str(path), str(told), str(round_number)])
        lines = 200 * (round_number + 1)
        until(lambda: told.exists() and told.read_bytes().count(b"\n") > lines, seconds=60)  # noqa: B023 -- asked now
        process.kill()
        process.wait()
        with sqlite3.connect(path) as reader:
            kept = {name for (name,) in reader.execute("SELECT name FROM rows")}
        reader.close()
        assert set(told.read_text().splitlines()) <= kept


_CHILD = """
import os, sys, threading
from cloudo_kernel.store.sql.database import Database

path, told, round_number = sys.argv[1:]
database = Database(f"sqlite:///{path}")
told = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
with database.write() as connection:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS rows (name TEXT PRIMARY KEY)")

def write(thread):
    for number in range(1_000_000):
        name = f"{round_number} {thread} {number}"
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO rows VALUES (?)", (name,))
        os.write(told, f"{name}\\n".encode())

for thread in range(8):
    threading.Thread(target=write, args=(thread,)).start()
"""


def _interrupt(has_shown: Callable[[], bool]) -> None:
    """Interrupt the main thread; a signal that comes just before it blocks is noticed only when it wakes."""
    for _ in range(20):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        with suppress(AssertionError):
            until(has_shown, seconds=1)
            return
    raise AssertionError("The main thread was not interrupted.")
