"""Durable flows: what they did is not done again."""

from __future__ import annotations

import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.durable.flows import MORTAL, Start, ended, texts

pytestmark = pytest.mark.db


@pytest.mark.usefixtures("worker")
def test_a_kernel_that_dies_is_followed_by_a_replay(api: Service, workspace: Workspace, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "child = this.flow('child', wait=False)\n"
            "this.log('started')\n"
            "this.set_output('ids', [child.id], append=True)\n"
            "die_once()",
            "pathlib.Path('go').touch()\nchild.wait()\nthis.success(child.status)",
        ),
    )
    assert (record.status, record.message) == (Status.ENDED_SUCCESS, "ENDED_SUCCESS"), record
    children = [one.id for one in api.executions().items if one.flow_name == "child"]
    assert record.output_value["ids"] == [children]
    assert [text for text in texts(api, record.id) if text == "started"] == ["started"]
    assert "Attempt 1 was cut off" in texts(api, record.id)[-1]


@pytest.mark.usefixtures("worker")
def test_a_replay_makes_no_second_schedule(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL
            + "made = system.schedule('child', every_seconds=3600, start='2035-01-01T00:00Z', wait=False)\n"
            + "filled = made.backfill('2025-01-01T00:00Z', '2025-01-01T01:30Z')\ndie_once()",
            "made.save(name='changed').pause()",
            "this.set_output('ids', [made.id, *(one.execution_id for one in filled)])",
        ),
    )
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2), record
    [made] = api.schedules().items
    assert (made.name, made.enabled) == ("changed", False)
    past = [one.execution_id for one in api.occurrences(made.id).items[::-1]]
    assert record.output_value["ids"] == [made.id, *past]
    assert len(past) == 2


@pytest.mark.usefixtures("worker")
def test_a_replay_shows_no_result_again(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "this.show('early', 'first' if is_first else 'second')\nthis.show('both', 'x' * 100_000)",
            "die_once()\nthis.show('both', 'replaced')\nthis.set_output('names', list(this.results()))",
        ),
    )
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2), record
    assert record.output_value["names"] == ["early", "both"]
    assert api.execution_result(record.id, "early").data == {"text/plain": "first"}
    assert api.execution_result(record.id, "both").data == {"text/plain": "replaced"}


@pytest.mark.usefixtures("worker")
def test_a_flow_that_dies_again_and_again_gives_up(api: Service, start: Start) -> None:
    record = ended(api, start("this.log('here')", "import os; os.kill(os.getpid(), 9)"))
    assert (record.status, record.error and record.error.name) == (Status.ENDED_ERROR, "KernelDied")
    assert record.attempt == 5


@pytest.mark.usefixtures("worker")
def test_a_replay_that_differs_ends_in_an_error_that_shows_both_calls(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            f"{MORTAL}\nthis.set_output('first' if is_first else 'second', 1)\ndie_once()",
            "this.log('not reached')",
        ),
    )
    assert record.error is not None
    assert (record.status, record.error.name) == (Status.ENDED_ERROR, "ReplayDiffers"), record
    assert "set_output(key='second')" in record.error.value
    assert "set_output(key='first')" in record.error.value
    assert record.output_value == {"first": 1}


@pytest.mark.usefixtures("worker")
def test_a_replay_that_differs_fails_whatever_the_flow_makes_of_the_error(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "try:\n    this.set_output('first' if is_first else 'second', 1)\nexcept Exception: pass\n"
            "die_once()",
        ),
    )
    assert (record.status, record.error and record.error.name) == (Status.ENDED_ERROR, "ReplayDiffers"), record


@pytest.mark.usefixtures("worker")
def test_a_step_is_done_once_with_the_calls_that_it_makes(api: Service, workspace: Workspace, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "import random\n"
            "def draw(most):\n    this.log('drawn')\n    return random.randrange(most)\n"
            "this.set_output('drawn', this.step(draw, 10**9))\n"
            "with pathlib.Path('seen').open('a') as seen: seen.write(f\"{this.step(draw, 10**9)} \")\n"
            "die_once()",
        ),
    )
    assert record.status is Status.ENDED_SUCCESS, record
    first, second = (workspace.root / "flows" / "seen").read_text().split()
    assert first == second
    assert [text for text in texts(api, record.id) if text == "drawn"] == ["drawn", "drawn"]


@pytest.mark.usefixtures("worker")
def test_a_step_that_fails_is_not_done_again_and_fails_the_same_way(
    api: Service, workspace: Workspace, start: Start
) -> None:
    record = ended(
        api,
        start(
            MORTAL + "import json\n"
            "class Own(Exception): pass\n"
            "def fail(how):\n"
            "    with pathlib.Path('tries').open('a') as tries: tries.write('x')\n"
            "    this.log('failing')\n"
            "    if how == 'file': open('/no such file')\n"
            "    if how == 'json': json.loads('{')\n"
            "    raise Own('a', 1)\n"
            "for how in ('file', 'json', 'own'):\n"
            "    try: this.step(fail, how)\n"
            "    except (FileNotFoundError, json.JSONDecodeError, Own) as error:\n"
            "        said = f'{type(error).__name__}: {error}'\n"
            "        with pathlib.Path('said').open('a') as file: file.write(said + '\\n')\n"
            "try: this.step(this.flow, 'no such flow')\n"
            "except Exception as error: this.set_output('missing', type(error).__name__)\n"
            "die_once()",
        ),
    )
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2), record
    assert (workspace.flows / "tries").read_text() == "xxx"
    said = (workspace.flows / "said").read_text().splitlines()
    assert said[:3] == said[3:]
    assert [line.split(":")[0] for line in said[:3]] == ["FileNotFoundError", "JSONDecodeError", "Own"]
    assert texts(api, record.id)[:3] == ["failing"] * 3
    assert record.output_value == {"missing": "FlowNotFound"}


@pytest.mark.usefixtures("worker")
def test_a_step_whose_inner_step_fails_keeps_its_own_result(api: Service, workspace: Workspace, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "def inner(): raise ValueError('no')\n"
            "def outer():\n"
            "    with pathlib.Path('tries').open('a') as tries: tries.write('x')\n"
            "    try: this.step(inner)\n"
            "    except ValueError: return 'caught'\n"
            "this.set_output('outer', this.step(outer))\n"
            "this.set_output('after', this.step(len, 'abc'))\n"
            "die_once()",
        ),
    )
    assert (record.status, record.output_value) == (Status.ENDED_SUCCESS, {"outer": "caught", "after": 3}), record
    assert (workspace.flows / "tries").read_text() == "x"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("early", ["this.success('enough')", "1"])
def test_a_replay_that_ends_before_it_made_all_calls_differs(api: Service, start: Start, early: str) -> None:
    record = ended(
        api,
        start(
            f"{MORTAL}\nif is_first:\n    this.set_output('a', 1)\n    die_once()\nelse:\n    {early}",
        ),
    )
    assert record.error is not None
    assert (record.status, record.error.name) == (Status.ENDED_ERROR, "ReplayDiffers"), record
    assert "is end(); the record has set_output(key='a')" in record.error.value


@pytest.mark.usefixtures("worker")
def test_calls_of_other_threads_are_refused(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(1) as pool: pool.submit(this.set_output, 'a', 1).result()"
        ),
    )
    assert record.error is not None
    assert "only the main thread" in record.error.value


@pytest.mark.usefixtures("worker")
def test_errors_are_recorded_too(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "try: this.flow('later')\n"
            "except Exception as error: this.set_output('error', str(error))\n"
            "pathlib.Path('later.ipynb').write_text(pathlib.Path('child.ipynb').read_text())\n"
            "die_once()",
        ),
    )
    assert record.status is Status.ENDED_SUCCESS, record
    assert "no flow 'later'" in record.output_value["error"]
    assert len(api.executions().items) == 1


@pytest.mark.usefixtures("worker")
def test_a_retry_begins_anew(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            MORTAL + "pathlib.Path('died').touch()\n"
            "this.set_output('first' if is_first else 'second', 1)\n"
            "assert not is_first",
            retries=1,
        ),
    )
    assert (record.status, record.output_value) == (Status.ENDED_SUCCESS, {"second": 1})
