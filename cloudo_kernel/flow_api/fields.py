"""Reads one or several fields of a record for flow authors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudo_kernel.errors import MalformedRequest


def text(value: Any, what: str) -> str:
    """Return `value` unchanged. Raises `MalformedRequest` if it is not text."""
    if not isinstance(value, str):
        raise MalformedRequest(f"{what} is text, not {value!r}.", field=what.rpartition(" ")[2])
    return value


def picked(fields: tuple[str, ...], read: Callable[[str], Any]) -> Any:
    """Return `read(field)`, or a tuple of the results for several fields. Raises `MalformedRequest` without fields."""
    if not fields:
        raise MalformedRequest("Name a field, such as get('name').", field="fields")
    values = tuple(read(field) for field in fields)
    return values[0] if len(fields) == 1 else values
