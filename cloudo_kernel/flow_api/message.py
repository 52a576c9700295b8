"""A message for flow authors: a cached record, and the wait for its answer."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import MessageClosed, MessageResponseTimeoutError
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.values import pick, to_limit, to_seconds
from cloudo_kernel.models import MessageState


class Message:
    """A text or question to people. `get` reads a local copy, `load` fetches it again, `wait` waits for the answer."""

    def __init__(self, api: AuthorApi, record: models.Message) -> None:
        self._api = api
        self._record = record

    @property
    def id(self) -> str:
        """The message's id. `system.message(id)` returns the message again."""
        return self._record.id

    @property
    def record(self) -> models.Message:
        """The whole record, as last fetched."""
        return self._record

    def get(self, *fields: str) -> Any:
        """Return a field of the local copy, such as `get("response")`, or a tuple of several."""
        return self._pick(fields)

    def load(self, *fields: str) -> Any:
        """Fetch the record and return a field, or a tuple of several."""
        self._record = self._api.message(self.id)
        return self._pick(fields)

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the answer, up to `timeout` seconds. A flow releases its slot meanwhile.

        Raises `MessageResponseTimeoutError` on a timeout or if the request expires, `MessageClosed` if it is withdrawn
        or has no form, `ResourceNotFoundError` if it is deleted.
        """
        limit = to_limit(timeout, field="timeout")
        if self._record.state is not MessageState.INFO:
            self._record = self._api.wait_message(self.id, timeout=limit)
        match self._record.state:
            case MessageState.ANSWERED:
                return self
            case MessageState.OPEN | MessageState.EXPIRED as state:
                is_own = limit is not None and state is MessageState.OPEN
                when = f"within {to_seconds(timeout):g} seconds" if is_own else "in time"
                raise MessageResponseTimeoutError(
                    f"input request expired: {self._record.subject!r} was not answered {when}."
                )
            case MessageState.WITHDRAWN:
                raise MessageClosed(self.id, "it was withdrawn when the execution that asked had ended")
        raise MessageClosed(self.id, "it asks for nothing, as it has no form")

    def _pick(self, fields: tuple[str, ...]) -> Any:
        return pick(fields, models.Message.model_fields, "A message", partial(getattr, self._record))

    def __repr__(self) -> str:
        return f"<Message {self._record.subject!r} {self._record.state} {self.id}>"

    def _repr_html_(self) -> str:
        record, pages = self._record, cards.pages_of(self._api)
        parts: list[str] = [cards.to_facts({"response": record.response})] if record.response is not None else []
        if pages is not None:
            parts.append(cards.link(f"{pages}cloudo/messages/{record.id}", "Message"))
        return cards.to_card(record.subject, record.state.value.lower(), parts)
