"""The versions of records that people edit."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import BaseModel

from cloudo_kernel.models.flows import Flow
from cloudo_kernel.models.records import File, Setting
from cloudo_kernel.models.schedules import Schedule
from cloudo_kernel.models.webhooks import Webhook

#: Matches every version of a record that exists.
ANY_VERSION: Final = "*"
#: The fields that change by themselves, without an edit.
_PASSING: Final[dict[type[BaseModel], frozenset[str]]] = {
    # A request without the content gets the same version: each change has its time.
    File: frozenset({"content", "encoding"}),
    Flow: frozenset({"broken", "last_executions", "next_run"}),
    Schedule: frozenset({"broken", "iterations", "last_occurrence", "next_run", "next_runs", "pause_reason"}),
    Setting: frozenset({"locked_by"}),
    Webhook: frozenset(),
}
#: Records that people edit.
EDITED: Final = frozenset(_PASSING)


def version_of(record: BaseModel) -> str | None:
    """Return a digest that changes with each edit of the record; None for records that cannot be edited."""
    passing = _PASSING.get(type(record))
    if passing is None:
        return None
    text = json.dumps(record.model_dump(mode="json", exclude=set(passing)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
