"""Writes the log of a process as JSON, one object a line, for programs that collect logs."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.scheduling.times import rfc3339
from cloudo_kernel.security.redaction import Redaction

#: Names the format for servers and workers that are told none.
VARIABLE: Final = "CLOUDO_LOG_FORMAT"
FORMATS: Final = ("text", "json")
#: What every record has; the rest was given with `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color", "end_color"}
#: The thread that attends a run is named after it.
_THREAD_OF_RUN: Final = re.compile(r"cloudo-run-([0-9a-f]{8}-[0-9a-f-]{27})")


def format_of_environment() -> str:
    """Return the format that the environment names, `text` by default. Raises `MalformedRequest`."""
    found = os.environ.get(VARIABLE) or FORMATS[0]
    if found not in FORMATS:
        raise MalformedRequest(f"{VARIABLE} is {found!r}, but must be one of: {', '.join(FORMATS)}.", field=VARIABLE)
    return found


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON. Secrets of this process are masked in all its texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Mask `secrets`, the token in the environment, and the password of the database."""
        super().__init__()
        self._redaction = Redaction([secret for secret in (*secrets, *_secrets_of_environment()) if secret])

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; logging calls it."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if run := _THREAD_OF_RUN.fullmatch(record.threadName or ""):
            fields.setdefault("execution_id", run[1])
        fields |= {"time": rfc3339(datetime.fromtimestamp(record.created, UTC)), "level": record.levelname}
        fields |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        masked = self._redaction.mask_value({name: _plain(value) for name, value in fields.items()})
        first = ("time", "level", "logger", "message")
        return json.dumps({**{name: masked[name] for name in first}, **masked})


def log_as_json(*loggers: logging.Logger, secrets: Iterable[str] = ()) -> None:
    """Have the handlers of these loggers, those of the root, and the one of last resort write JSON."""
    formatter = JsonFormatter(secrets)
    found = [handler for logger in (logging.getLogger(), *loggers) for handler in logger.handlers]
    for handler in (*found, logging.lastResort):
        if handler is not None:
            handler.setFormatter(formatter)


def _secrets_of_environment() -> list[str]:
    try:
        password = urlsplit(os.environ.get("CLOUDO_DATABASE_URL", "")).password or ""
    except ValueError:  # no URL: opening the store says so
        password = ""
    tokens = [os.environ.get(name, "") for name in ("CLOUDO_TOKEN", "JUPYTER_TOKEN", "PGPASSWORD")]
    return [*tokens, password, unquote(password)]


def _plain(value: Any) -> Any:
    """Return a value of `extra` as JSON, as text if it has no other form."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int) else str(value)
