"""What tests of schedules do: make them, let their executions run and end, and look at what became of their times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cloudo_kernel.models import (
    CreateSchedule,
    Execution,
    ExecutionFilter,
    Occurrence,
    Schedule,
    ScheduleTrigger,
    Status,
)
from cloudo_kernel.service import Service
from cloudo_kernel.store import Outcome, Store
from tests.unit.conftest import Clock

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
GRID = {"every_seconds": 60, "wait": False}


def request(trigger: dict[str, Any], flow_name: str = "report", **more: Any) -> CreateSchedule:
    return CreateSchedule(flow_name=flow_name, trigger=ScheduleTrigger.model_validate(trigger), **more)


def make(api: Service, trigger: dict[str, Any], **more: Any) -> Schedule:
    return api.create_schedule(request(trigger, **more))


def executions(api: Service, schedule: Schedule) -> list[Execution]:
    """Return the executions of a schedule, oldest first."""
    return list(api.executions(ExecutionFilter(schedule_id=schedule.id), limit=500).items[::-1])


def occurrences(api: Service, schedule: Schedule) -> list[Occurrence]:
    return list(api.occurrences(schedule.id, limit=500).items[::-1])


def told(api: Service, schedule: Schedule) -> list[str]:
    """Return the outcome and the number of each occurrence; `MISSED 1-5` is one for five times."""
    found = []
    for one in occurrences(api, schedule):
        last = f"-{(one.iteration or 0) + one.count - 1}" if one.count > 1 else ""
        found.append(f"{one.outcome} {one.iteration}{last}")
    return found


def away(store: Store, clock: Clock, passed: timedelta) -> None:
    """Let time pass while no scheduler is alive; the last heartbeat came just before."""
    clock.now -= TICK
    store.workers.beat("w", has_scheduler=True)
    clock.now += TICK + passed
    store.workers.beat("w", has_scheduler=True, back_at=clock.now)


def run(store: Store, *, fails: bool = False) -> None:
    """Let everything that can be claimed run and end."""
    status = Status.ENDED_ERROR if fails else Status.ENDED_SUCCESS
    for claim in store.queue.claim("w", free=100, private=False):
        store.reports.finish(claim.id, claim.attempt, Outcome(status=status))


def one_by_one(store: Store) -> int:
    """Let what can be claimed run and end until nothing is left, one at a time, and return how many that were."""
    number = 0
    while claims := store.queue.claim("w", free=100, private=False):
        assert len(claims) == 1
        store.reports.finish(claims[0].id, claims[0].attempt, Outcome(status=Status.ENDED_SUCCESS))
        number += 1
    return number
