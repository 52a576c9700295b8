"""Connections stay open between transactions, which see one state each and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy.exc import OperationalError

from cloudo_kernel.store.sql.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'kept.sqlite'}")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (number INTEGER PRIMARY KEY)")
    yield database
    database.close()


def add(database: Database, number: int) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO rows VALUES (?)", (number,))


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM rows").scalar_one())


def test_a_read_sees_one_state_and_the_next_one_the_newest(database: Database) -> None:
    with database.read() as connection:
        query = connection.exec_driver_sql
        assert query("SELECT count(*) FROM rows").scalar_one() == 0
        add(database, 1)
        assert query("SELECT count(*) FROM rows").scalar_one() == 0
    assert count(database) == 1


def fail(database: Database, statement: str) -> None:
    with database.read() as connection:
        connection.exec_driver_sql(statement)
        raise LookupError


def test_a_read_that_fails_leaves_nothing_open(database: Database) -> None:
    with pytest.raises(OperationalError, match="syntax error"):
        fail(database, "SELECT nothing")
    with pytest.raises(LookupError):
        fail(database, "SELECT number FROM rows")
    add(database, 1)
    assert count(database) == 1


def test_any_number_may_read_at_once(database: Database) -> None:
    add(database, 1)
    together = Barrier(20, timeout=20)

    def read() -> int:
        with database.read() as connection:
            together.wait()
            return int(connection.exec_driver_sql("SELECT count(*) FROM rows").scalar_one())

    with ThreadPoolExecutor(20) as threads:
        found = [threads.submit(read) for _ in range(20)]
        assert {one.result(20) for one in found} == {1}
    assert count(database) == 1
