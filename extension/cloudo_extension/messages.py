"""REST for messages: list, look at, answer, make, delete."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from cloudo_extension.base import API, Handler
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import CreateMessage, JsonObject, MessageState

_TRUTHS = {"1": True, "true": True, "0": False, "false": False, None: False}


class Answer(BaseModel):
    """The body of `POST /message/<id>/response`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    response: JsonObject


class States(BaseModel):
    """The states of `GET /message?state=`."""

    model_config = ConfigDict(frozen=True)

    state: tuple[MessageState, ...] = ()


class Messages(Handler):
    """`/message`."""

    query_of: ClassVar = {"GET": frozenset({"unanswered", "state", "execution_id", "limit", "cursor"})}

    async def get(self) -> None:
        """List messages, newest first."""
        unanswered = _TRUTHS.get(word := self.query("unanswered"))
        if unanswered is None:
            raise MalformedRequest(f"unanswered takes 1 or 0, not {str(word)[:50]!r}.", field="unanswered")
        words = [word for text in self.query_all("state") for word in text.split(",") if word]
        states = self.parse(States, {"state": words}).state
        wanted = {"unanswered": unanswered, "states": states, "execution_id": self.query("execution_id")}
        await self.answer(self.api.messages, **wanted, **self.page_of())

    async def post(self) -> None:
        """Make a message that belongs to no execution."""
        made = await self.engine.call(self.api.create_message, self.parse(CreateMessage, self.body()))
        self.set_header("Location", self.at("message", made.id))
        self.set_status(201)
        await self.answer(lambda: made)


class OneMessage(Handler):
    """`/message/<id>`."""

    async def get(self, message_id: str) -> None:
        """Return one message with its form."""
        await self.answer(self.api.message, message_id)

    async def delete(self, message_id: str) -> None:
        """Delete the message."""
        await self.engine.call(self.api.delete_message, message_id)
        await self.finish_empty()


class Response(Handler):
    """`/message/<id>/response`."""

    async def post(self, message_id: str) -> None:
        """Answer the input request."""
        await self.answer(self.api.answer_message, message_id, self.parse(Answer, self.body()).response)


routes = [
    (rf"{API}/message", Messages),
    (rf"{API}/message/([^/]+)", OneMessage),
    (rf"{API}/message/([^/]+)/response", Response),
]
