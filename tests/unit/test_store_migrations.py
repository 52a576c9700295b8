"""New stores get today's tables, stores of earlier releases are migrated, and all others are refused."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models import ExecutionFilter
from cloudo_kernel.store import Store, migrations

#: The tables of a store of version 0.1.0, as SQLite keeps them.
FROZEN = Path(__file__).parent / "schema_0100.sql"


def schema(path: Path) -> dict[str, Any]:
    """Return the tables and indexes of a database, without the order of columns."""
    found: dict[str, Any] = {}
    with closing(sqlite3.connect(path)) as database:
        for kind, name, table, sql in database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"):
            if kind == "table":
                columns = {column[1:] for column in database.execute(f"PRAGMA table_info({name})")}
                references = {key[2:] for key in database.execute(f"PRAGMA foreign_key_list({name})")}
                found[name] = (columns, references, "AUTOINCREMENT" in sql)
            else:
                indexed = [column[2] for column in database.execute(f"PRAGMA index_info({name})")]
                unique = [row[2] for row in database.execute(f"PRAGMA index_list({table})") if row[1] == name]
                found[name] = (table, indexed, unique, (sql or "").partition(" WHERE ")[2])
    return found


def stamp(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])


def test_a_store_of_the_first_release_is_brought_to_the_tables_of_a_new_one(tmp_path: Path) -> None:
    """A change of `store/tables` without a revision fails here."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    with closing(sqlite3.connect(old)) as database, database:
        database.executescript(FROZEN.read_text())
        database.execute("INSERT INTO absences (start) VALUES (0)")
        database.execute("INSERT INTO alembic_version VALUES (?)", [migrations.FIRST])
        database.execute("INSERT INTO sources VALUES ('44136fa3', '{}')")
        columns = "id, parent_id, name, type, status, input_value, output_value, trigger, user_name, created_at"
        database.executemany(
            f"INSERT INTO executions ({columns}, progress, source_sha256, tags, kernel, folder) "
            "VALUES (?, ?, 'a', 'FLOW', 'PENDING', '{}', '{}', 'api', 'ada', 0, '{}', '44136fa3', ?, 'cloudo', '/')",
            [("1", None, '["x", "y", "x"]'), ("2", "1", "[]"), ("3", "deleted", "[]"), ("4", "3", "[]")],
        )
    for path in (old, new):
        Store.open(f"sqlite:///{path}").close()
    assert schema(old) == schema(new)
    with closing(Store.open(f"sqlite:///{old}")) as store:
        [found] = store.executions.page(ExecutionFilter(tag="y"), limit=2, before=None).items
        assert found.tags == ("x", "y", "x")
        top = store.executions.page(ExecutionFilter(top_level=True), limit=5, before=None).items
        assert [one.id for one in top] == ["3", "1"]


def test_a_revision_changes_a_store_that_has_records_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, scripts = tmp_path / "store.sqlite", tmp_path / "migrations"
    with closing(Store.open(f"sqlite:///{path}")) as store:
        store.settings.save("colour", "red", user_name="ada")
    shutil.copytree(Path(migrations.__file__).parent, scripts)
    (scripts / "versions" / "9000_shade.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        f"revision = '9000'\ndown_revision = '{migrations.NEWEST}'\n"
        "def upgrade():\n    op.add_column('settings', sa.Column('shade', sa.Text(), server_default='light'))\n"
    )
    monkeypatch.setattr(migrations, "SCRIPTS", str(scripts))
    monkeypatch.setattr(migrations, "NEWEST", "9000")
    for _ in range(2):
        with closing(Store.open(f"sqlite:///{path}")) as store:
            assert store.settings.get("colour").value == "red"
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name, shade FROM settings").fetchall() == [("colour", "light")]
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("9000",)]


def test_several_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    def open_it(_number: int) -> int:
        with closing(Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")) as store:
            return len(store.executions.page(ExecutionFilter(), limit=1, before=None).items)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(open_it, range(4))) == [0] * 4
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(migrations.NEWEST,)]
        assert database.execute("SELECT start FROM absences").fetchall() == [(0,)]


@pytest.mark.parametrize("revision", ["0001", "0021"])
def test_a_store_of_a_development_version_is_refused_and_left_alone(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "store.sqlite"
    Store.open(f"sqlite:///{path}").close()
    stamp(path, revision)
    before = schema(path)
    with pytest.raises(Unavailable, match=r"development version of Cloudo.*move the folder \.cloudo.*notebooks") as no:
        Store.open(f"sqlite:///{path}")
    assert no.value.reason == "this store was made by a development version of Cloudo"
    assert schema(path) == before
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store.open(f"sqlite:///{path}").close()
    stamp(path, "0999")
    with pytest.raises(Unavailable, match=r"newer Cloudo.*pip install --upgrade cloudo"):
        Store.open(f"sqlite:///{path}")
