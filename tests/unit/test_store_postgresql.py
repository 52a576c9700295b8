"""A store in PostgreSQL: what differs from one in SQLite."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store import Store
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
