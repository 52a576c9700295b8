"""What of a record counts as a change of it, for those who edit it."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import BaseModel

from cloudo_kernel.models.flows import Flow
from cloudo_kernel.models.records import File, Setting
from cloudo_kernel.models.schedules import Schedule
from cloudo_kernel.models.webhooks import Webhook

#: In the place of a version: any of what is there.
ANY_VERSION: Final = "*"
#: What comes and goes by itself, and is nobody's change.
_PASSING: Final[dict[type[BaseModel], frozenset[str]]] = {
    # Whoever asks without the content sees the same version: each change has its time.
    File: frozenset({"content", "encoding"}),
    Flow: frozenset({"broken", "last_executions", "next_run"}),
    Schedule: frozenset({"broken", "iterations", "last_occurrence", "next_run", "next_runs", "pause_reason"}),
    Setting: frozenset({"locked_by"}),
    Webhook: frozenset(),
}
#: Records that people edit.
EDITED: Final = frozenset(_PASSING)


def version_of(record: BaseModel) -> str | None:
    """Return a word that is another one once somebody has changed the record, None for what nobody edits."""
    passing = _PASSING.get(type(record))
    if passing is None:
        return None
    text = json.dumps(record.model_dump(mode="json", exclude=set(passing)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
