"""The settings that the system itself reads: their defaults and what fits them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudo_kernel.errors import SettingInvalid


@dataclass(frozen=True)
class DocumentedSetting:
    """A setting that the system reads."""

    default: Any
    #: In words, for the error message.
    fits: str
    accepts: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _minutes(default: int) -> DocumentedSetting:
    return DocumentedSetting(default, "a number of minutes, 0 or more", lambda value: _is_finite(value) and value >= 0)


DOCUMENTED: dict[str, DocumentedSetting] = {
    "client.execution.retention_time.minutes": _minutes(10080),
    "client.message.success.retention_time.minutes": _minutes(720),
    "client.message.info.retention_time.minutes": _minutes(720),
    "client.message.warning.retention_time.minutes": _minutes(1440),
    "client.message.error.retention_time.minutes": _minutes(10080),
    "client.input.timeout.minutes": DocumentedSetting(10, "a number of minutes, 0 or less for no limit", _is_finite),
    "client.execution.max_running": DocumentedSetting(
        max(4, os.cpu_count() or 1),
        "a whole number, 1 or more",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    ),
    "client.execution.max_depth": DocumentedSetting(
        50,
        "a whole number, 0 or more",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    ),
    "client.flow.library.fallback": DocumentedSetting(True, "true or false", lambda value: isinstance(value, bool)),
}

MAX_RUNNING = "client.execution.max_running"
MAX_DEPTH = "client.execution.max_depth"
RETENTION = "client.execution.retention_time.minutes"
LIBRARY_FALLBACK = "client.flow.library.fallback"
INPUT_TIMEOUT = "client.input.timeout.minutes"
#: By the message's level.
MESSAGE_RETENTION = "client.message.{}.retention_time.minutes"

#: So long a durable execution that waits keeps its processes, unless a worker is told otherwise.
LINGER_SECONDS = 60.0


def check(name: str, value: Any) -> None:
    """Raise `SettingInvalid` unless `value` fits; a setting that the system does not read takes anything."""
    documented = DOCUMENTED.get(name)
    if documented is not None and not documented.accepts(value):
        raise SettingInvalid(name, documented.fits)


def default(name: str) -> Any:
    """Return the documented default, None for a setting that the system does not read."""
    documented = DOCUMENTED.get(name)
    return None if documented is None else documented.default
