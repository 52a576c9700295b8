"""What follows an execution, as it is written and told."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from cloudo_kernel.models import FollowUps, follow_ups

CASES = {
    "": None,
    "[]": (),
    "Notify by email": "starts Notify by email",
    "a\n\n https://example.com/x \n": "starts a, calls https://example.com/x",
    '{"flow": "a", "inputs": {"to": "ä"}}': 'starts a with to="ä"',
    '{"url": "https://example.com/x", "secret": "team.key"}': "calls https://example.com/x, signed with team.key",
    '[\n  "a",\n  {"flow": "[b]"}\n]': "starts a, starts [b]",
}


@pytest.mark.parametrize("text", CASES)
def test_what_is_written_is_read_and_told(text: str) -> None:
    read = TypeAdapter(FollowUps | None).validate_python(follow_ups.parse(text))
    if CASES[text] is None:
        assert read is None
    else:
        assert follow_ups.describe(read) == (CASES[text] or "nothing")


def test_what_looks_like_json_and_is_none_is_refused() -> None:
    assert follow_ups.parse_lines(["null"]) is None
    with pytest.raises(ValueError, match=r"'\{flow: a\}' is not valid JSON"):
        follow_ups.parse("{flow: a}")
