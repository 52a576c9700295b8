"""Index the texts of executions, so that searches find rare texts fast: a file beside an SQLite database.

The index follows the events, because each change of a text records one. Triggers that keep an FTS5 table in the store's
own database made a start 27 % slower alone, and 121 % slower in groups of 16 (medians of 9 rounds).

A search also checks executions that changed since the last `update`, and compares each candidate with its row. So the
index may return too much, but never too little. A deleted file is rebuilt.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from cloudo_kernel.models.event_types import EXECUTION, PASSING
from cloudo_kernel.store.executions.text_entry import (
    MARKED,
    MAX_GRAMS,
    TEXTS,
    UNSURE,
    Marks,
    Row,
    body,
    entries_of,
    entry,
    expression_of,
    folded,
    grams_of,
    ids_in,
    moment_of,
)
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import events, executions

_log = logging.getLogger(__name__)

#: Up to this number of executions every search is fast, and no index is built.
_MIN_EXECUTIONS: Final = 5_000
#: Number of executions or events read at a time.
_AT_ONCE: Final = 1_000
#: Maximum number of events by which the index may lag; searches ignore it beyond that.
_MAX_BEHIND: Final = 20_000
#: Version of the index format; an index of another version is rebuilt.
_FORM: Final = 1

_TABLES: Final = (
    # `trigram` would fold more letters than the database's LIKE, so texts are folded beforehand, as LIKE folds them.
    "CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='trigram case_sensitive 1', detail='none', columnsize=0)",
    # All grams except those of ids: a search by one or two characters looks up the grams that contain them.
    "CREATE TABLE grams (gram TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE state (form INTEGER, event_id INTEGER, mark TEXT, built_to TEXT)",
)
_GRAMS: Final = "SELECT gram FROM grams WHERE gram LIKE ? ESCAPE '/' LIMIT ?"
_FOUND: Final = "SELECT rowid, text FROM texts WHERE texts MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?"

_c, _e = executions.c, events.c
_ROWS: Final = select(*TEXTS, *MARKED)
_IS_CHANGE = (_e.subject_type == EXECUTION, _e.type.not_in(PASSING))


@dataclass(frozen=True)
class _State:
    """The progress of an index."""

    #: The newest event that the index covers, with its time and subject: they differ in an older copy of the database.
    event_id: int
    mark: str
    #: The last execution id covered while the index is being built; None once it is complete.
    built_to: str | None


class Candidates:
    """The executions that may contain a text, newest first, according to the index."""

    def __init__(
        self, index: sqlite3.Connection, text: str, expression: str, below: int, changed: Sequence[str]
    ) -> None:
        self._index = index
        # SQLite confuses some characters with others; if the text has one, only the rows can decide.
        self._text = "" if UNSURE.search(text) else text
        self._expression = expression
        self._below = below
        #: Executions that changed since the last update of the index, and may contain the text too.
        self.changed = changed

    def next(self, number: int) -> tuple[list[str], bool]:
        """Return the ids in up to `number` further entries, and whether these were the last."""
        found = self._index.execute(_FOUND, (self._expression, self._below, number)).fetchall()
        if found:
            self._below = found[-1][0]
        return [one for _, text in found if self._text in text for one in ids_in(text)], len(found) < number


class TextIndex:
    """The index of one store. It exists only for SQLite, and only once there are many executions."""

    def __init__(self, database: Database, *, least: int = _MIN_EXECUTIONS) -> None:
        self._database = database
        self._least = least
        self._path = database.sibling("search.sqlite")
        #: The newest event at the last `update` that left nothing to process.
        self._seen = -1
        self._grams: set[str] = set()

    # Updating the index

    def update(self) -> bool:
        """Process the next part of the changes since the last call; return whether there are more.

        A worker calls this every few seconds.
        """
        if self._path is None:
            return False
        with self._database.read() as connection:
            newest = _newest_event(connection)
            if newest == self._seen or not (self._path.exists() or self._is_worth_it(connection)):
                return False
        try:
            with closing(_open(self._path, create=True)) as index:
                has_more = self._update(index)
        except sqlite3.OperationalError as error:
            # Either another worker has locked the index to update it, or SQLite was built without FTS5 or its trigrams.
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                _log.warning("Searches read all executions: SQLite lacks FTS5 with trigrams (%s)", error)
                self._path = None
            return False
        except sqlite3.DatabaseError:
            _log.warning("The index of texts is damaged; it is made anew", extra={"path": str(self._path)})
            for ending in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            return True
        if not has_more:
            self._seen = newest
        return has_more

    def _is_worth_it(self, connection: Connection) -> bool:
        return connection.execute(select(_c.id).offset(self._least).limit(1)).scalar() is not None

    def _update(self, index: sqlite3.Connection) -> bool:
        index.execute("BEGIN IMMEDIATE")  # lock before reading executions, so that workers take turns
        with self._database.read() as connection:
            state = _state(index)
            if state is None or not _is_of(state, connection):
                self._grams.clear()
                state = _begin(index, connection)
            if state.built_to is None:
                has_more, state = self._follow(index, connection, state)
            else:
                has_more, state = self._build(index, connection, state.built_to, state)
        index.execute("UPDATE state SET event_id = ?, mark = ?, built_to = ?", tuple(vars(state).values()))
        index.execute("COMMIT")
        return has_more

    def _build(
        self, index: sqlite3.Connection, connection: Connection, after: str, state: _State
    ) -> tuple[bool, _State]:
        """Add executions after the id `after`, oldest first."""
        query = _ROWS.where(_c.id > after).order_by(_c.id).limit(_AT_ONCE)
        rows = connection.execute(query).all()
        entries = entries_of(rows)
        if len(rows) == _AT_ONCE and entries:  # the last moment may have more executions
            moment, _ = entries.popitem()
            if not entries:
                entries = _entries(connection, {moment})
        self._put(index, entries)
        if len(rows) < _AT_ONCE:
            return True, _State(state.event_id, state.mark, None)
        last = max(str(one[0]) for entry in entries.values() for one in entry) if entries else rows[-1].id
        return True, _State(state.event_id, state.mark, last)

    def _follow(self, index: sqlite3.Connection, connection: Connection, state: _State) -> tuple[bool, _State]:
        """Process the events after the newest one that the index covers."""
        query = select(_e.id, _e.subject_id).where(_e.id > state.event_id, *_IS_CHANGE).order_by(_e.id).limit(_AT_ONCE)
        details = connection.execute(query).all()
        if not details:
            return False, state
        moments = {moment for row in details if (moment := moment_of(row.subject_id)) is not None}
        known = {
            moment: text
            for moment in moments
            for (text,) in index.execute("SELECT text FROM texts WHERE rowid = ?", (moment,))
        }
        entries = _entries(connection, moments)
        fresh = {moment: rows for moment, rows in entries.items() if rows and known.get(moment) != entry(rows)}
        gone = [(moment,) for moment in known if not entries[moment] or moment in fresh]
        index.executemany("DELETE FROM texts WHERE rowid = ?", gone)
        self._put(index, fresh)
        return len(details) == _AT_ONCE, _State(details[-1].id, _mark(connection, details[-1].id), None)

    def _put(self, index: sqlite3.Connection, entries: dict[int, list[Row]]) -> None:
        if not self._grams:
            self._grams = {gram for (gram,) in index.execute("SELECT gram FROM grams")}
        found = {gram for rows in entries.values() for gram in grams_of(body(rows))} - self._grams
        index.executemany("INSERT OR IGNORE INTO grams VALUES (?)", [(gram,) for gram in found])
        self._grams |= found
        texts = [(moment, entry(rows)) for moment, rows in entries.items()]
        index.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", texts)

    # Querying the index

    @contextmanager
    def candidates(
        self, connection: Connection, q: str, *, before: str | None, marks: Marks
    ) -> Iterator[Candidates | None]:
        """Yield the executions with ids below `before` that may contain `q`, or None if the index does not help.

        `marks` is the result of `marks_of` for the other filters. Call this before `connection` reads anything: an
        index with events that `connection` cannot see yet is not used.
        """
        try:
            index = _open(self._path, create=False) if self._path is not None else None
        except sqlite3.Error:  # usually the file does not exist
            index = None
        if index is None:
            yield None
            return
        with closing(index):
            yield self._candidates(index, connection, q, before, marks)

    def _candidates(
        self,
        index: sqlite3.Connection,
        connection: Connection,
        q: str,
        before: str | None,
        marks: Marks,
    ) -> Candidates | None:
        try:
            index.execute("BEGIN")
            state = _state(index)
            expression = expression_of(q, marks, grams_with=partial(_grams_with, index))
        except sqlite3.Error:
            _log.warning("The index of texts cannot be read", exc_info=True)
            return None
        if state is None or state.built_to is not None or expression is None or not _is_of(state, connection):
            return None
        if _newest_event(connection) - state.event_id > _MAX_BEHIND:
            return None
        query = select(_e.subject_id).where(_e.id > state.event_id, *_IS_CHANGE).distinct()
        below = (moment_of(before) if before is not None else None) or (1 << 62)
        return Candidates(index, folded(q), expression, below + 1, connection.execute(query).scalars().all())


def _open(path: Path, *, create: bool) -> sqlite3.Connection:
    # An update does not wait for the lock: the worker that holds it updates the index.
    address = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    index = sqlite3.connect(address, uri=True, isolation_level=None, timeout=0 if create else 1)
    try:
        if create:
            index.execute("PRAGMA journal_mode=WAL")
        index.execute("PRAGMA synchronous=NORMAL")  # changes lost in a power failure are processed again
    except BaseException:
        index.close()
        raise
    return index


def _state(index: sqlite3.Connection) -> _State | None:
    """Return the progress of the index, None if it has to be built."""
    if not index.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchall():
        return None
    for form, *rest in index.execute("SELECT form, event_id, mark, built_to FROM state"):
        if form == _FORM:
            return _State(*rest)
    return None


def _begin(index: sqlite3.Connection, connection: Connection) -> _State:
    for table in ("texts", "grams", "state"):
        index.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _TABLES:
        index.execute(statement)
    query = select(_e.id).where(*_IS_CHANGE).order_by(_e.id.desc()).limit(1)
    event_id = connection.execute(query).scalar() or 0
    index.execute("INSERT INTO state (form) VALUES (?)", (_FORM,))
    return _State(event_id, _mark(connection, event_id), "")


def _grams_with(index: sqlite3.Connection, pattern: str) -> list[str]:
    return [gram for (gram,) in index.execute(_GRAMS, (pattern, MAX_GRAMS + 1))]


def _entries(connection: Connection, moments: Collection[int]) -> dict[int, list[Row]]:
    """Return the rows of all executions in these entries; an empty list if all executions of an entry were deleted."""
    # One range of ids per millisecond, for any UUID version. One statement per range takes thirty times as long.
    begins = {f"{moment:015x}"[:12] for moment in moments}
    begin = (
        func.json_each(json.dumps([f"{one[:8]}-{one[8:]}-" for one in sorted(begins)])).table_valued("value").c.value
    )
    found = entries_of(connection.execute(_ROWS.where(_c.id > begin.concat("0"), _c.id < begin.concat("g"))))
    return {moment: found.get(moment, []) for moment in moments}


def _newest_event(connection: Connection) -> int:
    return connection.execute(select(_e.id).order_by(_e.id.desc()).limit(1)).scalar() or 0


def _mark(connection: Connection, event_id: int) -> str:
    row = connection.execute(select(_e.time, _e.subject_id).where(_e.id == event_id)).one_or_none()
    return "" if row is None else f"{row.time.isoformat()} {row.subject_id}"


def _is_of(state: _State, connection: Connection) -> bool:
    """Return whether the index belongs to this database; False if the database was replaced by an older copy."""
    return _mark(connection, state.event_id) == state.mark
