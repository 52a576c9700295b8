"""The tables of the store. A change here needs a revision in `migrations/versions`."""

from __future__ import annotations

from cloudo_kernel.store.tables.base import UtcMicroseconds, metadata
from cloudo_kernel.store.tables.executions import (
    calls,
    dependencies,
    execution_tags,
    executions,
    follow_ups,
    idempotency_keys,
    log_lines,
    results,
    sources,
    waits,
    workers,
)
from cloudo_kernel.store.tables.records import (
    absences,
    deliveries,
    events,
    lock_waiters,
    locks,
    messages,
    occurrences,
    schedules,
    settings,
    tokens,
    webhook_responses,
    webhooks,
)
