"""Connect to PostgreSQL. All that differs from SQLite beyond single statements is here."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store.sql.causes import LOCK_SECONDS

#: Seconds to wait for a connection to the server.
_CONNECT_SECONDS: Final = 10
#: Connections that stay open, and those added while many threads are busy. A server has 100 by default.
_POOL_SIZE: Final = 5
_MAX_OVERFLOW: Final = 10


def engine_of(url: URL, **options: Any) -> Engine:
    """Return an engine. It connects when it is first used. Raises `Unavailable` if the driver is not installed."""
    to_driver = {"connect_timeout": _CONNECT_SECONDS, "options": f"-c lock_timeout={LOCK_SECONDS}s"}
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=to_driver,
            pool_pre_ping=True,  # the server may have been restarted
            pool_size=_POOL_SIZE,
            max_overflow=_MAX_OVERFLOW,
            pool_timeout=LOCK_SECONDS,
            **options,
        )
    except ImportError as error:
        raise Unavailable(
            "CLOUDO_DATABASE_URL names a PostgreSQL database, and its driver is not installed. "
            "Run: pip install 'cloudo[postgresql]'"
        ) from error
