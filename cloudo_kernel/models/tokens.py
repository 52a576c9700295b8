"""The record of an API token, and the request to create one."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from cloudo_kernel.models.base import Record, Request, UtcTime

#: Maximum lifetime of a token, so that its end is within the calendar.
_MAX_LIFETIME = timedelta(days=36_500)
_MAX_PATTERNS = 50
_STRANGE = re.compile(r"[\[\]\\\x00-\x1f\x7f\ud800-\udfff]")


class Action(StrEnum):
    """An action that a token can be limited to. `permissions` maps verbs to actions."""

    #: Look at flows, executions, schedules, messages, webhooks, events, settings and files.
    READ = "read"
    #: Start flows.
    EXECUTION_START = "execution:start"
    #: Cancel, pause, resume, retry and delete executions.
    EXECUTION_WRITE = "execution:write"
    #: Run source that is sent with the request.
    SCRIPT_RUN = "script:run"
    FLOW_WRITE = "flow:write"
    SCHEDULE_WRITE = "schedule:write"
    #: Make, answer and delete messages.
    MESSAGE_WRITE = "message:write"
    SETTING_WRITE = "setting:write"
    FILE_WRITE = "file:write"
    WEBHOOK_WRITE = "webhook:write"
    #: List, make and revoke tokens.
    TOKEN_WRITE = "token:write"  # noqa: S105 -- no password, though it is called a token
    EVERYTHING = "*"


def _pattern(text: str) -> str:
    if _STRANGE.search(text):
        raise ValueError(f"{text!r} is not a pattern: * matches any characters, ? matches one; [ ] \\ are not allowed")
    return unicodedata.normalize("NFC", text)


#: Of the names of flows: `etl/*`.
FlowPattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]


class Token(Record):
    """A key for programs. It gives access to Cloudo only, not to the rest of the server."""

    id: str
    name: str
    prefix: str = Field(description="First characters of the token, to recognise it.")
    actions: tuple[str, ...] = Field(description="Allowed actions. A newer server may know more of them.")
    flows: tuple[str, ...] | None = Field(
        default=None, description="Name patterns of the allowed flows; null for all flows."
    )
    user_name: str = Field(description="The user that the token acts as.")
    created_at: UtcTime
    expires_at: UtcTime | None = Field(default=None, description="Null for never.")
    last_used_at: UtcTime | None = Field(default=None, description="Accurate to the minute.")


class CreatedToken(Token):
    """A new token with its secret, which is returned only once."""

    secret: str = Field(repr=False, description="The token for the header `Authorization`. It is not stored.")


class CreateToken(Request):
    """A request to create a token."""

    name: str = Field(min_length=1, max_length=200)
    actions: tuple[Action, ...] = Field(min_length=1, max_length=len(Action))
    flows: tuple[FlowPattern, ...] | None = Field(default=None, min_length=1, max_length=_MAX_PATTERNS)
    expires_at: UtcTime | None = Field(
        default=None, description="Use one of the two, or neither for a token that does not expire."
    )
    expires_in_seconds: float | None = Field(default=None, gt=0, le=_MAX_LIFETIME.total_seconds(), allow_inf_nan=False)
