"""What the page may ask about messages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.dashboard import message_rows
from cloudo_kernel.dashboard.attempts import tried
from cloudo_kernel.dashboard.rows import NAME, cut
from cloudo_kernel.errors import ExecutionNotFound, PermissionDenied
from cloudo_kernel.models import JsonObject, MessageState

#: The verbs; see `calls.VERBS`.
VERBS: Final = frozenset({"messages", "message_list", "askers", "message", "answer_message", "delete_messages"})
#: So many messages of one execution stand in its view.
_OF_ONE: Final = 50


class MessageCalls:
    """Answers the page about messages with what `api` says."""

    _api: Api

    def messages(self) -> JsonObject:
        """Return the newest messages that wait for an answer, and whether there are more."""
        page = self._api.messages(unanswered=True, limit=PAGE_LIMIT)
        return {"rows": [message_rows.message_row(one) for one in page.items], "is_all": page.next is None}

    def message_list(self, *, states: Sequence[str] = (), limit: int = 50, cursor: str | None = None) -> JsonObject:
        """Return a page of messages in these states, newest first; `askers` has who made them."""
        wanted = tuple(map(MessageState, states))
        page = self._api.messages(states=wanted, limit=min(limit, PAGE_LIMIT), cursor=cursor)
        return {"rows": [message_rows.message_row(one) for one in page.items], "next": page.next}

    def messages_of(self, execution_id: str) -> list[JsonObject]:
        """Return the messages that an execution made, newest first."""
        page = self._api.messages(execution_id=execution_id, limit=_OF_ONE)
        return [message_rows.message_row(one) for one in page.items]

    def askers(self, *, ids: Sequence[str]) -> JsonObject:
        """Return the names of these executions by id, as far as they are still kept."""
        names = {one: self._name(one) for one in dict.fromkeys(ids)}
        return {one: name for one, name in names.items() if name is not None}

    def message(self, *, message_id: str) -> JsonObject:
        """Return a message in full: its form, its answer, and the name of the execution that made it."""
        message = self._api.message(message_id)
        name = None if message.execution_id is None else self._name(message.execution_id)
        return message_rows.message_whole(message, asked_by=name)

    def answer_message(self, *, message_id: str, response: JsonObject) -> JsonObject:
        """Answer a message, and return its row."""
        return message_rows.message_row(self._api.answer_message(message_id, response))

    def delete_messages(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Delete messages, open or not; each gives null or its error."""
        return [tried(self._api.delete_message, one) for one in ids]

    def _name(self, execution_id: str) -> str | None:
        with suppress(ExecutionNotFound, PermissionDenied):
            return cut(self._api.execution(execution_id).name, NAME)
        return None
