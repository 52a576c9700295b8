"""The record of a message, and the request for one."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime


class MessageState(StrEnum):
    """Whether a message wants an answer, and what became of that."""

    #: It tells something, and asks nothing.
    INFO = "INFO"
    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    #: Nobody waits for the answer any more.
    WITHDRAWN = "WITHDRAWN"


class MessageLevel(StrEnum):
    """How important a message is; it decides how long the message is kept."""

    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Message(Record):
    """Something that a flow tells or asks a person; with a form it is an input request."""

    id: str = Field(description="UUIDv7: sorts by the time of creation.")
    subject: str
    body: JsonObject | None = Field(
        default=None,
        description="The form, None for a message that only tells something; a single record has rendered "
        "descriptions, too.",
    )
    level: MessageLevel = MessageLevel.INFO
    execution_id: str | None = Field(default=None, description="The execution that made it.")
    created_at: UtcTime
    expires_at: UtcTime | None = Field(
        default=None, description="When the request ends without an answer; None for never."
    )
    response: JsonObject | None = Field(
        default=None, description="By the keys of the form; what is protected shows as `•••`, but to the flow."
    )
    answered_by: str | None = None
    answered_at: UtcTime | None = None
    state: MessageState

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.state is MessageState.OPEN


class CreateMessage(Request):
    """A request to make a message."""

    subject: str = Field(min_length=1, max_length=500)
    body: JsonObject | None = Field(
        default=None, description="A form, see `forms`; `message` and `request` are short for simple ones."
    )
    message: str | None = Field(
        default=None, min_length=1, description="A text with OK, or above the question of `request`."
    )
    request: str | None = Field(default=None, min_length=1, description="One question, answered with text.")
    level: MessageLevel = MessageLevel.INFO
    timeout_seconds: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="How long it waits for an answer, 0 for ever; default: the setting `client.input.timeout.minutes`.",
    )
