"""The difference between the sources of two executions, over both ends."""

from __future__ import annotations

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import StartExecution
from tests.contract.conftest import End
from tests.flows import write_flow


def test_sources_are_compared_by_cell(end: End) -> None:
    name = end.flow("print(1)", "2")
    old = end.later(name).id
    same = end.api.source_diff(end.later(name).id, old)
    assert (same.diff, same.is_cut) == ("", False)
    write_flow(end.workspace, name, "print(2)", "2", "3")
    new = end.later(name).id
    found = end.api.source_diff(new, old)
    assert found.diff.splitlines()[:2] == [f"--- {old}", f"+++ {new}"]
    assert {"-print(1)", "+print(2)", " 2", "+# %%", "+3"} <= set(found.diff.splitlines())
    with pytest.raises(errors.ExecutionNotFound):
        end.api.source_diff(new, "01a20713-815a-789c-b71f-4353094d94ca")


def test_a_long_difference_is_cut(end: End) -> None:
    def one(letter: str) -> str:
        script = "\n".join(f"{letter} = {number}" for number in range(6_000))
        return end.api.start_execution(StartExecution(script=script, delay_seconds=1e6)).id

    found = end.api.source_diff(one("a"), one("b"))
    assert found.is_cut
    assert len(found.diff.splitlines()) == 4_000
