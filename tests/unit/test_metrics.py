"""What is counted for Prometheus, and its text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cloudo_extension.backend.metrics import MAX_FLOWS, Metrics
from cloudo_kernel.models import Health, Status
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import NewExecution, Outcome, Store
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

HOSTILE = 'a"} 1\ncloudo_up{flow="b\\"\r\n# HELP \N{SNOWMAN}\u2028'
OK = Health(status="ok")


def numbers(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by the values of its labels."""
    families = list(text_string_to_metric_families(metrics.text(OK).decode()))
    samples = [sample for family in families for sample in family.samples]
    assert len({(sample.name, *sample.labels.items()) for sample in samples}) == len(samples)
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}


def test_ends_are_counted_by_status_and_by_the_busiest_flows_whatever_their_names(
    store: Store, new: Callable[..., NewExecution], clock: Clock
) -> None:
    store.settings.save(MAX_RUNNING, 1000, user_name="ada")
    metrics = Metrics(store, None)
    names = [HOSTILE, HOSTILE, *(f"flow-{number}" for number in range(MAX_FLOWS))]
    store.executions.insert_all([(new(flow_name=name), None) for name in (*names, None)])
    assert numbers(metrics, "cloudo_unended_executions")[("PENDING",)] == MAX_FLOWS + 3
    clock.now += timedelta(seconds=3)
    for claim in store.queue.claim("w1", free=1000):
        status = Status.ENDED_ERROR if claim.flow_name == HOSTILE else Status.ENDED_SUCCESS
        store.reports.finish(claim.id, 1, Outcome(status=status))
    for _ in range(2):  # nothing is counted twice
        ended = {(str(status),): 0.0 for status in Status if status.is_ended}
        ended |= {("ENDED_ERROR",): 2.0, ("ENDED_SUCCESS",): MAX_FLOWS + 1.0}
        assert numbers(metrics, "cloudo_executions_total") == ended
        of_flows = numbers(metrics, "cloudo_flow_executions_total")
        assert of_flows[(HOSTILE, "ENDED_ERROR")] == 2
        assert len(of_flows) == MAX_FLOWS
        waits = numbers(metrics, "cloudo_queue_seconds_bucket")
        assert (waits[("2.5",)], waits[("5.0",)], waits[("+Inf",)]) == (0, MAX_FLOWS + 3, MAX_FLOWS + 3)
        assert numbers(metrics, "cloudo_queue_seconds_sum")[()] == 3 * (MAX_FLOWS + 3)
    assert numbers(Metrics(store, None), "cloudo_executions_total")[("ENDED_SUCCESS",)] == 0
    assert numbers(metrics, "cloudo_unended_executions") == dict.fromkeys(
        [("PENDING",), ("RUNNING",), ("WAITING",), ("PAUSED",)], 0.0
    )


def test_leases_and_unseen_events_grow_older(store: Store, clock: Clock) -> None:
    metrics = Metrics(store, None)
    clock.now += timedelta(seconds=7)
    [age] = set(numbers(metrics, "cloudo_worker_lease_age_seconds").values())
    assert age == 7
    assert numbers(metrics, "cloudo_event_lag_seconds")[()] == 7, "this process listens to no events"
