"""Verbs for workers, the queue, and the settings that Cloudo reads."""

from __future__ import annotations

from datetime import timedelta

from cloudo_kernel import settings
from cloudo_kernel.models import QueueState, SettingDescription, Status, Worker
from cloudo_kernel.processes import liveness
from cloudo_kernel.service.base import Base

_SECOND = timedelta(seconds=1)


class QueueVerbs(Base):
    """List workers and documented settings. Pause and resume the queue."""

    def documented_settings(self) -> tuple[SettingDescription, ...]:
        """See `Api.documented_settings`."""
        self._ask("documented_settings")
        return tuple(
            SettingDescription(
                name=name,
                pattern=settings.personal_pattern(name),
                meaning=settings.MEANINGS[name],
                fits=one.fits,
                value_schema=settings.schema_of(name),
                default=one.default,
                value=self._store.settings.value(name),
            )
            for name, one in sorted(settings.DOCUMENTED.items())
        )

    def workers(self) -> tuple[Worker, ...]:
        """See `Api.workers`."""
        self._ask("workers")
        now, state = self._store.now, self._catalog.workspace.state
        running, slots = self._store.queue.running_by_worker(), int(self._store.settings.value(settings.MAX_RUNNING))
        return tuple(
            Worker(
                id=one.id,
                name=one.name,
                host=one.host,
                pid=one.pid,
                private=one.private,
                slots=slots,
                running=running.get(one.id, ()),
                started_at=one.started_at,
                lease_age_seconds=max(0.0, (now - one.beat_at) / _SECOND),
                labels=one.labels,
                draining=one.draining,
            )
            for one in sorted(self._store.workers.all(), key=lambda worker: worker.id)
            if one.beat_at is not None and one.holds_its_lease(now) and not liveness.is_dead(state, one.id)
        )

    def queue(self) -> QueueState:
        """See `Api.queue`."""
        self._ask("queue")
        return self._queue_state()

    def pause_queue(self) -> QueueState:
        """See `Api.pause_queue`."""
        self._ask("pause_queue")
        self._store.settings.save(settings.QUEUE_PAUSED, True, user_name=self._user_name)
        return self._queue_state()

    def resume_queue(self) -> QueueState:
        """See `Api.resume_queue`."""
        self._ask("resume_queue")
        self._store.settings.save(settings.QUEUE_PAUSED, False, user_name=self._user_name)
        return self._queue_state()

    def _queue_state(self) -> QueueState:
        pending = self._store.queue.counts().get(Status.PENDING, 0)
        return QueueState(pending=pending, paused=bool(self._store.settings.value(settings.QUEUE_PAUSED)))
