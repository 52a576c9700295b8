"""Turns a flow author's values into JSON: what it cannot turn, it names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, time
from pathlib import PurePath
from typing import Any

from cloudo_kernel.errors import MalformedRequest

#: Python refuses to print integers of more than 4,300 digits; 14,000 bits are 4,215.
_MAX_BITS = 14_000
#: What is nested deeper is most likely a list that holds itself, and nothing that reads JSON could take it.
_DEEPEST = 100
#: pandas' two kinds of nothing, besides NaN.
_MISSING = {"NaTType", "NAType"}


def appended(before: Any, value: Any) -> Any:
    """Append to a list or a text; the first value makes the list."""
    if before is None:
        return [value]
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    return [*(before if isinstance(before, list) else [before]), value]


def given_inputs(
    inputs: Mapping[str, Any] | None, input_value: Mapping[str, Any] | None, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the inputs of a start as JSON. `input_value` means the same as `inputs`; `more` is added to them.

    Every call of flow authors that takes inputs uses this function. Raises `MalformedRequest`.
    """
    if inputs is not None and input_value is not None:
        raise MalformedRequest("inputs and input_value mean the same: give one of them.", field="input_value")
    name = "inputs" if input_value is None else "input_value"
    given = mapping(inputs if input_value is None else input_value, name)
    return {**to_json(given, name=name), **to_json(more or {}, name="inputs")}


def mapping(given: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """Return a dict as it is given, an empty one for None. Raises `MalformedRequest` for anything else."""
    if given is not None and not isinstance(given, Mapping):
        raise MalformedRequest(f"{name} is a dict, not a {type(given).__name__}.", field=name)
    return given or {}


def to_json(value: Any, *, name: str, depth: int = 0) -> Any:  # noqa: PLR0911 -- one line per kind of value
    """Return `value` as JSON knows it. `name` is for the error.

    Numpy's and pandas' scalars become plain numbers, NaN, infinities, NaT and NA null, dates and times ISO 8601 text,
    paths text, tuples, sets and arrays lists. Raises `MalformedRequest` with the place and the type of anything else.
    """
    if depth > _DEEPEST:
        raise MalformedRequest(
            f"{name[:200]}… is nested more than {_DEEPEST} deep; does it hold itself?", field=name[:200]
        )
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise MalformedRequest(f"{name} is a number of more than 4,000 digits; write it as text.", field=name)
    if value is None or type(value).__name__ in _MISSING:
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json(item, name=f"{name}[{key!r}]", depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item, name=f"{name}[{number}]", depth=depth + 1) for number, item in enumerate(value)]
    if isinstance(value, date | time):  # also datetime, and pandas.Timestamp, which is one
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if callable(getattr(value, "tolist", None)):  # numpy's scalars and arrays, pandas' series and indexes
        return to_json(value.tolist(), name=name, depth=depth + 1)
    raise MalformedRequest(
        f"{name} is a {type(value).__name__}, which is no JSON; convert it to numbers, text, lists or dicts.",
        field=name,
    )


def encoded_body(body: Any) -> tuple[bytes, str]:
    """Return what goes over HTTP for text, bytes or JSON, and its usual content type. Raises `MalformedRequest`."""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode(errors="replace"), "text/plain; charset=utf-8"
    return json.dumps(to_json(body, name="body"), ensure_ascii=False).encode(errors="replace"), "application/json"
