"""Verbs for events, the caller and the health of the workers."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from functools import cache
from importlib.metadata import version

from cloudo_kernel.errors import PermissionDenied
from cloudo_kernel.models import Event, Health, OwnClient, Page, Status, User
from cloudo_kernel.processes import liveness
from cloudo_kernel.service.base import Base, page_limit

#: Cached, because reading the version takes a millisecond.
_version = cache(version)


class EventVerbs(Base):
    """List events, identify the caller, report health."""

    def events(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        timeout: timedelta = timedelta(0),
        subject_id: str | None = None,
    ) -> Page[Event]:
        """See `Api.events`."""
        self._ask("events")
        self._check_subject(subject_id)
        start = self._store.events.newest_id() if after is None else after
        found: tuple[Event, ...] = ()

        def look() -> bool:
            nonlocal found
            found = self._store.events.after(start, limit=page_limit(limit), subject_id=subject_id)
            return bool(found)

        self._until(look, timeout)
        return Page[Event](items=found, next=str(found[-1].id if found else start))

    def _check_subject(self, subject_id: str | None) -> None:
        """Raise `PermissionDenied` unless the caller's rights cover the flow of this execution, schedule or message.

        A caller limited to some flows has to give a `subject_id`, and is refused a subject that no longer exists.
        """
        if self._rights.flows is None:
            return
        if subject_id is None:
            raise PermissionDenied(
                f"Name the subject of the events with subject_id. {self._rights}", field="subject_id"
            )
        if not self._rights.fits(self._store.owners.of(subject_id)):
            raise PermissionDenied(f"This is about {subject_id[:200]!r}. {self._rights}", field="subject_id")

    def user(self) -> User:
        """See `Api.user`."""
        self._ask("user")
        return User(name=self._user_name)

    def own_client(self) -> OwnClient:
        """Return the names of the workspace and of this environment. Only running flows call it."""
        env_name = os.environ.get("CLOUDO_ENV_NAME") or socket.gethostname()
        return OwnClient(name=self._catalog.workspace.root.resolve().name, env_name=env_name)

    def health(self) -> Health:
        """See `Api.health`."""
        self._ask("health")
        now, state = self._store.now, self._catalog.workspace.state
        workers = [
            worker
            for worker in self._store.workers.all()
            if not worker.private and worker.holds_its_lease(now) and not liveness.is_dead(state, worker.id)
        ]
        # A scheduler that was alive for a whole heartbeat after a time came due should have started it.
        lived_since = [worker.previous_beat_at for worker in workers if worker.previous_beat_at is not None]
        overdue_before = max(lived_since, default=None if workers else now)
        counts = self._store.queue.counts()
        trouble = self._store.trouble
        return Health(
            status="unavailable" if trouble else "ok" if workers else "no worker",
            reason=trouble or (None if workers else "no worker is running"),
            version=_version("cloudo"),
            workers=len(workers),
            running=counts.get(Status.RUNNING, 0),
            pending=counts.get(Status.PENDING, 0),
            overdue_schedules=0 if overdue_before is None else self._store.schedules.overdue(before=overdue_before),
        )
