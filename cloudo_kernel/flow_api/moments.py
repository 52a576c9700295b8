"""Converts flow authors' periods and moments to seconds."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from cloudo_kernel.errors import MalformedRequest

#: The end of the year 9999, the limit of `datetime`.
_LAST = 253_402_300_799.0
#: A century: in effect no limit, and short enough for `datetime`.
_MAX_SECONDS = 100 * 365 * 86_400.0


def to_seconds(value: Any, *, field: str = "seconds") -> float:
    """Return a number or numeric text as seconds. Raises `MalformedRequest`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedRequest(f"{field} takes a number of seconds, not {value!r}.", field=field) from None
    if not math.isfinite(seconds):
        raise MalformedRequest(f"{field} takes a finite number of seconds, not {value!r}.", field=field)
    return seconds


def to_limit(value: Any, *, field: str = "timeout_seconds") -> timedelta | None:
    """Return the limit of a wait, None for no limit. Raises `MalformedRequest`."""
    if value is None:
        return None
    return timedelta(seconds=min(max(0.0, to_seconds(value, field=field)), _MAX_SECONDS))


def to_epoch(when: Any, *, field: str = "when") -> float:
    """Return a moment in seconds since 1970.

    Numbers and numeric text are seconds since 1970 already. Other values are aware times, or ISO 8601 text with a zone.
    Raises `MalformedRequest`.
    """
    fits = "seconds since 1970, or a date and time with its zone, such as 2025-03-31T08:30:00+02:00"
    moment = when
    if isinstance(when, str):
        try:
            moment = float(when)
        except ValueError:
            try:
                moment = datetime.fromisoformat(when.strip())
            except ValueError:
                raise MalformedRequest(f"{field} takes {fits}, not {when!r}.", field=field) from None
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise MalformedRequest(f"{field} takes {fits}; {when!r} has no zone.", field=field)
        return moment.timestamp()
    seconds = to_seconds(moment, field=field)
    if seconds > _LAST:
        raise MalformedRequest(f"{field} is after the year 9999; it takes {fits}.", field=field)
    return seconds
