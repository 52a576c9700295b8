"""Records as the page shows them: plain JSON, and no larger than a page can bear."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import ErrorDetail, Execution, Flow, JsonObject, LogLine

#: Longest texts that are sent, in characters.
NAME: Final = 300
LINE: Final = 2_000
TEXT: Final = 20_000
#: Most entries of inputs, outputs and tracebacks that are sent.
ENTRIES: Final = 200
#: JSON that is longer than this is broken into lines.
_ONE_LINE: Final = 60


def cut(text: str, longest: int = LINE) -> str:
    """Return `text`, or its beginning with an ellipsis."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def flow_row(flow: Flow) -> JsonObject:
    """Return what the list of flows shows of one; the schema comes with `flow_form` when it is played."""
    row = flow.model_dump(mode="json", include={"name", "path", "modified_at", "last_executions", "next_run"})
    return row | {
        "title": cut(flow.title, NAME),
        "description": cut(flow.description, NAME),
        "tags": [cut(tag, NAME) for tag in flow.tags],
        "broken": flow.broken and cut(flow.broken),
    }


def flow_form(flow: Flow) -> JsonObject:
    """Return what the form of its inputs needs."""
    return {
        "name": flow.name,
        "title": cut(flow.title, NAME),
        "description": cut(flow.description),
        "input_schema": flow.input_schema,
    }


def execution_row(execution: Execution) -> JsonObject:
    """Return what a list shows of an execution, and the head of its own view."""
    fields = {"id", "flow_name", "type", "status", "trigger", "user_name", "attempt", "parent_id", "schedule_id"}
    fields |= {"webhook_name"}
    times = {"created_at", "scheduled_for", "started_at", "ended_at"}
    row = execution.model_dump(mode="json", include={*fields, *times, "progress"})
    row["progress"]["cell"] = cut(execution.progress.cell or "", NAME)
    message = execution.message
    if message is None and execution.error is not None:
        message = f"{execution.error.name}: {execution.error.value}"
    return row | {"name": cut(execution.name, NAME), "message": message and cut(message, NAME)}


def execution_whole(execution: Execution, *, log_length: int) -> JsonObject:
    """Return all that the view of one execution shows, but for its log and its notebook."""
    return {
        "row": execution_row(execution),
        "inputs": value_rows(execution.input_value),
        "outputs": value_rows(execution.output_value),
        "error": execution.error and _error(execution.error),
        "notebook": execution.notebook,
        "parent_id": execution.parent_id,
        "retry_of": execution.retry_of,
        "log_length": log_length,
    }


def log_row(line: LogLine) -> JsonObject:
    """Return a line of the log."""
    return line.model_dump(mode="json", include={"time", "level"}) | {"text": cut(line.text)}


def trouble(error: Exception) -> JsonObject:
    """Return what the page says of an error; one that is not Cloudo's own is named by its type."""
    if isinstance(error, CloudoError):
        return error.payload | {"message": cut(str(error))}
    return {"code": "error", "message": cut(f"{type(error).__name__}: {error}"), "field": None}


def _error(error: ErrorDetail) -> JsonObject:
    traceback = error.traceback[-ENTRIES:]
    return {
        "name": cut(error.name, NAME),
        "value": cut(error.value, TEXT),
        "cell": error.cell,
        "traceback": [cut(line, TEXT // 10) for line in traceback],
    }


def value_rows(values: Mapping[str, Any]) -> list[JsonObject]:
    """Return inputs or outputs, each with its text."""
    shown = [_value(name, value) for name, value in list(values.items())[:ENTRIES]]
    if len(values) > ENTRIES:
        more = f"and {len(values) - ENTRIES} more"
        shown.append({"name": "…", "text": more, "size": len(more), "is_cut": False})
    return shown


def _value(name: str, value: Any) -> JsonObject:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) and len(text) > _ONE_LINE:
        text = json.dumps(value, ensure_ascii=False, indent=2)
    return {
        "name": cut(name, NAME),
        "text": cut(text, TEXT),
        "size": len(text.encode("utf-8", "replace")),
        "is_cut": len(text) > TEXT,
    }
