"""The words of the rows that the server paints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudo_extension.pages import words
from cloudo_kernel.models import Execution, Origin, Status

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
