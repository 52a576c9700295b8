"""A store in PostgreSQL: what differs from one in SQLite."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url

from cloudo_kernel.cli import main
from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models import ExecutionFilter
from cloudo_kernel.store import NewExecution, Store, transfer
from cloudo_kernel.store.sql import postgresql
from cloudo_kernel.store.sql.row_locks import lock_execution
from cloudo_kernel.workspace.layout import Workspace
from tests.databases import Databases
from tests.postgresql import LOCKED_ROLE

#: In no error, and so in no log.
PASSWORD = "seven-of-nine"


def error_of(url: str) -> str:
    with pytest.raises(Unavailable) as found:
        Store.open(url)
    assert PASSWORD not in f"{found.value} {found.value.reason} {found.value.__cause__}"
    return str(found.value)


def test_an_address_that_leads_nowhere_is_an_error_that_says_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = "use sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    for wrong in (f"no address, {PASSWORD}", f"postgresql://ada:x@host:{PASSWORD}/cloudo"):
        assert error_of(wrong) == f"CLOUDO_DATABASE_URL is not the URL of a database: {forms}."
    assert f"the database 'mysql': {forms}" in error_of(f"mysql://ada:{PASSWORD}@host/cloudo")
    closed = error_of(f"postgresql+psycopg://ada:{PASSWORD}@127.0.0.1:1/cloudo?sslpassword={PASSWORD}")
    assert "the database server cannot be reached; check CLOUDO_DATABASE_URL and the server: " in closed
    assert "Connection refused" in closed
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "Run: pip install 'cloudo[postgresql]'" in error_of(f"postgresql://ada:{PASSWORD}@host/cloudo")


@pytest.mark.db("postgresql")
def test_a_refused_password_is_in_no_error(databases: Databases, tmp_path: Path) -> None:
    with databases.copy(tmp_path / "unused") as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {LOCKED_ROLE} LOGIN PASSWORD 'right'")
            connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {LOCKED_ROLE}")
            connection.exec_driver_sql(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {LOCKED_ROLE}")
        try:
            refused = error_of(url.replace("cloudo@", f"{LOCKED_ROLE}:{PASSWORD}@"))
            assert "the database server refused the connection; it says: password authentication failed" in refused
            with closing(Store.open(url.replace("cloudo@", f"{LOCKED_ROLE}:right@"))) as store:
                assert store.events.newest_id() == 0
        finally:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"DROP OWNED BY {LOCKED_ROLE}")
                connection.exec_driver_sql(f"DROP ROLE {LOCKED_ROLE}")
            engine.dispose()


@pytest.mark.db("postgresql")
def test_a_text_with_nul_is_kept_with_its_symbol(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    store.control.save(execution_id, {"message": "a\0b"}, user_name="ada")
    assert store.executions.get(execution_id).message == "a\N{SYMBOL FOR NULL}b"
    for q in ("a\0b", "a\N{SYMBOL FOR NULL}"):
        assert store.executions.ids(ExecutionFilter(q=q), limit=9) == (execution_id,)


@pytest.mark.db("postgresql")
def test_tables_of_another_version_are_refused_until_they_are_upgraded(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Workspace(tmp_path).create()
    monkeypatch.setenv("CLOUDO_WORKSPACE", str(tmp_path))
    with databases.copy(tmp_path / "unused") as url, closing(Store.open(url)) as running:
        monkeypatch.setenv("CLOUDO_DATABASE_URL", url)
        assert main(["db", "check"]) == 0
        set_revision(url, "0999")
        for refused in (lambda: Store.open(url), lambda: running.settings.save("x", 1, user_name="ada")):
            with pytest.raises(Unavailable, match=r"newer Cloudo.*pip install --upgrade cloudo"):
                refused()
        set_revision(url, "0101", "DROP TABLE results", *WITHOUT_LABELS)
        with pytest.raises(Unavailable, match=r"older Cloudo.*run `cloudo db upgrade`"):
            Store.open(url)
        assert main(["db", "check"]) != 0
        assert "cloudo db upgrade" in capsys.readouterr().err
        assert main(["db", "upgrade"]) == main(["db", "check"]) == 0
        running.settings.save("x", 1, user_name="ada")


#: What an older Cloudo has in the place of labels, and without workers that drain.
WITHOUT_LABELS = (
    "ALTER TABLE workers DROP COLUMN labels, DROP COLUMN draining",
    "ALTER TABLE executions DROP COLUMN requires",  # and with it the index
    "CREATE INDEX ix_executions_claims ON executions (status)",
)


def set_revision(url: str, revision: str, *before: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in before:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = %s", (revision,))
    engine.dispose()


@pytest.mark.db("postgresql")
def test_several_processes_may_open_a_new_database_at_once(postgresql_databases: Databases) -> None:
    def open_it(url: str) -> int:
        with closing(Store.open(url)) as store:
            return store.events.newest_id()

    with postgresql_databases.empty() as url, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(open_it, [url] * 4)) == [0] * 4


@pytest.mark.db("postgresql")
def test_a_store_is_copied_from_sqlite(
    databases: Databases, sqlite_databases: Databases, tmp_path: Path, new: Callable[..., NewExecution]
) -> None:
    file, key = tmp_path / "old.sqlite", tmp_path / "key"
    with sqlite_databases.copy(file) as source, databases.copy(tmp_path / "unused") as target:
        with closing(Store.open(source, key_file=key)) as old:
            made = old.executions.insert(
                new(tags=("monthly",), message="line\nline", output_value={"a\0": [1.5, None]})
            )
            old.settings.save("token", "secret", user_name="ada", secret=True)
            old.workers.register("w", private=False)
            kept = old.events.after(0, limit=99)
            with pytest.raises(Unavailable, match="Stop all its servers and workers first"):
                transfer.copy(source, target)
            old.workers.remove("w")
        assert transfer.copy(source, target) == 1
        with closing(Store.open(target, key_file=key)) as store:
            assert store.executions.get(made.id) == made
            assert store.executions.ids(ExecutionFilter(tag="monthly"), limit=9) == (made.id,)
            assert store.settings.get("token", reveal=True).value == "secret"
            assert store.events.after(0, limit=99) == kept
            store.executions.insert(new())
            assert store.events.newest_id() > kept[-1].id
        with pytest.raises(Unavailable, match="The target is in use"):
            transfer.copy(source, target)
        with pytest.raises(Unavailable, match="There is no database"):
            transfer.copy(f"sqlite:///{tmp_path / 'nowhere.sqlite'}", target)
    assert not (tmp_path / "nowhere.sqlite").exists()


@pytest.mark.db("postgresql")
def test_a_lost_connection_is_an_error_until_there_is_one_again_and_none_when_it_was_idle(
    store: Store, postgresql_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store._database._url.database
    store.settings.save("x", 1, user_name="ada")

    def write_without_connection() -> None:
        with store._database.write() as connection:
            postgresql_databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgresql_databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(Unavailable, match=r"stopped the request|cannot be reached"):
        write_without_connection()
    with pytest.raises(Unavailable, match=r"refused the connection; it says: database .* is not currently accepting"):
        store.settings.save("x", 2, user_name="ada")
    assert store.trouble == "the database server refused the connection"
    postgresql_databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    store.settings.save("x", 3, user_name="ada")
    assert (store.settings.get("x").value, store.trouble) == (3, None)
    monkeypatch.setattr(postgresql, "_MAX_IDLE_SECONDS", 0.0)  # from now on each connection has been idle for long
    postgresql_databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    store.settings.save("x", 4, user_name="ada")


@pytest.mark.db("postgresql")
def test_a_write_of_another_process_is_noticed_without_a_poll_and_with_one_if_its_signal_is_lost(
    store: Store, new: Callable[..., NewExecution], postgresql_databases: Databases
) -> None:
    url, noticed = store._database._url, threading.Event()
    with closing(Store.open(url.render_as_string(hide_password=False))) as other:

        def write() -> None:
            noticed.clear()
            other.executions.insert(new())
            assert noticed.wait(20)

        store._database.poll_seconds = 3600
        store.tail.add_listener(noticed.set)
        assert noticed.wait(20)  # the first look
        write()
        listening = f"datname = '{url.database}' AND query ~ '^(LISTEN|NOTIFY)'"
        postgresql_databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listening}")
        write()
        assert other._database._signals is not None
        other._database._signals.close()
        store._database.poll_seconds = 0.05
        store.tail.loop.wake()
        write()


@pytest.mark.db("postgresql")
def test_of_two_that_wait_for_each_other_one_is_to_try_again(store: Store, add: Callable[..., str]) -> None:
    ids = [add(), add()]
    both = threading.Barrier(2)

    def lock(first: str, second: str) -> str:
        try:
            with store._database.write() as connection:
                lock_execution(connection, first)
                both.wait()
                lock_execution(connection, second)
        except Unavailable as error:
            return str(error.reason)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(lock, ids, reversed(ids)))
    assert outcomes == ["another write came in between", "done"]
    assert store.trouble is None


@pytest.mark.db("postgresql")
def test_the_newest_executions_of_flows_are_read_by_flow(store: Store, new: Callable[..., NewExecution]) -> None:
    names = [f"flow-{number}" for number in range(50)]
    store.executions.insert_all([(new(flow_name=name), None) for name in names for _ in range(40)])
    plans: list[str] = []

    def explain(connection: Any, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        if "json_array_elements_text" in statement and not statement.startswith("EXPLAIN"):
            with connection.engine.connect() as other:
                rows = other.exec_driver_sql(f"EXPLAIN ANALYZE {statement}", parameters)
                plans.append("\n".join(row[0] for row in rows))

    event.listen(store._database.engine, "before_cursor_execute", explain)
    assert len(store.activity.briefs(names, each=3)) == len(names)
    [plan] = plans
    assert "SubPlan" not in plan, plan  # it would be run for each pair of an execution and a flow
    assert "ix_executions" in plan, plan


@pytest.mark.db("postgresql")
def test_the_clock_is_the_server_s(databases: Databases, postgresql_databases: Databases, tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    with databases.copy(tmp_path / "unused") as url:
        name = make_url(url).database
        postgresql_databases.run(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
        engine = create_engine(url)
        with engine.begin() as connection:  # found before the one of the system
            body = "SELECT pg_catalog.clock_timestamp() + interval '1 hour'"
            connection.exec_driver_sql(
                f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $${body}$$"
            )
        engine.dispose()
        with closing(Store.open(url)) as store:
            store.workers.register("w", private=False)
            [worker] = store.workers.all()
            for moment in (store.now, worker.beat_at):
                assert abs(moment - datetime.now(UTC) - hour) < timedelta(minutes=10)
