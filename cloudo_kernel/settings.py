"""The settings that Cloudo itself reads: their defaults and valid values.

`user.<name>.…` overrides `client.…` for that user, except for settings of the whole store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudo_kernel.errors import MalformedRequest, SettingInvalid

_SHARED = "client."
_PERSONAL = "user."
#: A hundred years. More, added to a date, would leave the calendar.
_MAX_MINUTES = 52_560_000
_MAX_EXECUTIONS = 1_000_000
_MAX_FILTERS = 50
_MAX_FILTER_NAME = 100
_MAX_FILTER = 2_000
#: Maximum number of characters of a moment.
_MAX_MOMENT = 40


@dataclass(frozen=True)
class DocumentedSetting:
    """A setting that Cloudo reads."""

    default: Any
    #: The valid values in words, for the error message.
    fits: str
    accepts: Callable[[Any], bool]
    #: The kind of its values other than null; see `canonical`.
    kind: str = ""
    #: Whether a user can have a value of their own.
    is_personal: bool = True


def _is_zone(value: Any) -> bool:
    from cloudo_kernel.scheduling.zones import zone  # imported late: `cloudo --help` needs no zones

    try:
        return value is None or (isinstance(value, str) and bool(zone(value)))
    except MalformedRequest:
        return False


def _minutes(default: int) -> DocumentedSetting:
    return DocumentedSetting(
        default,
        f"a number of minutes from 0 to {_MAX_MINUTES:,}",
        lambda value: value is not None and 0 <= value <= _MAX_MINUTES,
        kind="number",
    )


def _whole(default: int) -> DocumentedSetting:
    """Return a setting for a number of executions in the whole store."""
    return DocumentedSetting(
        default,
        f"a whole number from 1 to {_MAX_EXECUTIONS:,}",
        lambda value: value is not None and 1 <= value <= _MAX_EXECUTIONS,
        kind="integer",
        is_personal=False,
    )


def _is_line(value: Any) -> bool:
    """Tell whether it is text that fits into a header."""
    return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()


def _is_address(value: Any) -> bool:
    return _is_line(value) and "@" in value


def _is_filters(value: Any) -> bool:
    """Tell whether it is up to 50 queries by name."""
    return (
        isinstance(value, dict)
        and len(value) <= _MAX_FILTERS
        and all(0 < len(name) <= _MAX_FILTER_NAME for name in value)
        and all(isinstance(query, str) and len(query) <= _MAX_FILTER for query in value.values())
    )


def _is_visit(value: Any) -> bool:
    """Tell whether it is null, or the moments of a visit."""
    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"seen", "before"}
        and all(isinstance(moment, str) and len(moment) <= _MAX_MOMENT for moment in value.values())
    )


def _line(fits: str) -> DocumentedSetting:
    return DocumentedSetting(None, f"{fits}, or null", lambda value: value is None or _is_line(value))


DOCUMENTED: dict[str, DocumentedSetting] = {
    "client.execution.retention_time.minutes": _minutes(10080),
    "client.execution.max_running": DocumentedSetting(
        max(4, os.cpu_count() or 1),
        "a whole number from 1 to 100,000",
        lambda value: value is not None and 1 <= value <= 100_000,
        kind="integer",
        is_personal=False,
    ),
    "client.message.success.retention_time.minutes": _minutes(720),
    "client.message.info.retention_time.minutes": _minutes(720),
    "client.message.warning.retention_time.minutes": _minutes(1440),
    "client.message.error.retention_time.minutes": _minutes(10080),
    "client.input.timeout.minutes": DocumentedSetting(
        10,
        f"a number of minutes up to {_MAX_MINUTES:,}; 0 or less for no limit",
        lambda value: value is not None and -_MAX_MINUTES <= value <= _MAX_MINUTES,
        kind="number",
    ),
    "client.timezone": DocumentedSetting(
        None, "the IANA name of a time zone, such as Europe/Vienna, or null for the server's", _is_zone
    ),
    "client.execution.max_depth": DocumentedSetting(
        50,
        "a whole number, 0 or more",
        lambda value: value is not None and value >= 0,
        kind="integer",
    ),
    "client.flow.library.fallback": DocumentedSetting(
        True, "true or false", lambda value: value is not None, kind="boolean"
    ),
    "client.execution.max_unended_per_root": _whole(10_000),
    "client.webhook.max_unended": _whole(100),
    "client.queue.paused": DocumentedSetting(
        False, "true or false", lambda value: value is not None, kind="boolean", is_personal=False
    ),
    "client.dashboard.filters": DocumentedSetting(
        {}, f"an object with up to {_MAX_FILTERS} queries of the list of executions by name", _is_filters
    ),
    "client.dashboard.last_visit": DocumentedSetting(
        None, "an object with the moments seen and before, or null", _is_visit
    ),
    # For the library's flow `Notify by email`, without its secret `client.smtp.password`: anyone may read these.
    "client.smtp.host": _line("the name of a mail server, such as mail.example.com"),
    "client.smtp.port": DocumentedSetting(
        None,
        "a port from 1 to 65535, or null for the usual one",
        lambda value: value is None or 0 < value < 65536,
        kind="integer",
    ),
    "client.smtp.security": DocumentedSetting(
        "starttls", "starttls, tls or none", lambda value: value in ("starttls", "tls", "none")
    ),
    "client.smtp.user": _line("the name with which to log in at the mail server"),
    "client.smtp.from": _line("the e-mail address of the sender"),
    "client.smtp.to": DocumentedSetting(
        None,
        "an e-mail address, a list of them, or null",
        lambda value: value is None or all(map(_is_address, value if isinstance(value, list) else [value])),
    ),
}

_RETENTION_MEANING = "Minutes for which a message of this level is kept after its answer, expiry or creation."
#: What each setting is for.
MEANINGS: dict[str, str] = {
    "client.execution.retention_time.minutes": "Minutes for which an ended execution is kept. A flow's own value wins.",
    "client.execution.max_running": "Maximum number of executions that run at once in the whole store.",
    "client.message.success.retention_time.minutes": _RETENTION_MEANING,
    "client.message.info.retention_time.minutes": _RETENTION_MEANING,
    "client.message.warning.retention_time.minutes": _RETENTION_MEANING,
    "client.message.error.retention_time.minutes": _RETENTION_MEANING,
    "client.input.timeout.minutes": "Minutes for which an input request waits for an answer; 0 or less for no limit.",
    "client.timezone": "Time zone of schedules that name none; null for the server's.",
    "client.execution.max_depth": "Maximum number of ancestors of an execution.",
    "client.flow.library.fallback": "Whether the flows of the library are offered.",
    "client.execution.max_unended_per_root": "Maximum number of unended executions below one root execution.",
    "client.webhook.max_unended": "Maximum number of unended executions of one webhook; further calls get 429.",
    "client.queue.paused": "Whether the queue is paused: nothing starts, and running executions go on.",
    "client.dashboard.filters": "Saved filters of the list of executions; each user can have their own.",
    "client.dashboard.last_visit": "When a user last saw the home page, and when the visit before ended.",
    "client.smtp.host": "Mail server of the flow Notify by email.",
    "client.smtp.port": "Its port; null for the usual one.",
    "client.smtp.security": "How the connection to the mail server is encrypted.",
    "client.smtp.user": "User name at the mail server.",
    "client.smtp.from": "E-mail address of the sender.",
    "client.smtp.to": "Recipients if a start names none: an address, or a list.",
}

_TEXT: dict[str, Any] = {"type": ["string", "null"], "minLength": 1, "maxLength": 1000}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}
_EXECUTIONS: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": _MAX_EXECUTIONS}
_MINUTES: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": _MAX_MINUTES}
_ADDRESS: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": "@"}
#: JSON Schemas of the values. Those of the others are `_MINUTES`. A zone has to be known to the server, too.
_SCHEMAS: dict[str, dict[str, Any]] = {
    "client.execution.max_running": {"type": "integer", "minimum": 1, "maximum": 100_000},
    "client.input.timeout.minutes": {"type": "number", "minimum": -_MAX_MINUTES, "maximum": _MAX_MINUTES},
    "client.timezone": {"type": ["string", "null"]},
    "client.execution.max_depth": {"type": "integer", "minimum": 0},
    "client.flow.library.fallback": _BOOLEAN,
    "client.execution.max_unended_per_root": _EXECUTIONS,
    "client.webhook.max_unended": _EXECUTIONS,
    "client.queue.paused": _BOOLEAN,
    "client.dashboard.filters": {
        "type": "object",
        "maxProperties": _MAX_FILTERS,
        "propertyNames": {"minLength": 1, "maxLength": _MAX_FILTER_NAME},
        "additionalProperties": {"type": "string", "maxLength": _MAX_FILTER},
    },
    "client.dashboard.last_visit": {
        "type": ["object", "null"],
        "properties": {name: {"type": "string", "maxLength": _MAX_MOMENT} for name in ("seen", "before")},
        "required": ["seen", "before"],
        "additionalProperties": False,
    },
    "client.smtp.host": _TEXT,
    "client.smtp.port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65_535},
    "client.smtp.security": {"enum": ["starttls", "tls", "none"]},
    "client.smtp.user": _TEXT,
    "client.smtp.from": _TEXT,
    "client.smtp.to": {"anyOf": [{"type": "null"}, _ADDRESS, {"type": "array", "items": _ADDRESS}]},
}

QUEUE_PAUSED = "client.queue.paused"
MAX_RUNNING = "client.execution.max_running"
MAX_DEPTH = "client.execution.max_depth"
MAX_UNENDED_PER_ROOT = "client.execution.max_unended_per_root"
MAX_UNENDED_PER_WEBHOOK = "client.webhook.max_unended"
RETENTION = "client.execution.retention_time.minutes"
LIBRARY_FALLBACK = "client.flow.library.fallback"
TIMEZONE = "client.timezone"
INPUT_TIMEOUT = "client.input.timeout.minutes"
#: Formatted with the message's level.
MESSAGE_RETENTION = "client.message.{}.retention_time.minutes"

#: Default seconds for which a waiting durable execution keeps its processes.
LINGER_SECONDS = 60.0
#: Delays in seconds between delivery attempts: the schedule of Standard Webhooks, 76 hours in all.
NOTIFICATION_DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
NOTIFICATION_TIMEOUT_SECONDS = 15.0


def checked(name: str, value: Any, *, secret: bool = False) -> Any:
    """Return `value` in canonical form. A setting that Cloudo does not read accepts any value.

    Raises `SettingInvalid` for an invalid value.
    """
    shared = _shared_name(name)
    documented = DOCUMENTED.get(shared)
    if documented is None:
        return value
    if secret:
        raise SettingInvalid(name, "no secret: Cloudo reads it, and anyone may know it")
    if shared != name and not documented.is_personal:
        raise SettingInvalid(name, f"no value: {shared!r} applies to the whole store, and is the same for every user")
    try:
        from cloudo_kernel.models.canonical import canonical  # `cloudo --help` imports this module, and no models

        found = None if value is None else canonical(documented.kind, value)
    except ValueError:
        raise SettingInvalid(name, documented.fits) from None
    if not documented.accepts(found):
        raise SettingInvalid(name, documented.fits)
    return found


def fits(name: str, value: Any) -> bool:
    """Tell whether `checked` accepts a value."""
    try:
        checked(name, value)
    except SettingInvalid:
        return False
    return True


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the values of a documented setting."""
    return _SCHEMAS.get(name, _MINUTES)


def personal_pattern(name: str) -> str | None:
    """Return the name of a user's own value of a documented setting, with `*` for the user; None if there is none."""
    return f"{_PERSONAL}*.{name.removeprefix(_SHARED)}" if DOCUMENTED[name].is_personal else None


def default(name: str) -> Any:
    """Return the documented default, None for a setting that Cloudo does not read."""
    documented = DOCUMENTED.get(name)
    return None if documented is None else documented.default


def names_for(name: str, user_name: str | None) -> tuple[str, ...]:
    """Return the names to look up for a setting of a user. The first that exists wins."""
    documented = DOCUMENTED.get(name)
    if user_name is None or documented is None or not documented.is_personal:
        return (name,)
    return (f"{_PERSONAL}{user_name}.{name.removeprefix(_SHARED)}", name)


def overridden(name: str) -> str | None:
    """Return the documented setting that this one overrides for its user; None if there is none."""
    shared = _shared_name(name)
    return shared if shared != name and DOCUMENTED[shared].is_personal else None


def _shared_name(name: str) -> str:
    """Return the documented setting that this one overrides, else the name itself.

    The ending decides, because a user name may contain dots: `user.ada@example.com.input.timeout.minutes`.
    """
    if name.startswith(_PERSONAL):
        for shared in DOCUMENTED:
            ending = f".{shared.removeprefix(_SHARED)}"
            if name.endswith(ending) and len(name) > len(_PERSONAL) + len(ending):
                return shared
    return name
