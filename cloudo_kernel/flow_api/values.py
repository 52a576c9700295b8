"""Turns a flow author's values into JSON: what it cannot turn, it names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time
from pathlib import PurePath
from typing import Any

from cloudo_kernel.errors import MalformedRequest


def to_json(value: Any, *, name: str) -> Any:  # noqa: PLR0911 -- one line per kind of value
    """Return `value` as JSON knows it. `name` is for the error.

    Numpy's and pandas' scalars become plain numbers, NaN and infinities null, dates and times ISO 8601 text, paths
    text, tuples, sets and arrays lists. Raises `MalformedRequest` with the place and the type of anything else.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json(item, name=f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item, name=f"{name}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, date | time):  # also datetime, and pandas.Timestamp, which is one
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if callable(getattr(value, "tolist", None)):  # numpy's scalars and arrays, pandas' series and indexes
        return to_json(value.tolist(), name=name)
    raise MalformedRequest(
        f"{name} is a {type(value).__name__}, which is no JSON; convert it to numbers, text, lists or dicts.",
        field=name,
    )
