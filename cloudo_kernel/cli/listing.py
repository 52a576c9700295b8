"""Lists records a page at a time, finds one by a part of its id, and prints them as a table or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudo_kernel.cli import display

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cloudo_kernel.errors import CloudoError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Listed = TypeVar("Listed", bound="BaseModel")

#: Fewer digits would match too many ids.
_MIN_DIGITS = 4


def limit_option(default: int, *, maximum: int | None = None) -> Callable[[Decorated], Decorated]:
    """Return the option -n for a command that lists records."""
    kind = click.IntRange(1, maximum)
    return click.option("-n", "--limit", type=kind, default=default, show_default=True, help="Maximum number to list.")


def newest(page_of: Callable[..., Any], limit: int = sys.maxsize) -> tuple[list[Any], bool]:
    """Return up to `limit` records, and whether these are all. `page_of` takes a `limit` and a `cursor`."""
    from cloudo_kernel.api import PAGE_LIMIT

    found: list[Any] = []
    cursor = None
    while len(found) < limit:
        page = page_of(limit=min(PAGE_LIMIT, limit - len(found)), cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    return found, cursor is None


def print_list(
    found: Sequence[Listed],
    heads: Sequence[str],
    row: Callable[[Listed], Sequence[str]],
    *,
    empty: str,
    as_json: bool,
    limit: int | None = None,
) -> None:
    """Print the records as JSON or as a table, or print `empty`. With a `limit`, say how to list more than that."""
    if as_json:
        display.print_json(found)
    elif found:
        click.echo(display.table(heads, [row(one) for one in found]))
        if limit is not None and sys.stdout.isatty():
            click.echo(f"There are more. List them with -n {2 * limit}.", err=True)
    else:
        click.echo(empty)


def find_id(text: str, listed: Callable[[], Iterable[tuple[str, str]]], missing: Callable[[str], CloudoError]) -> str:
    """Return the id for `text`, which is a whole id, or its unique beginning or end.

    `listed` returns all ids, each with a short description, and `missing` the error to raise if none matches.
    Raises that error, and `MalformedRequest` if `text` is too short or matches several ids.
    """
    from cloudo_kernel.errors import MalformedRequest

    wanted = text.lower()
    if len(wanted) == 36:
        return wanted
    if len(wanted) < _MIN_DIGITS:
        raise MalformedRequest(f"{text!r} is too short for an id. Give at least {_MIN_DIGITS} of its digits.")
    found = [(one, words) for one, words in listed() if one.startswith(wanted) or one.endswith(wanted)]
    if not found:
        raise missing(text)
    if len(found) > 1:
        some = "\n".join(f"  {one}  {words}" for one, words in found[:5])
        raise MalformedRequest(f"{text!r} is part of {len(found)} ids. Give more of it:\n{some}")
    return found[0][0]
