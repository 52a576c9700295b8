"""The verb that previews the schedule which the answers of an input request would create."""

from __future__ import annotations

from pydantic import ValidationError

from cloudo_kernel.forms.form import preview_request
from cloudo_kernel.models import JsonObject, MessagePreview, PreviewSchedule, malformed
from cloudo_kernel.service.messages import MessageVerbs
from cloudo_kernel.service.schedules import ScheduleVerbs


class PreviewVerbs(MessageVerbs, ScheduleVerbs):
    """Preview the answers of input requests."""

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
