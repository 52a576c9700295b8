"""Settings, locks and files as flows use them: real kernels, through a local connection."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.errors import MalformedRequest, NoSuchFile, PathInvalid, SettingNotFound
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.settings import MAX_RUNNING
from tests.server import until

Start = Callable[..., Execution]
Run = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace é")


@pytest.fixture(scope="module")
def system(workspace: Path) -> Iterator[System]:
    system = cloudo.connect(str(workspace))
    yield system
    system.api.close()


@pytest.fixture
def start(system: System) -> Start:
    """Start source as a script, without waiting."""
    return lambda source, **more: Execution(
        system.api, system.api.start_execution(StartExecution(script=source, **more))
    )


@pytest.fixture
def run(start: Start) -> Run:
    """Run source as a script to its success, and return what it put out."""

    def run(source: str) -> dict[str, Any]:
        execution = start(source).wait(60)
        assert execution.status is Status.ENDED_SUCCESS, (execution.record.error, execution.record.message)
        return execution.outputs

    return run


SETTINGS = """
from flow_api import ResourceNotFoundError
setting = system.setting("team.plan")
found = [setting.exists()]
try:
    setting.get("value")
except ResourceNotFoundError as error:
    found.append(str(error))
setting.save(value={"north": (1, 2)})
found += [setting.get("value"), setting.exists(), setting.get("modified_by") == system.get_own_user().name]
other = system.setting(name="team.plan", value=None)
found += [setting.get("value"), setting.load("value"), system.setting("team.plan").get("value")]
setting.set(value=[1])
found += [setting.get(), setting.load()]
setting.set([2]).save()
found += [other.load(), "team.plan" in [one.name for one in system.settings()]]
setting.delete()
found += [setting.exists(), system.setting("client.input.timeout.minutes").get(), system.setting(
    "client.input.timeout.minutes").exists()]
"""
SAID = [
    *(False, "There is no setting 'team.plan'.", {"north": [1, 2]}, True, True, {"north": [1, 2]}, None, None),
    *([1], None, [2], True, False, 10, False),
]


def test_a_flow_uses_settings_as_a_program_outside_does(run: Run, system: System) -> None:
    assert run(f"{SETTINGS}\nthis.set_output('found', found)")["found"] == SAID
    names = {"system": system, "flow_api": cloudo}
    exec(SETTINGS.replace("flow_api", "cloudo_kernel.flow_api"), names)
    assert names["found"] == SAID


def test_a_setting_that_does_not_fit_fails_the_flow_clearly(start: Start) -> None:
    failed = start("system.setting('client.input.timeout.minutes', value='soon')").wait(60)
    assert failed.record.error is not None
    assert failed.record.error.name == "SettingInvalid"
    assert "takes a number of minutes" in failed.record.error.value
    failed = start("system.setting('team.x', value={'a': object()})").wait(60)
    assert failed.record.error is not None
    assert "value['a'] is a object" in failed.record.error.value
    failed = start("system.setting('two\\nlines').acquire()").wait(60)
    assert failed.record.error is not None
    assert "a printable name of 1 to 200 characters" in failed.record.error.value


def test_a_lock_needs_an_execution(system: System) -> None:
    with pytest.raises(MalformedRequest, match="inside a flow"):
        system.setting("team.lock").acquire()


HOLDING = """
import pathlib, time
with system.setting("team.lock") as lock:
    this.set_output("held", True)
    while not pathlib.Path({path!r}).exists():
        time.sleep(0.02)
    with lock:
        pass
    this.set_output("still", [one.get("locked_by") for one in [lock] if lock.set(1).save()] == [this.id])
"""


def test_who_waits_for_a_lock_holds_no_slot_and_is_next(start: Start, system: System, tmp_path: Path) -> None:
    system.api.save_setting(MAX_RUNNING, 1)
    go = tmp_path / "go"
    try:
        first = start(HOLDING.format(path=str(go)))
        until(lambda: first.load("output_value").get("held"), seconds=60)
        system.api.save_setting(MAX_RUNNING, 2)
        second = start("with system.setting('team.lock'):\n    this.set_output('in', True)")
        until(lambda: second.load("status") is Status.WAITING, seconds=60)
        assert second.get("message") == f"waiting for the lock 'team.lock', which script ({first.id}) holds"
        assert start("1").wait(60).status is Status.ENDED_SUCCESS
        assert [one.locked_by for one in system.api.settings() if one.name == "team.lock"] == [first.id]
        go.touch()
        assert second.wait(60).outputs == {"in": True}
        assert first.wait(60).outputs == {"held": True, "still": True}
        assert [one.locked_by for one in system.api.settings() if one.name == "team.lock"] == [None]
    finally:
        system.api.delete_setting(MAX_RUNNING)


@pytest.mark.parametrize(
    "end", ["1 / 0", "this.success()", f"import os; os.kill(os.getpid(), {signal.SIGKILL})", "", "this.error('no')"]
)
def test_a_lock_ends_with_its_execution(start: Start, system: System, end: str) -> None:
    execution = start(f"system.setting('team.ends').acquire()\n{end}").wait(60)
    assert execution.load("status").is_ended
    assert [one for one in system.api.settings() if one.name == "team.ends"] == []
    assert start("system.setting('team.ends').acquire().release().release()").wait(60).status is Status.ENDED_SUCCESS


def test_a_cancelled_one_lets_go_and_a_wait_may_have_a_limit(start: Start, run: Run) -> None:
    holder = start("import time\nsystem.setting('team.long').acquire()\nthis.set_output('held', True)\ntime.sleep(99)")
    until(lambda: holder.load("output_value"), seconds=60)
    said = run(
        "from cloudo_kernel.errors import WaitTimeout\nlock = system.setting('team.long')\n"
        "try:\n    lock.acquire(timeout_seconds=0.2)\n"
        "except WaitTimeout as error:\n    this.set_output('said', str(error))"
    )
    assert f"script ({holder.id}) still holds the lock 'team.long'" in str(said["said"])
    holder.cancel()
    assert run("system.setting('team.long').acquire()\nthis.set_output('got', 1)") == {"got": 1}


FILES = """
file = system.file("made/note é.txt")
found = [file.exists(), system.file("made/note é.txt", "one\\r\\ntwo").get("content"), file.exists()]
found.append(file.get("content"))
file.save(content=b"\\xff\\x00")
found += [file.load("content") == b"\\xff\\x00", file.get("size"), file.path]
found += [file.set("three").get("content"), file.load() == b"\\xff\\x00"]
file.set("three").save()
listed = system.files("made"), system.files(glob="made/*.txt")
found += [file.get(), [one.path for one in listed[0]], [one.get() for one in listed[1]]]
file.delete()
found += [file.exists(), len(system.files(dir="made", glob="*"))]
errors = []
for path in ("../x", "/etc/passwd", ".cloudo/cloudo.sqlite", "made"):
    for act in (lambda: system.file(path).get("content"), lambda: system.file(path, "x"), system.file(path).delete):
        try:
            act()
        except Exception as error:
            errors.append(type(error).__name__)
found += [set(errors) == {"PathInvalid"}, len(errors)]
"""
FOUND = [
    *(False, "one\r\ntwo", True, "one\r\ntwo", True, 2, "made/note é.txt", "three", True, "three"),
    *(["made/note é.txt"], ["three"], False, 0, True, 12),
]


def test_a_flow_uses_files_as_a_program_outside_does(run: Run, system: System, workspace: Path) -> None:
    assert run(f"{FILES}\nthis.set_output('found', found)")["found"] == FOUND
    names: dict[str, object] = {"system": system}
    exec(FILES, names)
    assert names["found"] == FOUND
    assert list((workspace / "made").iterdir()) == []


def test_a_file_that_is_too_large_is_refused_with_the_limit(start: Start) -> None:
    failed = start("system.file('big', b'x' * 17_000_000)").wait(60)
    assert failed.record.error is not None
    assert failed.record.error.name == "TooLarge"
    assert "'big' has 16.2 MiB; up to 16 MiB" in failed.record.error.value


def test_what_is_no_content_is_refused_at_once(system: System) -> None:
    for content in (5, {"a": 1}, "\udcff"):
        with pytest.raises(MalformedRequest):
            system.file("x", content)  # type: ignore[arg-type]  # that is the point
    for field in ("encoding", "owner"):
        with pytest.raises((MalformedRequest, NoSuchFile)):
            system.file("x").get(field)
    with pytest.raises((MalformedRequest, SettingNotFound)):  # the name of the field is checked first
        system.setting("no.such").get("colour")
    with pytest.raises(PathInvalid):
        system.files("..")
