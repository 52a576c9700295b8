"""Checks the arguments of flow authors, and converts values and errors to JSON, periods and moments to seconds."""

from __future__ import annotations

import builtins
import json
import math
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from importlib import import_module
from pathlib import PurePath
from typing import Any

from cloudo_kernel.errors import CloudoError, MalformedRequest, StepFailed, from_code
from cloudo_kernel.models import JsonObject

#: Python refuses to print integers of more than 4,300 digits; 14,000 bits are 4,215.
_MAX_BITS = 14_000
#: Maximum depth of nesting. A deeper value most likely contains itself, and no JSON reader could accept it.
_MAX_DEPTH = 100
#: The types of pandas' missing values, besides NaN.
_MISSING = {"NaTType", "NAType"}
#: The end of the year 9999, the limit of `datetime`.
_LAST = 253_402_300_799.0
#: A century: in effect no limit, and short enough for `datetime`.
_MAX_SECONDS = 100 * 365 * 86_400.0


def check_text(value: Any, what: str) -> str:
    """Return `value` unchanged. Raises `MalformedRequest` if it is not text."""
    if not isinstance(value, str):
        raise MalformedRequest(f"{what} is text, not {value!r}.", field=what.rpartition(" ")[2])
    return value


def check_fields(fields: Collection[str], known: Collection[str], noun: str) -> None:
    """Raise `MalformedRequest` unless there is a field, and all fields are known. `noun` begins the error."""
    if not fields:
        raise MalformedRequest("Name a field, such as get('name').", field="fields")
    for field in fields:
        if field not in known:
            raise MalformedRequest(f"{noun} has no field {field!r}; it has {', '.join(known)}.", field=field)


def pick(fields: tuple[str, ...], known: Collection[str], noun: str, read: Callable[[str], Any]) -> Any:
    """Return `read(field)`, or a tuple of the results for several fields. Raises as `check_fields` does."""
    check_fields(fields, known, noun)
    values = tuple(read(field) for field in fields)
    return values[0] if len(fields) == 1 else values


def appended(before: Any, value: Any) -> Any:
    """Append to a list or a text. The first value creates a list."""
    if before is None:
        return [value]
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    return [*(before if isinstance(before, list) else [before]), value]


def given_inputs(
    inputs: Mapping[str, Any] | None, input_value: Mapping[str, Any] | None, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the inputs of an execution as JSON. `input_value` is another name for `inputs`; `more` is added to them.

    Every call for flow authors that takes inputs uses this function. Raises `MalformedRequest`.
    """
    if inputs is not None and input_value is not None:
        raise MalformedRequest("inputs and input_value mean the same: give one of them.", field="input_value")
    name = "inputs" if input_value is None else "input_value"
    given = mapping(inputs if input_value is None else input_value, name)
    return {**to_json(given, name=name), **to_json(more or {}, name="inputs")}


def mapping(given: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """Return a dict unchanged, or an empty one for None. Raises `MalformedRequest` for anything else."""
    if given is not None and not isinstance(given, Mapping):
        raise MalformedRequest(f"{name} is a dict, not a {type(given).__name__}.", field=name)
    return given or {}


def to_json(value: Any, *, name: str, depth: int = 0) -> Any:  # noqa: PLR0911 -- one line per kind of value
    """Return `value` as JSON. `name` is its name in errors.

    Numpy's and pandas' scalars become plain numbers; NaN, infinities, NaT and NA become null; dates and times become
    ISO 8601 text; paths become text; tuples, sets and arrays become lists.
    Raises `MalformedRequest` with the place and the type of any other value.
    """
    if depth > _MAX_DEPTH:
        raise MalformedRequest(
            f"{name[:200]}… is nested more than {_MAX_DEPTH} levels deep; does it contain itself?", field=name[:200]
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
        return _object(value, name=name, depth=depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item, name=f"{name}[{number}]", depth=depth + 1) for number, item in enumerate(value)]
    if isinstance(value, date | time):  # also datetime and its subclass pandas.Timestamp
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if callable(getattr(value, "tolist", None)):  # numpy's scalars and arrays, pandas' series and indexes
        return to_json(value.tolist(), name=name, depth=depth + 1)
    raise MalformedRequest(
        f"{name} is a {type(value).__name__}, which is not JSON; convert it to numbers, text, lists or dicts.",
        field=name,
    )


def _object(value: Mapping[Any, Any], *, name: str, depth: int) -> JsonObject:
    """Return a mapping as a JSON object. Raises `MalformedRequest` if two keys are the same text, such as 1 and "1"."""
    found: JsonObject = {}
    for key, item in value.items():
        text = str(key)
        if text in found:
            raise MalformedRequest(
                f"{name} has two keys that are {text!r} in JSON, the second one is {key!r}; rename one of them.",
                field=name,
            )
        found[text] = to_json(item, name=f"{name}[{key!r}]", depth=depth + 1)
    return found


def encoded_body(body: Any) -> tuple[bytes, str]:
    """Return the HTTP body for text, bytes or JSON, and its default content type. Raises `MalformedRequest`."""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode(errors="replace"), "text/plain; charset=utf-8"
    return json.dumps(to_json(body, name="body"), ensure_ascii=False).encode(errors="replace"), "application/json"


def error_to_json(error: Exception) -> JsonObject:
    """Return an error as JSON: its type, its text, and its arguments, with text for those that are not JSON."""
    if isinstance(error, CloudoError):
        return error.payload
    kind = type(error)
    arguments = [_plain(argument) for argument in _arguments(error)]
    return {"module": kind.__module__, "name": kind.__qualname__, "text": str(error), "arguments": arguments}


def error_from_json(record: JsonObject) -> Exception:
    """Return an error like the one given to `error_to_json`, or `StepFailed` if its type cannot be found or created."""
    if "code" in record:
        return from_code(**record)
    kind, arguments = _kind(record["module"], record["name"]), record["arguments"]
    if kind is not None:
        with suppress(Exception):  # its constructor may take other arguments than `args`
            return kind(*arguments)
        with suppress(Exception):
            return kind.__new__(kind, *arguments)
    return StepFailed(record["name"], record["text"])


def _arguments(error: Exception) -> tuple[Any, ...]:
    """Return the arguments to recreate an error. Some have more than `args`, such as a file name."""
    with suppress(Exception):
        made: Any = error.__reduce__()
        if made[0] is type(error):
            return tuple(made[1])
    return error.args


def _kind(module: str, name: str) -> type[Exception] | None:
    found: Any = builtins
    with suppress(ImportError):
        found = sys.modules.get(module) or import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _plain(argument: Any) -> Any:
    try:
        return to_json(argument, name="argument")
    except MalformedRequest:
        return str(argument)


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
