"""The verbs about messages and their answers, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from cloudo_kernel.client.base import Deadline, json_body, part
from cloudo_kernel.client.events import EventVerbs
from cloudo_kernel.errors import FormInvalid, InputsInvalid, ResponseInvalid
from cloudo_kernel.models import CreateMessage, JsonObject, Message, MessageState, Page
from cloudo_kernel.models.event_types import MESSAGE_ANSWERED, MESSAGE_DELETED, MESSAGE_EXPIRED, MESSAGE_WITHDRAWN

_ENDS = (MESSAGE_ANSWERED, MESSAGE_EXPIRED, MESSAGE_WITHDRAWN, MESSAGE_DELETED)
#: Poll interval after a request's expiry: the server's clock decides, and this one may be ahead of it.
_AGAIN_SECONDS = 1.0


class MessageVerbs(EventVerbs):
    """Create, read, list, answer, await and delete messages."""

    def create_message(self, request: CreateMessage) -> Message:
        """See `Api.create_message`."""
        try:
            body = json_body(request.model_dump(mode="json", exclude_unset=True))
        except (InputsInvalid, ValueError) as error:
            raise FormInvalid("body", "is no JSON") from error
        return self._record(Message, self._send("POST", "message", **body))

    def messages(
        self,
        *,
        unanswered: bool = False,
        states: Sequence[MessageState] = (),
        execution_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Message]:
        """See `Api.messages`."""
        wanted = {
            "unanswered": "1" if unanswered else None,
            "state": ",".join(states) or None,
            "execution_id": execution_id,
        }
        return self._get(Page[Message], "message", **wanted, limit=limit, cursor=cursor)

    def message(self, message_id: str) -> Message:
        """See `Api.message`."""
        return self._get(Message, _path(message_id))

    def answer_message(self, message_id: str, response: JsonObject) -> Message:
        """See `Api.answer_message`."""
        try:
            body = json_body({"response": response})
        except InputsInvalid as error:
            raise ResponseInvalid(None, "is no JSON") from error
        return self._record(Message, self._send("POST", _path(message_id, "response"), **body))

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """See `Api.wait_message`. A restart of the server does not end the wait."""
        deadline = Deadline.of(timeout)
        read = partial(self.message, message_id)
        message = self._outlasting(read, deadline)
        while message.is_open and not deadline.is_over:
            left = deadline.left
            if message.expires_at is not None:
                left = min(left, max(_AGAIN_SECONDS, (message.expires_at - datetime.now(UTC)) / timedelta(seconds=1)))
            message = self._until(
                message_id, read, lambda message: not message.is_open, deadline=Deadline(left), ends=_ENDS
            )
        return message

    def delete_message(self, message_id: str) -> None:
        """See `Api.delete_message`."""
        self._send("DELETE", _path(message_id))


def _path(message_id: str, *parts: str) -> str:
    return "/".join(("message", part(message_id), *parts))
