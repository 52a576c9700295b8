"""Reads fields of a record for flow authors: one of them, or several at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudo_kernel.errors import MalformedRequest


def text(value: Any, what: str) -> str:
    """Return a name as it is given. Raises `MalformedRequest` for what is no text."""
    if not isinstance(value, str):
        raise MalformedRequest(f"{what} is text, not {value!r}.", field=what.rpartition(" ")[2])
    return value


def picked(fields: tuple[str, ...], read: Callable[[str], Any]) -> Any:
    """Return what `read` returns for a field, or a tuple of that for several. Raises `MalformedRequest`."""
    if not fields:
        raise MalformedRequest("Name a field, such as get('name').", field="fields")
    values = tuple(read(field) for field in fields)
    return values[0] if len(fields) == 1 else values
