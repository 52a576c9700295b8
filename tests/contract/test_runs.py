"""Waiting for executions, and runs with a kernel, the same in every implementation of `Api`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import (
    BulkRequest,
    ExecutionType,
    StartExecution,
    Status,
)
from tests.contract.conftest import End

NOW = timedelta(0)


# Waiting


def test_a_wait_is_over_at_its_time(end: End) -> None:
    execution = end.later(end.flow())
    begun = time.monotonic()
    assert end.api.wait(execution.id, timeout=timedelta(seconds=0.5)).status is Status.PENDING
    assert 0.4 < time.monotonic() - begun < 5
    assert end.api.wait(execution.id, timeout=NOW).status is Status.PENDING


def test_many_threads_wait_and_all_are_told(end: End) -> None:
    execution = end.later(end.flow())
    with ThreadPoolExecutor(20) as threads:
        waits = [threads.submit(end.api.wait, execution.id) for _ in range(20)]
        end.other.cancel_execution(execution.id)
        assert {wait.result(timeout=60).status for wait in waits} == {Status.ENDED_CANCELLED}


def test_waiting_for_what_has_ended_returns_at_once(end: End) -> None:
    execution = end.later(end.flow())
    end.api.cancel_execution(execution.id)
    assert end.api.wait(execution.id).is_ended


# With a kernel


def test_a_run_leaves_outputs_log_progress_and_notebook(end: End) -> None:
    name = end.flow("this.log('working', n)", "this.set_output('twice', n * 2)\nn * 2", parameters="n = 1")
    execution = end.api.start_execution(StartExecution(flow_name=name, inputs={"n": 21}))
    ended = end.api.wait(execution.id, timeout=timedelta(seconds=60))
    assert ended.status is Status.ENDED_SUCCESS, ended
    assert ended.output_value == {"twice": 42}
    assert [line.text for line in ended.log or ()] == ["working 21"]
    assert end.api.execution_log(execution.id).items == ended.log
    assert ended.progress.done == ended.progress.total > 0
    assert "42" in end.api.execution_notebook(execution.id)
    types = [event.type for event in end.api.events(after=0, limit=500, subject_id=execution.id).items]
    assert types[0] == "ExecutionCreated"
    assert types[-1] == "ExecutionEnded"
    end.api.delete_execution(execution.id)
    assert ended.notebook is not None
    assert not (end.workspace / ended.notebook).exists()


def test_a_failure_shows_its_cell_and_keeps_the_notebook(end: End) -> None:
    execution = end.api.start_execution(StartExecution(flow_name=end.flow("print('so far')", "1 / 0")))
    ended = end.api.wait(execution.id, timeout=timedelta(seconds=60))
    assert ended.status is Status.ENDED_ERROR, ended
    assert ended.error is not None
    assert ended.error.name == "ZeroDivisionError"
    assert ended.error.traceback
    assert "so far" in end.api.execution_notebook(execution.id)


def test_a_script_runs_like_a_flow(end: End) -> None:
    execution = end.api.start_execution(StartExecution(script="this.set_output('here', True)"))
    assert execution.type is ExecutionType.SCRIPT
    assert execution.flow_name is None
    assert end.api.wait(execution.id, timeout=timedelta(seconds=60)).output_value == {"here": True}


def test_cancelling_a_tree_ends_what_is_there_and_refuses_when_nothing_is(end: End) -> None:
    execution = end.later(end.flow())
    assert end.api.cancel_execution(execution.id, tree=True).status is Status.ENDED_CANCELLED
    with pytest.raises(errors.IllegalTransition):
        end.api.cancel_execution(execution.id, tree=True)
    asked = {"action": "cancel", "ids": [execution.id], "tree": True}
    [item] = end.api.bulk_executions(BulkRequest.model_validate(asked)).items
    assert item.error is not None
    assert item.error.code == "illegal_transition"
