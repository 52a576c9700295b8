"""Words for times and statuses in the rows that the server paints. The page's script replaces them with its own."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from cloudo_kernel.models import Execution, ExecutionBrief, Flow, FlowSource, Origin, RecentExecution, Status

STATUSES: Final = {
    Status.PENDING: "Pending",
    Status.RUNNING: "Running",
    Status.WAITING: "Waiting",
    Status.PAUSED: "Paused",
    Status.ENDED_SUCCESS: "Success",
    Status.ENDED_ERROR: "Error",
    Status.ENDED_CANCELLED: "Cancelled",
}
ORIGINS: Final = {
    Origin.UI: "dashboard",
    Origin.API: "REST",
    Origin.CELL: "notebook cell",
    Origin.CLI: "command line",
}
#: Unit, and how many of it are one of the next.
_STEPS: Final = (("second", 60.0), ("minute", 60.0), ("hour", 24.0), ("day", 7.0), ("week", 4.35), ("month", 12.0))
_NEXT_TO_NOW: Final = {("day", -1): "yesterday", ("day", 1): "tomorrow"}
#: The lowest bar of a run.
_MIN_PERCENT: Final = 12
_BREAKS: Final = re.compile(r"(?<=[/_.-])")


def ago(moment: datetime, *, now: datetime | None = None) -> str:
    """Return `3 minutes ago`, `yesterday` or `in 2 hours`."""
    amount = (moment - (now or datetime.now(UTC))).total_seconds()
    if abs(amount) < 10:
        return "in a moment" if amount > 1 else "just now"
    unit = "year"
    for name, size in _STEPS:
        if abs(amount) < size:
            unit = name
            break
        amount /= size
    number = round(amount)
    if number == 0 or (unit, number) in _NEXT_TO_NOW:
        return _NEXT_TO_NOW.get((unit, number), f"this {unit}")
    words = f"{abs(number)} {unit}{'' if abs(number) == 1 else 's'}"
    return f"in {words}" if number > 0 else f"{words} ago"


def duration(execution: Execution) -> str:
    """Return how long an ended execution has run: `0.4 s`, `3 min 05 s`. Empty for any other."""
    if execution.started_at is None or execution.ended_at is None:
        return ""
    return seconds_in_words((execution.ended_at - execution.started_at).total_seconds())


def seconds_in_words(seconds: float) -> str:
    """Return `0.4 s`, `12 s`, `3 min 05 s`, `2 h 04 min` or `3 d 4 h`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, second = divmod(int(seconds), 60)
    if not minutes:
        return f"{second} s"
    hours, minute = divmod(minutes, 60)
    if not hours:
        return f"{minute} min {second:02} s"
    days, hour = divmod(hours, 24)
    return f"{days} d {hour} h" if days else f"{hour} h {minute:02} min"


def bars(runs: Sequence[RecentExecution | ExecutionBrief]) -> list[tuple[str, str, int]]:
    """Return id, status and height in percent of each run, oldest first, as the page's script draws them."""
    now = datetime.now(UTC)
    lasted = [
        ((run.ended_at or now) - (getattr(run, "started_at", None) or run.created_at)).total_seconds() for run in runs
    ]
    longest = max(0.001, *lasted, 0)
    heights = [max(_MIN_PERCENT, round(100 * seconds / longest)) for seconds in lasted]
    return [(run.id, run.status.value, height) for run, height in zip(runs, heights, strict=True)][::-1]


def kinds(flows: Sequence[Flow]) -> dict[str, int]:
    """Return the number of flows of each kind, by the word of its chip."""
    ended = [next((one.status for one in flow.last_executions if one.status.is_ended), None) for flow in flows]
    return {
        "Failing": ended.count(Status.ENDED_ERROR),
        "Scheduled": sum(flow.next_run is not None for flow in flows),
        "Never run": sum(not flow.last_executions for flow in flows),
        "Broken": sum(flow.broken is not None for flow in flows),
        "Samples": sum(flow.source is FlowSource.LIBRARY for flow in flows),
    }


def folder_of(name: str) -> str:
    """Return the folder of a flow; empty for a flow in none."""
    return name.rpartition("/")[0]


def folders(flows: Sequence[Flow]) -> Mapping[str, int]:
    """Return the number of flows in each folder."""
    return Counter(folder_of(flow.name) for flow in flows)


def median(runs: Sequence[RecentExecution | ExecutionBrief]) -> str:
    """Return the median duration of the successes in words; empty without any."""
    times = [
        (run.ended_at - run.started_at).total_seconds()
        for run in runs
        if isinstance(run, RecentExecution) and run.status is Status.ENDED_SUCCESS and run.started_at and run.ended_at
    ]
    return seconds_in_words(statistics.median(times)) if times else ""


def breakable(name: str) -> list[str]:
    """Return the parts of a name, so that a long one breaks between them."""
    return _BREAKS.split(name)
