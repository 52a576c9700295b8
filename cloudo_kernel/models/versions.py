"""The versions of editable records, for conditional requests."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import BaseModel

from cloudo_kernel.models.flows import Flow
from cloudo_kernel.models.records import File, Setting
from cloudo_kernel.models.schedules import Schedule
from cloudo_kernel.models.webhooks import CreatedWebhook, Webhook

#: Matches any version of an existing record.
ANY_VERSION: Final = "*"
#: The fields that change without an edit.
_PASSING: Final[dict[type[BaseModel], frozenset[str]]] = {
    # The version is the same with and without the content, as each edit changes the time.
    File: frozenset({"content", "encoding"}),
    Flow: frozenset({"broken", "last_executions", "next_run"}),
    Schedule: frozenset(
        {
            *("broken", "iterations", "last_occurrence", "next_run", "next_runs", "pause_reason"),
            *("description", "state", "state_reason"),
        }
    ),
    Setting: frozenset({"locked_by"}),
    Webhook: frozenset({"last_delivery"}),
    CreatedWebhook: frozenset({"last_delivery", "key"}),
}
#: The fields that only the reply to an edit has.
ONCE: Final[dict[type[BaseModel], set[str]]] = {CreatedWebhook: {"key"}}
#: The types of editable records.
EDITED: Final = frozenset(_PASSING)


def version_of(record: BaseModel) -> str | None:
    """Return the version of a record, which each edit changes, or None if it cannot be edited."""
    passing = _PASSING.get(type(record))
    if passing is None:
        return None
    text = json.dumps(record.model_dump(mode="json", exclude=set(passing)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
