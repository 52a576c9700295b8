"""What widgets accept, over both ends of `Api`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import traitlets

from cloudo_kernel.widgets import Executions, InputRequests
from tests.contract.conftest import End

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BARE: dict[str, Any] = {"_esm": "export default {}", "_css": ""}


def test_filters_are_texts_as_the_address_has_them(end: End) -> None:
    given = Executions(end.api, status=["RUNNING", "PAUSED"], since=NOON, flow=None, filters={"q": "x"}, **BARE)
    assert given.filters == {"status": "RUNNING,PAUSED", "since": "2026-01-02T12:00:00+00:00", "q": "x"}
    given.filters = {"tag": "nightly"}
    assert given.filters == {"tag": "nightly"}
    assert InputRequests(end.api, **BARE).filters == {"state": "OPEN"}


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"colour": "red"}, "Unknown filter 'colour'. Known filters: q, status,"),
        ({"status": "running"}, "The filter 'status' has no value 'running'. Known values: PENDING,"),
        ({"trigger": ["ui", "me"]}, "has no value 'me'"),
        ({"tag": 7}, "The filter 'tag' is a text, a time or a list of texts, not 7."),
        ({"q": {"a": "b"}}, "The filter 'q' is a text"),
    ],
)
def test_an_unknown_filter_or_value_is_refused_by_name(end: End, filters: dict[str, Any], says: str) -> None:
    with pytest.raises(traitlets.TraitError, match=says):
        Executions(end.api, filters=filters, **BARE)
    shown = Executions(end.api, **BARE)
    with pytest.raises(traitlets.TraitError, match=says):
        shown.filters = filters
    assert shown.filters == {}
    with pytest.raises(traitlets.TraitError, match="has no value 'open'"):
        InputRequests(end.api, state="open", **BARE)
