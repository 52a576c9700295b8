"""Create the tables of a new store, and migrate those of a store that an earlier version of Cloudo created.

A new store gets today's tables and the number of the newest revision, without running the revisions one by one: see
"Building an Up to Date Database from Scratch" in Alembic's cookbook.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from cloudo_kernel.store.sql import postgresql
from cloudo_kernel.store.sql.file_guard import Unusable
from cloudo_kernel.store.tables import absences, metadata

#: The revision of version 0.1.0. Development versions before it used lower numbers.
FIRST = "0100"
#: The newest revision. A store at this revision opens without importing Alembic, which takes 0.4 s.
NEWEST = "0105"
#: Where Alembic finds the revisions.
SCRIPTS = "cloudo_kernel.store:migrations"

#: Alembic's own table.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the store, or None for an empty database."""
    if not inspect(connection).has_table(_version.name):
        return None
    revision: str | None = connection.execute(select(_version.c.version_num)).scalar()
    return revision


def migrate(connection: Connection, *, upgrades: bool) -> None:
    """Create or upgrade the tables, in the caller's transaction.

    Raises `Unusable` for an unknown revision and, without `upgrades`, for an older one.
    """
    postgresql.lock_schema(connection)
    revision = revision_of(connection)
    if revision is None:
        _create(connection)
    elif upgrades and FIRST <= revision < NEWEST:
        _upgrade(connection)
    elif revision != NEWEST:  # another process may have upgraded the store meanwhile
        raise unknown(revision)


def unknown(revision: str | None) -> Unusable:
    """Return the error for a store whose schema this version of Cloudo does not know."""
    if revision is not None and FIRST <= revision < NEWEST:
        return Unusable(
            "this store was made by an older Cloudo",
            f"its schema is {revision} and this Cloudo needs {NEWEST}: stop all servers and workers of the store, and "
            "run `cloudo db upgrade`",
        )
    if revision is not None and revision < FIRST:
        return Unusable(
            "this store was made by a development version of Cloudo",
            f"its schema is {revision}, and version 0.1.0 begins at {FIRST}: move the folder .cloudo out of the "
            "workspace and run `cloudo up` again, or name an empty PostgreSQL database. Flows and executed notebooks "
            "are files in the workspace, and stay; the history, schedules and settings stay in the old store",
        )
    return Unusable(
        "this store was made by a newer Cloudo",
        f"its schema is {revision} and this Cloudo knows {NEWEST}: update with `pip install --upgrade cloudo`, "
        "or restore a backup that the older Cloudo made",
    )


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    postgresql.create_search_index(connection)
    # No scheduler has been alive yet.
    connection.execute(insert(absences).values(start=datetime.fromtimestamp(0, UTC)))
    _version.create(connection, checkfirst=True)
    connection.execute(insert(_version).values(version_num=NEWEST))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
