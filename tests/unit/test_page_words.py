"""The words of the rows that the server paints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudo_extension.pages import words
from cloudo_kernel.models import Execution, Origin, RecentExecution, Status

NOW = datetime(2026, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-9, "just now"),
        (5, "in a moment"),
        (-30, "30 seconds ago"),
        (-60, "1 minute ago"),
        (7_200, "in 2 hours"),
        (-86_400, "yesterday"),
        (100_000, "tomorrow"),
        (-3 * 86_400, "3 days ago"),
        (-8 * 86_400, "1 week ago"),
        (-40 * 86_400, "1 month ago"),
        (800 * 86_400, "in 2 years"),
    ],
)
def test_a_moment_is_said_from_now(seconds: float, said: str) -> None:
    assert words.ago(NOW + timedelta(seconds=seconds), now=NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4 s"), (12.9, "12 s"), (185, "3 min 05 s"), (7_440, "2 h 04 min"), (273_600, "3 d 4 h")],
)
def test_a_duration_is_said_in_two_units(seconds: float, said: str) -> None:
    about = {"id": "x", "name": "x", "trigger": Origin.UI, "user_name": "ada", "created_at": NOW, "source_sha256": ""}
    ended = NOW + timedelta(seconds=seconds)
    one = Execution.model_validate({**about, "status": Status.ENDED_SUCCESS, "started_at": NOW, "ended_at": ended})
    assert words.duration(one) == said
    assert words.duration(one.model_copy(update={"ended_at": None})) == ""


def test_each_status_has_a_word() -> None:
    assert set(words.STATUSES) == set(Status)


def test_bars_are_as_high_as_their_runs_were_long() -> None:
    def one(number: int, seconds: float | None, status: Status = Status.ENDED_SUCCESS) -> RecentExecution:
        began = datetime.now(UTC) - timedelta(seconds=10)
        ended = None if seconds is None else began + timedelta(seconds=seconds)
        return RecentExecution(id=str(number), status=status, created_at=began, started_at=began, ended_at=ended)

    runs = [one(3, 4), one(2, 1, Status.ENDED_ERROR), one(1, 0)]
    assert words.bars(runs) == [("1", "ENDED_SUCCESS", 12), ("2", "ENDED_ERROR", 25), ("3", "ENDED_SUCCESS", 100)]
    assert words.median(runs) == "2.0 s"
    running = words.bars([one(2, None, Status.RUNNING), one(1, 5)])
    assert (running[1][2], words.bars([]), words.median([])) == (100, [], "")
    assert 45 <= running[0][2] <= 50
