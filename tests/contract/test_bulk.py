"""The same for many executions at once."""

from __future__ import annotations

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import BulkAction, BulkRequest, ExecutionFilter, Status
from tests.contract.conftest import End

pytestmark = pytest.mark.db

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"


def test_flows_are_started_each_as_if_it_were_alone(end: End) -> None:
    one, two, demanding = end.flow(parameters="n = 1"), end.flow(parameters="n = 2"), end.flow(parameters="m: int")
    names = (one, demanding, "none/of/these", two)
    outcome = end.api.bulk_executions(BulkRequest(action=BulkAction.START, flow_names=names, inputs={"n": 5}))
    assert [(item.flow_name, item.ok) for item in outcome.items] == [
        (one, True), (demanding, False), ("none/of/these", False), (two, True)
    ]  # fmt: skip
    first, refused, missing, last = outcome.items
    assert refused.error is not None
    assert (refused.error.code, refused.error.field) == ("inputs_invalid", "n")
    assert missing.error is not None
    assert missing.error.code == "flow_not_found"
    for item in (first, last):
        assert item.execution is not None
        assert end.api.wait(item.execution.id).input_value == {"n": 5}


def test_executions_are_stopped_started_anew_and_deleted(end: End) -> None:
    name = end.flow()
    ids = tuple(end.later(name).id for _ in range(3))

    def do(action: BulkAction, *of: str) -> list[tuple[bool, str | None]]:
        items = end.api.bulk_executions(BulkRequest(action=action, ids=of)).items
        assert [item.id for item in items] == list(of)
        errors = [item.error.code if item.error else None for item in items]
        states = [item.execution.status if item.execution else None for item in items]
        return [(item.ok, error or state) for item, error, state in zip(items, errors, states, strict=True)]

    assert do(BulkAction.PAUSE, *ids[:2]) == [(True, Status.PAUSED)] * 2
    assert do(BulkAction.RESUME, *ids[1:]) == [(True, Status.PENDING), (False, "illegal_transition")]
    assert do(BulkAction.DELETE, ids[0], UNKNOWN) == [(False, "execution_not_ended"), (False, "execution_not_found")]
    assert do(BulkAction.CANCEL, *ids, ids[0]) == [*[(True, Status.ENDED_CANCELLED)] * 3, (False, "illegal_transition")]
    assert [ok for ok, _ in do(BulkAction.RETRY, *ids[:2])] == [True, True]
    assert do(BulkAction.DELETE, *ids) == [(True, None)] * 3
    with pytest.raises(errors.ExecutionNotFound):
        end.api.execution(ids[0])


@pytest.mark.parametrize(
    "given",
    [
        {"action": "start", "ids": ["x"]},
        {"action": "start"},
        {"action": "cancel", "flow_names": ["x"]},
        {"action": "cancel", "ids": ["x"], "flow_names": ["x"]},
        {"action": "cancel", "ids": []},
        {"action": "cancel", "ids": ["x"] * 501},
        {"action": "cancel", "ids": ["x"], "inputs": {}},
        {"action": "stop", "ids": ["x"]},
    ],
)
def test_what_does_not_go_together_is_no_request(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        BulkRequest.model_validate(given)


def test_one_action_applies_to_all_that_match_a_filter(end: End) -> None:
    flow = end.flow()
    ids = [end.later(flow).id for _ in range(4)]
    end.api.cancel_execution(ids[0])
    where = ExecutionFilter(flow_name=flow)
    cancelled = end.api.bulk_executions(BulkRequest(action=BulkAction.CANCEL, filter=where))
    assert (cancelled.matched, cancelled.done, cancelled.failed) == (3, 3, 0)
    assert [item.id for item in cancelled.items] == ids[:0:-1]
    pending = ExecutionFilter(flow_name=flow, status=(Status.PENDING,))
    assert end.api.bulk_executions(BulkRequest(action=BulkAction.DELETE, filter=pending)).matched == 0
    retried = end.api.bulk_executions(BulkRequest(action=BulkAction.RETRY, filter=ExecutionFilter(ids=tuple(ids[:2]))))
    assert (retried.done, len(retried.items)) == (2, 2)
    deleted = end.api.bulk_executions(BulkRequest(action=BulkAction.DELETE, filter=ExecutionFilter(ids=tuple(ids))))
    assert (deleted.matched, deleted.done) == (4, 4)
    assert end.api.executions(ExecutionFilter(ids=tuple(ids))).items == ()
    for wrong in ({"action": "pause", "filter": {}}, {"action": "cancel", "filter": {}, "ids": ["x"]}):
        with pytest.raises(ValueError, match="filter"):
            BulkRequest.model_validate(wrong)
