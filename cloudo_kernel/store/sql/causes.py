"""Tell a database that cannot be used, such as a locked one, from a violated constraint or a bug."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DatabaseError, OperationalError

from cloudo_kernel.store.sql.file_guard import Unusable

#: Seconds a writer waits for the in-process queue, and then again for a lock in the database.
LOCK_SECONDS: Final = 10

LOCKED: Final = "the database is locked"
LOCKED_HINT: Final = f"another process has held it for {LOCK_SECONDS} seconds; end that process, or wait"
#: The reason of an error that passes at once: two transactions waited for each other.
CONFLICT: Final = "another write came in between"
_FULL = ("the disk is full", "free some space")
_SYSTEM_HINT = "the system log may say more"
#: SQLite error codes of an unusable database: the reason (None for the driver's message) and a hint.
_CODES: dict[int, tuple[str | None, str]] = {
    sqlite3.SQLITE_BUSY: (LOCKED, LOCKED_HINT),
    sqlite3.SQLITE_LOCKED: (LOCKED, LOCKED_HINT),
    sqlite3.SQLITE_READONLY: (None, "give this user the right to write to the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: (None, "check that its folder exists and that this user may write to it"),
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CORRUPT: ("the database file is damaged", "restore it from a backup"),
    sqlite3.SQLITE_NOTADB: (None, "move it away"),
    sqlite3.SQLITE_IOERR: (None, _SYSTEM_HINT),
    sqlite3.SQLITE_NOMEM: (None, _SYSTEM_HINT),
    sqlite3.SQLITE_PROTOCOL: (None, _SYSTEM_HINT),
    sqlite3.SQLITE_INTERRUPT: (None, _SYSTEM_HINT),
}
#: Beginnings of PostgreSQL's error codes of an unusable database, see "PostgreSQL Error Codes" in its manual.
_STATES: dict[str, tuple[str, str]] = {
    "25P03": (f"this process stood still for {LOCK_SECONDS} seconds in the middle of a write", "try again"),
    "25006": ("the database is read-only", "name the primary server in CLOUDO_DATABASE_URL"),
    "40": (CONFLICT, "try again"),
    "42501": ("the database refuses this user", "give the user all rights on the database and its schema"),
    "53100": _FULL,
    "53": ("the database server is out of memory or connections", "see its log"),
    "55P03": (LOCKED, LOCKED_HINT),
    "57": ("the database server stopped the request", "see its log"),
    "58": ("the database server has a fault", "see its log"),
    "XX": ("the database server has a fault", "see its log"),
}


def cause_of(error: DatabaseError) -> Unusable | None:
    """Return the cause outside Cloudo that makes the database unusable, or None for any other error."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        reason, hint = _CODES.get(code & 0xFF, (None, None))
        return None if hint is None else Unusable(reason or str(error.orig), hint)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        found = next((words for beginning, words in _STATES.items() if state.startswith(beginning)), None)
        return None if found is None else Unusable(*found)
    return _without_connection(str(error.orig)) if isinstance(error, OperationalError) else None


def _without_connection(message: str) -> Unusable:
    """Return the cause for a connection to PostgreSQL that could not be made, or was lost. It has no error code."""
    _, is_refused, words = message.rpartition("FATAL:")
    said = words.strip().partition("\n")[0]
    if is_refused:
        return Unusable("the database server refused the connection", f"it says: {said}")
    return Unusable("the database server cannot be reached", f"check CLOUDO_DATABASE_URL and the server: {said}")
