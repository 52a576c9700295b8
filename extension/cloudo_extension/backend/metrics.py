"""The metrics of Cloudo in the text format of Prometheus. They are read from the store when somebody asks for them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cloudo_kernel.models import Health, Status

if TYPE_CHECKING:
    from cloudo_kernel.store import Distribution, Store
    from cloudo_kernel.worker.worker import Worker

#: Maximum number of flows with numbers of their own.
MAX_FLOWS: Final = 200
#: Upper bounds of the ranges of durations, in seconds.
_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
#: An occurrence is in the store within this time after it was noted.
_NOTED_WITHIN: Final = timedelta(seconds=2)
_SECOND: Final = timedelta(seconds=1)


class Metrics:
    """Counts since this object was created, and reads what is true now."""

    def __init__(self, store: Store, worker: Worker | None) -> None:
        self._store = store
        self._worker = worker
        #: One caller counts at a time.
        self._lock = threading.Lock()
        self._event_id = store.events.newest_id()
        self._noted_at = store.now - _NOTED_WITHIN
        self._ends: Counter[tuple[str | None, str]] = Counter()
        self._queue_times: Distribution | None = None
        self._latenesses: Distribution | None = None

    def text(self, health: Health) -> bytes:
        """Return all metrics as text; called on a thread. Raises `Unavailable`."""
        with self._lock:
            self._count()
            registry = CollectorRegistry()
            registry.register(_Families([*self._families(health)]))
            return generate_latest(registry)

    def _count(self) -> None:
        """Add what has happened since the last time."""
        measures, after, up_to = self._store.measures, self._event_id, self._store.events.newest_id()
        noted_at = max(self._noted_at, self._store.now - _NOTED_WITHIN)
        ends = measures.ends(after=after, up_to=up_to)
        waits = measures.queue_times(_BOUNDS, after=after, up_to=up_to)
        late = measures.latenesses(_BOUNDS, after=self._noted_at, up_to=noted_at)
        # Only now: an error must not leave some of it counted.
        self._ends.update(ends)
        self._queue_times = waits if self._queue_times is None else self._queue_times + waits
        self._latenesses = late if self._latenesses is None else self._latenesses + late
        self._event_id, self._noted_at = up_to, noted_at

    def _families(self, health: Health) -> Iterator[Metric]:
        store = self._store
        up = GaugeMetricFamily("cloudo_up", "Whether executions can start and run, as /health says.")
        up.add_metric([], float(health.status == "ok"))
        yield up
        counts = store.queue.counts()
        unended = {status.value: counts.get(status, 0) for status in Status if not status.is_ended}
        yield _gauge("cloudo_unended_executions", "Executions that have not ended, by status.", "status", unended)
        yield from self._ended()
        yield _histogram("cloudo_queue_seconds", "Time in the queue until the first claim.", self._queue_times)
        late = "Time between the due time of a scheduled run and its creation."
        yield _histogram("cloudo_schedule_lateness_seconds", late, self._latenesses)
        now = store.now
        ages = {one.name: (now - one.beat_at) / _SECOND for one in store.workers.all() if one.beat_at is not None}
        yield _gauge("cloudo_worker_lease_age_seconds", "Time since a worker's last heartbeat.", "worker", ages)
        runners = {} if self._worker is None else self._worker.runners
        yield _gauge("cloudo_runners", "Processes for runs in this server's worker, by state.", "state", runners)
        lag = GaugeMetricFamily("cloudo_event_lag_seconds", "Age of the oldest event that this server has not seen.")
        lag.add_metric([], store.measures.event_lag_seconds(max(0, store.tail.newest)))
        yield lag

    def _ended(self) -> Iterator[Metric]:
        totals: Counter[str] = Counter({status.value: 0 for status in Status if status.is_ended})
        busiest: Counter[str] = Counter()
        for (flow_name, status), number in self._ends.items():
            totals[status] += number
            if flow_name is not None:
                busiest[flow_name] += number
        ended = CounterMetricFamily("cloudo_executions", "Executions that have ended, by status.", labels=["status"])
        for status, number in totals.items():
            ended.add_metric([status], number)
        yield ended
        of_flows = CounterMetricFamily(
            "cloudo_flow_executions",
            f"Executions that have ended, of the {MAX_FLOWS} flows with most, by status.",
            labels=["flow", "status"],
        )
        shown = {flow_name for flow_name, _ in busiest.most_common(MAX_FLOWS)}
        for (flow_name, status), number in self._ends.items():
            if flow_name is not None and flow_name in shown:
                of_flows.add_metric([flow_name, status], number)
        yield of_flows


class _Families(Collector):
    """Hands finished metrics to a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; the registry calls it."""
        return self._families


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _histogram(name: str, meaning: str, found: Distribution | None) -> Metric:
    family = HistogramMetricFamily(name, meaning)
    if found is not None:
        buckets = [(str(bound), float(number)) for bound, number in zip(_BOUNDS, found.up_to, strict=True)]
        family.add_metric([], [*buckets, ("+Inf", float(found.number))], found.total)
    return family
