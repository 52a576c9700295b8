"""Workers, the queue and the documented settings, over both ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from cloudo_kernel import errors, settings
from cloudo_kernel.models import StartExecution, Status
from tests.contract.conftest import End
from tests.server import until

pytestmark = pytest.mark.db

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    10**6,
    10**9,
    "",
    "tls",
    "a@b.example",
    ["a@b.example"],
    [1],
    {},
    "x" * 2000,
)


def test_a_paused_queue_starts_nothing(end: End) -> None:
    flow = end.flow()
    try:
        assert end.api.pause_queue().paused
        waiting = end.api.start_execution(StartExecution(flow_name=flow)).id
        assert end.api.wait(waiting, timeout=timedelta(seconds=1)).status is Status.PENDING
        assert end.api.queue().pending >= 1
        assert end.api.health().queue_paused
    finally:
        assert not end.api.resume_queue().paused
    assert end.api.wait(waiting, timeout=timedelta(seconds=60)).status is Status.ENDED_SUCCESS
    assert not end.api.health().queue_paused


def test_workers_say_what_they_run(end: End) -> None:
    flow = end.flow("import time\nwhile True: time.sleep(0.1)")
    running = end.api.start_execution(StartExecution(flow_name=flow)).id
    until(lambda: any(running in one.running for one in end.api.workers()))
    [worker] = [one for one in end.api.workers() if running in one.running]
    assert not worker.private
    assert worker.pid > 0
    assert worker.slots >= 1
    assert 0 <= worker.lease_age_seconds < 60
    end.api.cancel_execution(running)
    end.api.wait(running, timeout=timedelta(seconds=60))
    until(lambda: not any(running in one.running for one in end.api.workers()))


def test_documented_settings_are_described(end: End) -> None:
    found = {one.name: one for one in end.api.documented_settings()}
    assert found.keys() == settings.DOCUMENTED.keys()
    name = "client.execution.max_depth"
    assert (found[name].default, found[name].value, found[name].pattern) == (50, 50, "user.*.execution.max_depth")
    assert found["client.execution.max_running"].pattern is None
    end.api.save_setting(name, 7)
    assert {one.name: one.value for one in end.api.documented_settings()}[name] == 7
    end.api.delete_setting(name)
    with pytest.raises(errors.SettingInvalid):
        end.api.create_setting("documented", 1)


@pytest.mark.parametrize("name", settings.DOCUMENTED)
def test_a_schema_accepts_what_the_setting_accepts(name: str) -> None:
    validator = jsonschema.Draft7Validator(settings.schema_of(name))
    validator.check_schema(validator.schema)
    for value in VALUES:
        if name != "client.timezone":  # no schema knows the zones
            assert validator.is_valid(value) == settings.fits(name, value), value
