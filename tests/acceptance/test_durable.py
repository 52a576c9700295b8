"""Durable flows: what they did is not done again, and while they wait they need no process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until
from tests.workers import end_worker, processes, start_worker

Start = Callable[..., str]
#: Begins a flow whose kernel dies at `die_once()`, in its first attempt.
MORTAL = (
    "import os, pathlib\n"
    "is_first = not pathlib.Path('died').exists()\n"
    "def die_once():\n"
    "    pathlib.Path('died').touch()\n"
    "    if is_first: os.kill(os.getpid(), 9)\n"
)
#: It has the flow's own folder as its folder, as all flows have.
CHILD = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)\nthis.set_output('answer', 42)"
PARENT = (
    "import pathlib\n"
    "with pathlib.Path('runs').open('a') as runs: runs.write('x')\n"
    "this.log('before')\n"
    "this.set_output('pid', __import__('os').getpid())",
    "child = this.flow('child')\n"
    "this.log('after', answer=child.outputs['answer'])\n"
    "this.set_output('answer', child.outputs['answer'])",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "child", CHILD)
    return workspace


@pytest.fixture
def worker(store: Store, workspace: Workspace) -> Iterator[Worker]:
    worker = Worker(store, Catalog(workspace), linger_seconds=0.3)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def start(api: Service, workspace: Workspace) -> Start:
    """Write a durable flow and start it."""

    def start(*sources: str, **metadata: object) -> str:
        write_flow(workspace.root, "parent", *sources, metadata={"durable": True, **metadata})
        return api.start_execution(StartExecution(flow_name="parent")).id

    return start


def ended(api: Service, execution_id: str) -> Execution:
    return api.wait(execution_id, timeout=timedelta(seconds=60))


def until_let_go(api: Service, execution_id: str) -> None:
    """Wait until the execution waits and its kernel has ended."""
    until(lambda: api.execution(execution_id).status is Status.WAITING, what=lambda: api.execution(execution_id))
    pid = api.execution(execution_id).output_value["pid"]
    until(lambda: not psutil.pid_exists(pid))
    assert api.execution(execution_id).status is Status.WAITING


def texts(api: Service, execution_id: str) -> list[str]:
    return [line.text for line in api.execution(execution_id).log or ()]


@pytest.mark.usefixtures("worker")
def test_a_flow_that_waits_long_needs_no_process_and_goes_on_where_it_was(
    api: Service, workspace: Workspace, start: Start
) -> None:
    parent = start(*PARENT)
    until_let_go(api, parent)
    (workspace.root / "flows" / "go").touch()
    record = ended(api, parent)
    assert record.status is Status.ENDED_SUCCESS, record
    assert record.output_value["answer"] == 42
    assert texts(api, parent) == ["before", "after answer=42"]
    assert len(api.executions().items) == 2  # one child
    assert (workspace.root / "flows" / "runs").read_text() == "xx"
    assert record.attempt == 2
    cells = json.loads(api.execution_notebook(parent))["cells"]
    assert all(cell["metadata"]["papermill"]["status"] == "completed" for cell in cells)


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


@pytest.mark.usefixtures("worker")
def test_a_cancel_reaches_one_that_was_let_go_and_its_children(api: Service, start: Start) -> None:
    parent = start(*PARENT)
    until_let_go(api, parent)
    api.cancel_execution(parent)
    assert ended(api, parent).status is Status.ENDED_CANCELLED
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    assert ended(api, child.id).status is Status.ENDED_CANCELLED


@pytest.mark.usefixtures("worker")
def test_one_that_was_let_go_can_be_paused_and_resumed(api: Service, workspace: Workspace, start: Start) -> None:
    parent = start(*PARENT)
    until_let_go(api, parent)
    api.pause_execution(parent)
    (workspace.root / "flows" / "go").touch()
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    assert ended(api, child.id).status is Status.ENDED_SUCCESS
    assert api.execution(parent).status is Status.PAUSED
    api.resume_execution(parent)
    assert ended(api, parent).status is Status.ENDED_SUCCESS


@pytest.mark.usefixtures("worker")
def test_an_answer_wakes_a_flow_that_was_let_go(api: Service, start: Start) -> None:
    asking = start(
        "import os, pathlib\n"
        "with pathlib.Path('runs').open('a') as runs: runs.write('x')\n"
        "this.set_output('pid', os.getpid())\n"
        "answer = system.message('Who?', request='Your name').wait().get('response')['response']\n"
        "this.success(answer)"
    )
    until_let_go(api, asking)
    [message] = api.messages(unanswered=True).items
    api.answer_message(message.id, {"response": "Ada"})
    record = ended(api, asking)
    assert (record.status, record.message, record.attempt) == (Status.ENDED_SUCCESS, "Ada", 2), record
    assert len(api.messages().items) == 1


@pytest.mark.usefixtures("worker")
def test_an_expired_request_wakes_a_flow_that_was_let_go(api: Service, start: Start) -> None:
    asking = start(
        "from flow_api import MessageResponseTimeoutError\n"
        "this.set_output('pid', __import__('os').getpid())\n"
        "try: system.message('Who?', request='Your name', timeout_seconds=3).wait()\n"
        "except MessageResponseTimeoutError: this.success('nobody')"
    )
    until_let_go(api, asking)
    record = ended(api, asking)
    assert (record.status, record.message) == (Status.ENDED_SUCCESS, "nobody"), record


@pytest.mark.usefixtures("worker")
def test_a_moment_wakes_a_flow_that_was_let_go(api: Service, start: Start) -> None:
    sleeping = start(
        "import time\n"
        "this.set_output('pid', __import__('os').getpid())\n"
        "this.set_output('begun', time.time())\n"
        "this.sleep(3)\n"
        "this.set_output('woken', time.time())"
    )
    until_let_go(api, sleeping)
    record = ended(api, sleeping)
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2), record
    assert record.output_value["woken"] - record.output_value["begun"] >= 3


def test_a_worker_that_stops_keeps_what_waits_and_another_one_wakes_it(
    api: Service, store: Store, workspace: Workspace, start: Start
) -> None:
    write_flow(workspace.root, "child", CHILD, metadata={"retries": 1})
    worker = Worker(store, Catalog(workspace), linger_seconds=60)
    worker.start()
    parent = start(*PARENT)
    until(lambda: api.execution(parent).status is Status.WAITING)
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    until(lambda: api.execution(child.id).status is Status.RUNNING)
    worker.stop()
    assert api.execution(parent).status is Status.WAITING
    (workspace.root / "flows" / "go").touch()
    another = Worker(store, Catalog(workspace), linger_seconds=60)
    another.start()
    try:
        record = ended(api, parent)
    finally:
        another.stop()
    assert (record.status, record.output_value["answer"]) == (Status.ENDED_SUCCESS, 42), record


def test_kill_9_of_everything_doubles_no_child_and_loses_no_wait(
    api: Service, workspace: Workspace, start: Start
) -> None:
    write_flow(workspace.root, "child", CHILD, metadata={"retries": 3})
    first = start_worker(workspace.root, "--linger", "0.3")
    try:
        parent = start(*PARENT)
        until(lambda: api.execution(parent).status is Status.WAITING, seconds=60)
        [child] = [one for one in api.executions().items if one.parent_id == parent]
        until(lambda: api.execution(child.id).status is Status.RUNNING, seconds=60)
        for process in processes(workspace.root):
            process.kill()
    finally:
        end_worker(first)
    (workspace.root / "flows" / "go").touch()
    second = start_worker(workspace.root)
    try:
        record = ended(api, parent)
    finally:
        end_worker(second)
    assert record.status is Status.ENDED_SUCCESS, record
    assert record.output_value["answer"] == 42
    assert [one.id for one in api.executions().items if one.flow_name == "child"] == [child.id]
    assert [text for text in texts(api, parent) if "cut off" not in text] == ["before", "after answer=42"]
