"""Verbs for messages and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from cloudo_kernel.errors import FlowBroken, FormInvalid, MalformedRequest, MessageClosed
from cloudo_kernel.forms import markdown
from cloudo_kernel.forms.elements import with_offset
from cloudo_kernel.forms.form import Form, checked_body, preview_request, shorthand
from cloudo_kernel.models import (
    CreateMessage,
    Flow,
    JsonObject,
    Message,
    MessagePreview,
    MessageState,
    Page,
    PreviewSchedule,
    malformed,
)
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.security.permissions import Rights
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.service.base import id_cursor, page_limit
from cloudo_kernel.service.schedules import ScheduleVerbs
from cloudo_kernel.store import NewMessage, why_closed
from cloudo_kernel.workspace.catalog import Catalog, validate


class MessageVerbs(ScheduleVerbs):
    """Create, read, list, answer, await and delete messages. Preview the schedules that answers would create."""

    def create_message(self, request: CreateMessage) -> Message:
        """See `Api.create_message`."""
        self._ask("create_message")
        new = NewMessage(
            id=new_id(),
            subject=self.redaction.mask(request.subject),
            body=self.redaction.mask_value(_body(request)),
            level=request.level,
            execution_id=self._parent_id,
            user_name=self._user_name,
            timeout_seconds=request.timeout_seconds,
        )
        return self._store.messages.insert(new)

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
        self._ask("messages")
        size = page_limit(limit)
        return self._store.messages.page(
            unanswered=unanswered,
            states=states,
            execution_id=execution_id,
            flows=self._rights.flows,
            limit=size,
            before=id_cursor(cursor),
        )

    def message(self, message_id: str) -> Message:
        """See `Api.message`."""
        self._ask_message("message", message_id)
        message = self._store.messages.get(message_id)
        if message.body is None:
            return message
        return message.model_copy(update={"body": markdown.with_html(message.body)})

    def answer_message(self, message_id: str, response: JsonObject) -> Message:
        """See `Api.answer_message`."""
        self._ask_message("answer_message", message_id)
        message = self._store.messages.get(message_id)
        if message.body is None or not message.is_open:
            raise MessageClosed(message_id, why_closed(message))
        form = Form(message.body)
        flows = _Flows(self._catalog, self._rights)
        answer = form.answer(response, placed=lambda moment: with_offset(moment, self._zone()), flows=flows)
        masks = {**form.masks(answer, flows), **dict.fromkeys(form.protected, PROTECTED)}
        return self._store.messages.answer(message_id, answer, masks=masks, user_name=self._user_name)

    def preview_message(self, message_id: str, answers: JsonObject) -> MessagePreview:
        """See `Api.preview_message`."""
        self._ask_message("preview_message", message_id)
        elements = (self._store.messages.get(message_id).body or {}).get("properties", {})
        wanted = (preview_request(about["preview"], answers) for about in elements.values() if "preview" in about)
        found = next((one for one in wanted if one is not None), None)
        if found is None:
            return MessagePreview(preview=None)
        try:
            request = PreviewSchedule.model_validate(found)
        except ValidationError as error:
            raise malformed(error) from error
        return MessagePreview(preview=self._previewed(request))

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """See `Api.wait_message`."""
        self._ask_message("wait_message", message_id)
        message = self._store.messages.get(message_id)
        if message.expires_at is not None:
            # 10 ms more, so that it has expired by the store's clock, too.
            left = max(timedelta(0), message.expires_at - self._store.now) + timedelta(milliseconds=10)
            timeout = left if timeout is None else min(left, timeout)
        self._until(lambda: not self._store.messages.is_open(message_id), timeout)
        return self._store.messages.get(message_id)

    def delete_message(self, message_id: str) -> None:
        """See `Api.delete_message`."""
        self._ask_message("delete_message", message_id)
        self._store.messages.delete(message_id, user_name=self._user_name)


class _Flows:
    """The flows that answers name, as the person who answers may see them."""

    def __init__(self, catalog: Catalog, rights: Rights) -> None:
        self._catalog = catalog
        self._rights = rights

    def check(self, name: str) -> None:
        """See `Flows.check`."""
        self._flow(name)

    def checked_inputs(self, name: str, inputs: JsonObject) -> JsonObject:
        """See `Flows.checked_inputs`."""
        return validate(self._flow(name).input_schema, inputs)

    def masked_inputs(self, name: str, inputs: JsonObject) -> JsonObject:
        """See `Flows.masked_inputs`."""
        protected = self._flow(name).metadata.protect_inputs
        return {key: PROTECTED if key in protected else value for key, value in inputs.items()}

    def _flow(self, name: str) -> Flow:
        self._rights.check_flow(name)
        flow = self._catalog.flow(name)
        if flow.broken:
            raise FlowBroken(name, flow.broken)
        return flow


def _body(request: CreateMessage) -> JsonObject | None:
    """Return the checked form of a request, None for a message without a form."""
    short = shorthand(message=request.message, request=request.request)
    if request.body is not None and short is not None:
        raise MalformedRequest("message and request are short forms of body. Give one of them.", field="body")
    body = short if request.body is None else request.body
    try:
        return None if body is None else checked_body(body)
    except RecursionError as error:
        raise FormInvalid("body", "is nested too deeply") from error
