"""Finds workers whose heartbeat has stood still for longer than their lease, by this process's own clock."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cloudo_kernel.store import HEARTBEAT_SECONDS, LEASE_SECONDS, WorkerRow


class LeaseWatch:
    """Compares heartbeats between calls. A wall clock that is moved expires no lease."""

    def __init__(self, lease_seconds: float = LEASE_SECONDS) -> None:
        self._lease_seconds = lease_seconds
        #: For each worker, the last heartbeat seen and the seconds since it changed.
        self._stillness: dict[str, tuple[int, float]] = {}
        self._looked_at = time.monotonic()

    def expired(self, workers: Iterable[WorkerRow]) -> list[WorkerRow]:
        """Return those of the workers that have lost their lease; called every few seconds with all that matter."""
        now = time.monotonic()
        # Time in which this process itself stalled must not count against the others.
        passed = min(now - self._looked_at, 2 * HEARTBEAT_SECONDS)
        self._looked_at = now
        seen: dict[str, tuple[int, float]] = {}
        found = []
        for worker in workers:
            heartbeat, still = self._stillness.get(worker.id, (worker.heartbeat, 0.0))
            still = still + passed if heartbeat == worker.heartbeat else 0.0
            seen[worker.id] = (worker.heartbeat, still)
            if still >= self._lease_seconds:
                found.append(worker)
        self._stillness = seen
        return found
