"""REST for messages: list, read, answer, create, delete."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.models import CreateMessage, JsonObject, Message, MessagePreview, MessageState, Page, Request


class MessageQuery(Query):
    """Filters of the list of messages."""

    unanswered: bool = Field(default=False, description="Only messages that wait for an answer.")
    state: tuple[MessageState, ...] = Field(default=(), description="Only messages in one of these states.")
    execution_id: str | None = Field(default=None, description="Only messages of one execution.")


class Answer(Request):
    """The body of `POST /message/<id>/response`."""

    response: JsonObject


class Answers(Request):
    """The body of `POST /message/<id>/preview`."""

    answers: JsonObject


class Messages(Handler):
    """`/message`."""

    @operation("messages", reply=Page[Message], query=(MessageQuery, PageQuery))
    async def get(self) -> None:
        """List messages, newest first."""
        asked = self.asked(MessageQuery)
        about = {"unanswered": asked.unanswered, "states": asked.state, "execution_id": asked.execution_id}
        await self.answer(self.api.messages, **about, **self.page())

    @operation(
        "create_message",
        reply=Message,
        status=201,
        body=CreateMessage,
        example={
            "subject": "How many?",
            "body": {"properties": {"top": {"element": "integer", "minimum": 1}}, "required": ["top"]},
        },
    )
    async def post(self) -> None:
        """Create a message that belongs to no execution."""
        await self.answer_created("message", self.api.create_message, await self.sent(CreateMessage))


class OneMessage(Handler):
    """`/message/<id>`."""

    @operation("message", reply=Message)
    async def get(self, message_id: str) -> None:
        """Return one message with its form."""
        await self.answer(self.api.message, message_id)

    @operation("delete_message", status=204)
    async def delete(self, message_id: str) -> None:
        """Delete the message."""
        await self.backend.call(self.api.delete_message, message_id)
        await self.finish_empty()


class Response(Handler):
    """`/message/<id>/response`. An answer can hold files."""

    takes_documents: ClassVar[bool] = True

    @operation("answer_message", reply=Message, body=Answer, example={"response": {"top": 3}})
    async def post(self, message_id: str) -> None:
        """Answer the input request."""
        await self.answer(self.api.answer_message, message_id, (await self.sent(Answer)).response)


class Preview(Handler):
    """`/message/<id>/preview`."""

    @operation("preview_message", reply=MessagePreview, body=Answers, example={"answers": {"daily_at": "08:30"}})
    async def post(self, message_id: str) -> None:
        """Return the next times of the schedule that these answers would create."""
        await self.answer(self.api.preview_message, message_id, (await self.sent(Answers)).answers)


routes = routes_of(Messages, OneMessage, Response, Preview)
