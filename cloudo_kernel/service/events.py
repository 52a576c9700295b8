"""Verbs for events, the caller and the health of the workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from itertools import chain

from cloudo_kernel import settings
from cloudo_kernel.errors import PermissionDenied
from cloudo_kernel.models import Event, Health, LoopHealth, OwnClient, Page, Status, User
from cloudo_kernel.processes import liveness
from cloudo_kernel.service.base import Base, page_limit
from cloudo_kernel.service.loop_health import fault, loop_health
from cloudo_kernel.store import WorkerRow

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
        known = [worker for worker in self._store.workers.all() if not worker.private]
        known = [worker for worker in known if not liveness.is_dead(state, worker.id)]
        workers = [worker for worker in known if worker.holds_its_lease(now)]
        loops = {worker.id: _loops(worker, now) for worker in known}
        # A scheduler that was alive for a whole heartbeat after a time came due should have started it.
        lived_since = [worker.previous_beat_at for worker in workers if worker.previous_beat_at is not None]
        overdue_before = max(lived_since, default=None if workers else now)
        counts = self._store.queue.counts()
        trouble = self._store.trouble or _fault_of_all([loops[worker.id] for worker in workers])
        return Health(
            status="unavailable" if trouble else "ok" if workers else "no worker",
            reason=trouble or (None if workers else "no worker is running"),
            version=_version("cloudo"),
            workers=len(workers),
            running=counts.get(Status.RUNNING, 0),
            pending=counts.get(Status.PENDING, 0),
            queue_paused=bool(self._setting(settings.QUEUE_PAUSED)),
            overdue_schedules=0 if overdue_before is None else self._store.schedules.overdue(before=overdue_before),
            loops=tuple(chain.from_iterable(loops.values())),
        )


def _loops(worker: WorkerRow, now: datetime) -> list[LoopHealth]:
    """Return the loops of a worker. Those of a process that stands still grow older with its last heartbeat."""
    age = 0.0 if worker.beat_at is None else (now - worker.beat_at) / timedelta(seconds=1)
    return [loop_health(state, worker_id=worker.id, pid=worker.pid, age_seconds=age) for state in worker.loops]


def _fault_of_all(workers: Sequence[Sequence[LoopHealth]]) -> str | None:
    """Return what is wrong with a worker if every worker has a loop that needs a restart, otherwise None."""
    faults = [next(filter(None, map(fault, loops)), None) for loops in workers]
    return f"{faults[0]}: restart the worker" if faults and None not in faults else None
