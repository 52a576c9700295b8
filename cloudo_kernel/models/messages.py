"""The record of a message, and the request to create one."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime


class MessageState(StrEnum):
    """Whether a message asks for an answer, and the state of that request."""

    #: It tells something, and asks nothing.
    INFO = "INFO"
    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    #: Nobody waits for the answer any more.
    WITHDRAWN = "WITHDRAWN"


class MessageLevel(StrEnum):
    """The importance of a message. It determines how long the message is kept."""

    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Message(Record):
    """A text or a question for people. With a form it is an input request."""

    #: UUIDv7: sorts by the time of creation.
    id: str
    subject: str
    #: The form, None for a message that only tells something; a single record has rendered descriptions, too.
    body: JsonObject | None = None
    level: MessageLevel = MessageLevel.INFO
    #: The execution that made it.
    execution_id: str | None = None
    created_at: UtcTime
    #: When the request ends without an answer; None for never.
    expires_at: UtcTime | None = None
    #: By the keys of the form; what is protected shows as `•••`, but to the flow.
    response: JsonObject | None = None
    answered_by: str | None = None
    answered_at: UtcTime | None = None
    state: MessageState

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.state is MessageState.OPEN


class CreateMessage(Request):
    """A request to create a message."""

    subject: str = Field(min_length=1, max_length=500)
    #: A form, see `forms`; `message` and `request` are short for simple ones.
    body: JsonObject | None = None
    #: A text with OK, or above the question of `request`.
    message: str | None = Field(default=None, min_length=1)
    #: One question, answered with text.
    request: str | None = Field(default=None, min_length=1)
    level: MessageLevel = MessageLevel.INFO
    #: How long it waits for an answer, 0 for ever; default: the setting `client.input.timeout.minutes`.
    timeout_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
