"""Check, upgrade and copy stores, for `cloudo db`. Servers and workers only open stores."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, cast, func, insert, make_url, select
from sqlalchemy.dialects.postgresql import REGCLASS

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store import migrations
from cloudo_kernel.store.sealed import has_sealed
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import absences, events, executions, lock_waiters, metadata
from cloudo_kernel.store.workers import Workers

#: Rows that are read and written at a time.
_AT_ONCE = 1_000
#: The tables whose ids the database counts up.
_COUNTED = (events, lock_waiters, absences)


def check(url: str) -> None:
    """Raise `Unavailable` unless this version of Cloudo can use the tables of the store; change nothing."""
    file = make_url(url).database if url.startswith("sqlite:") else None
    if file and not Path(file).exists():  # SQLite would create it
        raise Unavailable(f"There is no database {file}.")
    with closing(Database(url)) as database:
        revision = database.revision()
    if revision is None:
        raise Unavailable("The database is empty. To create its tables, start a server, or run: cloudo db upgrade")
    if revision != migrations.NEWEST:
        raise Unavailable(f"The store cannot be used: {migrations.unknown(revision)}.")


def check_key(url: str, key_file: Path) -> None:
    """Raise `SecretLost` if the store holds secrets and the key file is missing; change nothing."""
    with closing(Database(url)) as database:
        Encryption(key_file, has_sealed=partial(has_sealed, database)).check()


def upgrade(url: str) -> None:
    """Create the tables, or bring older ones to this version. Raises `Unavailable`."""
    with closing(Database(url)) as database:
        database.migrate(upgrades=True)


def copy(source: str, target: str) -> int:
    """Copy a store into an empty database, in one transaction, and return the number of its executions.

    Raises `Unavailable` if a worker of the source lives, or if the target has executions or events.
    """
    check(source)
    with closing(Database(source)) as old, closing(Database(target)) as new:
        new.migrate()
        alive = [worker for worker in Workers(old).all() if worker.holds_its_lease(old.clock())]
        if alive:
            raise Unavailable(f"{alive[0].host} runs a worker of the source. Stop all its servers and workers first.")
        with old.read() as reading, new.write() as writing:
            for table in (events, executions):
                if writing.execute(select(table.c.id).limit(1)).first() is not None:
                    raise Unavailable("The target is in use. Name an empty database.")
            for table in metadata.sorted_tables:
                _copy(reading, writing, table)
            number = writing.execute(select(func.count()).select_from(executions)).scalar_one()
        return int(number)


def _copy(reading: Connection, writing: Connection, table: Table) -> None:
    writing.execute(table.delete())  # a new store has one absence
    rows = reading.execute(select(table).execution_options(yield_per=_AT_ONCE)).mappings()
    for some in rows.partitions():
        writing.execute(insert(table), [dict[str, Any](row) for row in some])
    if table in _COUNTED and writing.dialect.name == "postgresql":
        newest = select(func.max(table.c.id)).scalar_subquery()
        writing.execute(select(func.setval(cast(f"{table.name}_id_seq", REGCLASS), func.coalesce(newest, 1))))
