"""A store in PostgreSQL: what its errors say."""

from __future__ import annotations

import sys

import pytest

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store import Store

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
