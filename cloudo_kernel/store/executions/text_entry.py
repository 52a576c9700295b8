"""Build the entries and the queries of the index of texts. Pure functions, no I/O."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column

from cloudo_kernel.models import ExecutionFilter, Status
from cloudo_kernel.store.tables import executions

#: Maximum number of grams for a search by one or two characters; with more, most executions are candidates anyway.
MAX_GRAMS: Final = 500
#: Maximum number of grams of a text to look up, alone and beside rare marks; more would cost more than they save.
_PARTS: Final = 6
_PARTS_BESIDE_MARKS: Final = 2

#: Separate the texts of an entry, and enclose its marks. In a text they cause at most a false candidate.
_BREAK: Final = "\x02"
_BESIDE: Final = "\x03"

#: The part of a UUIDv7 before its random digits; executions with the same moment share an entry.
_MOMENT = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-[0-9a-f]([0-9a-f]{3})-")
UNSURE = re.compile("[\ufffd-\uffff]")
_PART_OF_ID = re.compile(r"[0-9a-f-]+")

_c = executions.c
TEXTS = (_c.id, _c.name, _c.flow_name, _c.message)
MARKED = (_c.flow_name, _c.user_name, _c.schedule_id, _c.status)

#: The values of `TEXTS` and `MARKED`.
Row = Sequence[str | None]
#: Allowed values by column; a matching execution has one of them in each column.
Marks = Mapping[str, Sequence[str]]


def moment_of(execution_id: str) -> int | None:
    """Return the entry number of an execution, which is the time in its id; None if the id is not a UUID.

    Entries are in the order of ids.
    """
    found = _MOMENT.match(execution_id)
    return int("".join(found.groups()), 16) if found else None


def entries_of(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Group executions by entry number."""
    entries: dict[int, list[Row]] = {}
    for row in rows:
        moment = moment_of(str(row[0]))
        if moment is not None:  # ids have been UUIDs from the first version on
            entries.setdefault(moment, []).append(row)
    return entries


def folded(text: str) -> str:
    """Return a text as SQLite's LIKE compares it: cut at the first NUL, with ASCII letters in lower case."""
    return text.partition("\0")[0].encode().lower().decode()


def entry(rows: Sequence[Row]) -> str:
    """Return the entry of executions: their ids, marks of the values that lists filter by, and each distinct text."""
    ids = _BREAK.join(str(row[0]) for row in rows)
    marks = dict.fromkeys(_mark_of(column.name, value) for row in rows for column, value in _marked(row))
    return f"{_BREAK}{ids}{_BREAK}{_BESIDE}{''.join(f'{mark}{_BESIDE}' for mark in marks)}{body(rows)}"


def body(rows: Sequence[Row]) -> str:
    """Return the part of an entry with the texts."""
    texts = dict.fromkeys(folded(text) for row in rows for text in row[1 : len(TEXTS)] if text)
    return f"{_BREAK}{_BREAK.join(texts)}{_BREAK}"


def _marked(row: Row) -> Iterator[tuple[Column[Any], str]]:
    for column, value in zip(MARKED, row[len(TEXTS) :], strict=True):
        # Leave out states that are not ends: they do not last, and few executions are in them.
        if value is not None and (column is not _c.status or Status(value).is_ended):
            yield column, value


def marks_of(where: ExecutionFilter, flow_names: Sequence[str] | None) -> Marks:
    """Return the part of a filter that the index covers; `flow_names`, if given, limits the flows."""
    statuses = where.status if where.status and all(status.is_ended for status in where.status) else None
    single = {name: getattr(where, name) for name in (_c.flow_name.name, _c.user_name.name, _c.schedule_id.name)}
    marks: dict[str, Sequence[str] | None] = {name: (value,) for name, value in single.items() if value is not None}
    marks |= {_c.status.name: statuses} | ({} if flow_names is None else {_c.flow_name.name: flow_names})
    return {name: values for name, values in marks.items() if values}


def _mark_of(column: str, value: str) -> str:
    """Return the character that marks a value: rare in texts, and possibly shared with other values."""
    return chr(0xF0000 + zlib.crc32(f"{column} {value}".encode()) % 0x1FFF0)


def ids_in(text: str) -> list[str]:
    """Return the ids of an entry."""
    return text[1 : text.index(_BESIDE) - 1].split(_BREAK)


def grams_of(text: str) -> set[str]:
    """Return the grams under which FTS5 indexes a text."""
    return {text[place : place + 3] for place in range(len(text) - 2)}


def expression_of(q: str, marks: Marks, *, grams_with: Callable[[str], Sequence[str]]) -> str | None:
    """Return the FTS5 query for `q` and `marks`, None if the index does not help.

    `grams_with` returns the grams that match a LIKE pattern, and may stop after `MAX_GRAMS` + 1.
    """
    text = folded(q)
    marked = [
        f"({' OR '.join(_quoted(f'{_BESIDE}{_mark_of(column, value)}{_BESIDE}') for value in values)})"
        for column, values in marks.items()
    ]
    if len(text) >= 3:
        last = len(text) - 3
        is_narrow = any(column != _c.status.name or Status.ENDED_SUCCESS not in marks[column] for column in marks)
        parts = _PARTS_BESIDE_MARKS if is_narrow else _PARTS
        step = max(1, -(-last // (parts - 1)))
        places = dict.fromkeys((*range(0, last, step), last))
        return " AND ".join((*marked, *(_quoted(text[place : place + 3]) for place in places)))
    if not text or (_PART_OF_ID.fullmatch(text) and text != "--"):
        return None  # nearly every id contains it
    pattern = "".join(f"/{letter}" if letter in "/%_" else letter for letter in text)
    grams = grams_with(f"%{pattern}%")
    if len(grams) > MAX_GRAMS:
        return None
    one_of_them = " OR ".join(map(_quoted, grams)) or _quoted(_BESIDE * 3)  # no gram: match nothing
    return " AND ".join((*marked, f"({one_of_them})"))


def _quoted(gram: str) -> str:
    return '"' + gram.replace('"', '""') + '"'
