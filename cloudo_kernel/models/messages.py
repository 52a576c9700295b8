"""The record of a message, and the request to create one."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime
from cloudo_kernel.models.schedules import SchedulePreview


class MessageState(StrEnum):
    """The state of a message."""

    #: It takes no answer.
    INFO = "INFO"
    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    #: Its execution no longer waits for an answer.
    WITHDRAWN = "WITHDRAWN"


class MessageLevel(StrEnum):
    """The importance of a message. It determines how long the message is kept."""

    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Message(Record):
    """A message of a flow to a person. With a form, it is an input request."""

    id: str = Field(description="UUIDv7: sorts by the time of creation.")
    subject: str
    body: JsonObject | None = Field(
        default=None,
        description="The form; null for a message without one. A single record also has rendered descriptions.",
    )
    level: MessageLevel = MessageLevel.INFO
    execution_id: str | None = Field(default=None, description="Id of the execution that created the message.")
    execution_name: str | None = Field(default=None, description="Its name; null if it is no longer kept.")
    created_at: UtcTime
    expires_at: UtcTime | None = Field(default=None, description="Time at which the request expires; null for never.")
    response: JsonObject | None = Field(
        default=None, description="Answer by key of the form. Protected values appear as `•••`, except to the flow."
    )
    answered_by: str | None = None
    answered_at: UtcTime | None = None
    state: MessageState

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.state is MessageState.OPEN


class MessagePreview(Record):
    """The preview of the schedule that an answer would create."""

    preview: SchedulePreview | None = Field(description="Null if the form has no preview, or no time is answered yet.")


class CreateMessage(Request):
    """A request to create a message."""

    subject: str = Field(min_length=1, max_length=500)
    body: JsonObject | None = Field(
        default=None, description="The form. `message` and `request` are short for simple forms."
    )
    message: str | None = Field(
        default=None,
        min_length=1,
        description="A text to confirm with OK, or the text above the question in `request`.",
    )
    request: str | None = Field(default=None, min_length=1, description="A single question with a text answer.")
    level: MessageLevel = MessageLevel.INFO
    timeout_seconds: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Time to wait for an answer; 0 for no limit. Default: the setting `client.input.timeout.minutes`.",
    )
