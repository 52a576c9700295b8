"""Converts errors of steps to JSON for the journal and back, so that a replay raises the same error."""

from __future__ import annotations

import builtins
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from cloudo_kernel.errors import CloudoError, MalformedRequest, StepFailed, from_code
from cloudo_kernel.flow_api.values import to_json
from cloudo_kernel.models import JsonObject


def record_of(error: Exception) -> JsonObject:
    """Return an error as JSON: its type, its text, and its arguments, with text for those that are not JSON."""
    if isinstance(error, CloudoError):
        return error.payload
    kind = type(error)
    arguments = [_plain(argument) for argument in _arguments(error)]
    return {"module": kind.__module__, "name": kind.__qualname__, "text": str(error), "arguments": arguments}


def rebuilt(record: JsonObject) -> Exception:
    """Return an error like the one given to `record_of`, or a `StepFailed` if its type cannot be found or created."""
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
