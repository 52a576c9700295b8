"""Notebooks that are worked on by hand: kernels that a real Jupyter server started, cell by cell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from cloudo_kernel.client import Client
from cloudo_kernel.errors import Conflict
from cloudo_kernel.models import Execution, ExecutionFilter, ExecutionType, Status
from cloudo_kernel.settings import MAX_RUNNING
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

pytestmark = pytest.mark.timeout(180)


def connect(server: RunningServer, kernel: str) -> BlockingKernelClient:
    """Return a client of a kernel that answers.

    Jupyter starts a kernel again, with other ports, if another process has taken one of its ports.
    """
    client: BlockingKernelClient

    def is_ready() -> bool:
        nonlocal client
        client = BlockingKernelClient()
        client.load_connection_file(str(server.runtime / f"kernel-{kernel}.json"))
        client.start_channels()
        try:
            client.wait_for_ready(timeout=10)
        except RuntimeError:
            client.stop_channels()
            return False
        return True

    until(is_ready, what=server.log.read_text)
    return client


class Notebook:
    """A notebook that somebody opened in a kernel, as JupyterLab does it."""

    def __init__(self, server: RunningServer, path: str, *, kernel: str = "cloudo") -> None:
        self.http = httpx.Client(base_url=server.url, headers={"Authorization": f"token {server.token}"}, timeout=60)
        wanted = {"path": path, "name": Path(path).name, "type": "notebook", "kernel": {"name": kernel}}
        reply = self.http.post("api/sessions", json=wanted)
        assert reply.status_code == 201, reply.text
        self.session, self.kernel = reply.json()["id"], reply.json()["kernel"]["id"]
        self.client = connect(server, self.kernel)

    def run(self, source: str) -> tuple[str, dict[str, Any]]:
        """Run a cell; return what it printed, and the kernel's reply."""
        said: list[str] = []
        reply = self.client.execute_interactive(
            source, timeout=60, output_hook=lambda message: said.append(message["content"].get("text", ""))
        )
        if reply["content"]["status"] == "aborted":  # after an error ipykernel drops what comes within a moment
            return self.run(source)
        return "".join(said).strip(), reply["content"]

    def ask(self, source: str) -> Any:
        """Run a cell that prints JSON."""
        said, reply = self.run(source)
        assert reply["status"] == "ok", reply
        return json.loads(said)

    def do(self, source: str) -> str:
        said, reply = self.run(source)
        assert reply["status"] == "ok", reply
        return said

    def close(self) -> None:
        self.client.stop_channels()
        self.http.delete(f"api/sessions/{self.session}")
        self.http.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        # Kernels inherit the proxy; the way to their own server must not lead there.
        server = servers.start(None, "--Cloudo.user_name=ada", environment={"http_proxy": "http://127.0.0.1:9"})
        write_flow(server.workspace, "team/by hand", "this.log(n)", parameters="n = 5\nwho: str")
        write_flow(server.workspace, "child", "this.set_output('got', n)", parameters="n = 1")
        write_flow(server.workspace, "endless", "import time\nwhile True: time.sleep(0.1)")
        yield server


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def open_notebook(server: RunningServer) -> Iterator[Callable[..., Notebook]]:
    opened: list[Notebook] = []

    def open_notebook(path: str = "flows/team/by hand.ipynb") -> Notebook:
        opened.append(Notebook(server, path))
        return opened[-1]

    yield open_notebook
    for notebook in opened:
        notebook.close()


@pytest.fixture
def notebook(open_notebook: Callable[..., Notebook]) -> Notebook:
    return open_notebook()


def by_hand(api: Client) -> list[Execution]:
    """Return the interactive executions, newest first."""
    return [one for one in api.executions(limit=500).items if one.type is ExecutionType.INTERACTIVE]


def test_a_notebook_by_hand_is_recorded_from_its_first_write_to_its_kernels_end(
    notebook: Notebook, api: Client, server: RunningServer
) -> None:
    before = len(by_hand(api))
    seen = notebook.ask(
        "import json\nprint(json.dumps([this.id, this.get('flow_name'), this.get('type'), this.get('input_value'), "
        "this.get('user_name'), system.flow('child').name]))"
    )
    assert seen[1:] == ["team/by hand", "INTERACTIVE", {"n": 5}, "ada", "child"]
    assert len(by_hand(api)) == before
    notebook.do("this.log('begin', n=1)\nthis.set_output('rows', 3)\nthis.set_output('list', 1, append=True)")
    notebook.do("this.save(message='half way')\nthis.set_output('list', 2, append=True)")
    until(lambda: api.execution(seen[0]).log)
    record = api.execution(seen[0])
    assert (record.type, record.status, record.flow_name) == (ExecutionType.INTERACTIVE, Status.RUNNING, "team/by hand")
    assert (record.message, record.output_value) == ("half way", {"rows": 3, "list": [1, 2]})
    assert [line.text for line in record.log or ()] == ["begin n=1"]
    assert (record.user_name, record.trigger, record.attempt) == ("ada", "cell", 1)
    assert api.execution_source(record.id) == (server.workspace / "flows/team/by hand.ipynb").read_text()
    assert notebook.do("print(this.id, this.load('message'))") == f"{record.id} half way"
    notebook.http.delete(f"api/sessions/{notebook.session}")
    until(lambda: api.execution(record.id).is_ended)
    ended = api.execution(record.id)
    assert (ended.status, ended.message, ended.error) == (Status.ENDED_SUCCESS, "half way", None)
    assert ended.expires_at is not None


def test_it_holds_no_slot_and_is_neither_paused_nor_retried(notebook: Notebook, api: Client) -> None:
    api.save_setting(MAX_RUNNING, 1)
    try:
        notebook.do("this.log('here')")
        mine = notebook.do("print(this.id)")
        assert notebook.do("print(system.flow('child').run().outputs)") == "{'got': 1}"
    finally:
        api.delete_setting(MAX_RUNNING)
    with pytest.raises(Conflict, match="cannot be paused"):
        api.pause_execution(mine)
    api.cancel_execution(mine)
    with pytest.raises(Conflict, match="cannot be retried"):
        api.retry_execution(mine)


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_restart_and_a_kill_end_it_in_success(
    server: RunningServer, notebook: Notebook, api: Client, how: str
) -> None:
    pid, mine = notebook.ask("import json, os\nthis.log('x')\nprint(json.dumps([os.getpid(), this.id]))")
    if how == "kill":
        psutil.Process(pid).send_signal(signal.SIGKILL)
    else:
        notebook.http.post(f"api/kernels/{notebook.kernel}/restart")
    until(lambda: api.execution(mine).is_ended, seconds=20)
    assert api.execution(mine).status is Status.ENDED_SUCCESS
    until(lambda: not psutil.pid_exists(pid))
    notebook.client.stop_channels()
    notebook.client = connect(server, notebook.kernel)
    assert notebook.do("this.log('again')\nprint(this.id)") != mine


def test_a_process_that_the_notebook_forked_does_not_keep_it(notebook: Notebook, api: Client) -> None:
    pid, child, mine = notebook.ask(
        "import json, os, time\nthis.log('x')\nchild = os.fork()\n"
        "if child == 0:\n    os.setsid()\n    time.sleep(99)\n    os._exit(0)\n"
        "print(json.dumps([os.getpid(), child, this.id]))"
    )
    try:
        psutil.Process(pid).send_signal(signal.SIGKILL)
        until(lambda: api.execution(mine).status is Status.ENDED_SUCCESS)
        assert psutil.pid_exists(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_success_by_hand_ends_the_execution_and_the_next_write_begins_another(notebook: Notebook, api: Client) -> None:
    first = notebook.do("this.log('one')\nprint(this.id)")
    said, reply = notebook.run("this.success('enough')\nprint('not reached')")
    assert reply["status"] == "error"  # so that "run all" stops here, as a run does
    assert said == "Ended in success: enough\nA run would end here; what you do next is a new execution."
    assert (api.execution(first).status, api.execution(first).message) == (Status.ENDED_SUCCESS, "enough")
    second = notebook.do("print(this.id)")
    assert second != first
    notebook.do("this.set_output('a', 1)")
    assert api.execution(second).output_value == {"a": 1}
    notebook.run("this.error('no')")
    assert api.execution(second).status is Status.ENDED_ERROR


def test_after_a_cancel_from_outside_the_next_write_begins_another(notebook: Notebook, api: Client) -> None:
    first = notebook.do("this.log('one')\nprint(this.id)")
    api.cancel_execution(first)
    assert api.execution(first).status is Status.ENDED_CANCELLED
    notebook.do("this.set_output('a', 1)")
    second = notebook.do("this.load('status')\nprint(this.id)")
    assert second != first
    assert api.execution(second).output_value == {"a": 1}
    assert api.execution(first).output_value == {}
    api.cancel_execution(second)
    notebook.do("this.log('only a line')")
    until(lambda: by_hand(api)[0].id not in (first, second))
    until(lambda: [line.text for line in api.execution(by_hand(api)[0].id).log or ()] == ["only a line"])


def test_children_by_hand_have_it_as_their_parent(notebook: Notebook, api: Client) -> None:
    said = notebook.do(
        "one = this.flow('child', n=7)\ntwo = this.flow('child', wait=False, stranger=1)\n"
        "this.wait_for(two)\nprint(one.outputs, two.status, this.id)"
    )
    assert said.startswith("{'got': 7} ENDED_SUCCESS ")
    mine = said.split()[-1]
    children = api.executions(ExecutionFilter(parent_id=mine)).items
    assert [(child.flow_name, child.user_name, child.trigger) for child in children] == [("child", "ada", "flow")] * 2
    endless = notebook.do("child = system.flow('endless').start()\nprint(child.id)")
    assert api.execution(endless).parent_id == mine
    api.cancel_execution(mine)
    until(lambda: api.execution(endless).status is Status.ENDED_CANCELLED)


def test_an_interrupted_wait_leaves_the_notebook_usable(notebook: Notebook, api: Client) -> None:
    endless = notebook.do("child = this.flow('endless', wait=False)\nprint(child.id)")
    message = notebook.client.execute("print('begun'); this.wait_for(child)")
    while notebook.client.get_iopub_msg(timeout=20)["content"].get("text") != "begun\n":
        pass
    notebook.http.post(f"api/kernels/{notebook.kernel}/interrupt")
    reply = notebook.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != message:
        reply = notebook.client.get_shell_msg(timeout=20)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert api.execution(endless).status is Status.RUNNING or not api.execution(endless).is_ended
    assert notebook.do("this.log('on')\nchild.cancel()\nthis.wait_for(child, return_when='ALL_ENDED')\nprint(1)") == "1"


def test_settings_locks_and_files_work_by_hand(notebook: Notebook, api: Client) -> None:
    said = notebook.do(
        "with system.setting('team.by.hand') as lock:\n    lock.save(1)\n    print(lock.load('locked_by') == this.id)\n"
        "system.setting('team.by.hand').acquire()\nprint(system.file('hand.txt', 'x').get())"
    )
    assert said == "True\nx"
    mine = notebook.do("print(this.id)")
    assert api.setting("team.by.hand").locked_by == mine
    notebook.run("this.success()")
    assert api.setting("team.by.hand").locked_by is None


def test_results_by_hand_are_kept_and_shown_on_the_card(notebook: Notebook, api: Client) -> None:
    notebook.do("this.show('number', 42)")
    assert "<b>number</b></small></div><pre>42</pre>" in notebook.do("print(this._repr_html_())")
    [kept] = api.execution_results(notebook.do("print(this.id)"))
    assert (kept.name, kept.types) == ("number", ("text/plain",))
    child = 'this.script(\'this.show("inner", "of the child")\')'
    assert "<pre>of the child</pre>" in notebook.do(f"child = {child}\nprint(child._repr_html_())")
    shown: list[str] = []
    notebook.client.execute_interactive(
        f"{child};", timeout=60, output_hook=lambda message: shown.append(str(message["content"].get("data")))
    )
    assert any("<pre>of the child</pre>" in one for one in shown)  # the progress ends as the card


def test_errors_name_what_is_wrong(notebook: Notebook) -> None:
    for source, name in (
        ("this.flow('no such flow')", "FlowNotFound"),
        ("this.set_output('x', object())", "MalformedRequest"),
        ("this.save(status='ENDED_SUCCESS')", "PermissionDenied"),
        ("system.setting('client.input.timeout.minutes', value='x')", "SettingInvalid"),
        ("this.log(1)\nthis.wait_for(this)", "DependencyCycle"),
        (
            # The child comes to its wait when this one waits already.
            "this.wait_for(this.script('import time\\ntime.sleep(2)\\n'\n"
            "    'system.execution(this.get(\"parent_id\")).wait()', wait=False))",
            "DependencyFailedError",
        ),
    ):
        _, reply = notebook.run(source)
        assert (reply["status"], reply["ename"]) == ("error", name), source


def test_a_value_that_is_too_large_does_not_end_the_execution(notebook: Notebook, api: Client) -> None:
    mine = notebook.do("this.log('here')\nprint(this.id)")
    for source, name in (
        ("this.set_output('x', 'y' * 100_000_000)", "TooLarge"),
        ("this.set_output('x', 'y' * 20_000_000)", "MalformedRequest"),
        ("system.file('x', b'\\xff' * 17_000_000)", "TooLarge"),
    ):
        _, reply = notebook.run(source)
        assert (reply["status"], reply["ename"]) == ("error", name), reply
    notebook.do("this.set_output('x', 'y' * 15_000_000)\nsystem.file('large', b'\\xff' * 16_000_000)")
    assert notebook.do("print(this.id)") == mine
    assert len(api.execution(mine).output_value["x"]) == 15_000_000


@pytest.mark.parametrize("path", ["elsewhere.ipynb", "flows/../plain.ipynb", "flows/team/unsaved.ipynb"])
def test_a_notebook_that_is_no_flow_has_no_flow_name(open_notebook: Callable[..., Notebook], path: str) -> None:
    name = json.loads(open_notebook(path).do("import json\nthis.log(1)\nprint(json.dumps(this.load('flow_name')))"))
    assert name == ("team/unsaved" if "unsaved" in path else None)


def test_a_renamed_notebook_has_its_new_name(notebook: Notebook) -> None:
    notebook.http.patch(f"api/sessions/{notebook.session}", json={"path": "flows/team/renamed.ipynb"})
    assert notebook.do("this.log('x')\nprint(this.load('flow_name'))") == "team/renamed"


def test_ten_thousand_lines_are_kept_in_order(notebook: Notebook, api: Client) -> None:
    mine = notebook.do("for n in range(10_000): this.log(n)\nprint(this.id)")
    until(lambda: [line.text for line in api.execution(mine).log or ()][-1:] == ["9999"])
    assert [line.text for line in api.execution_log(mine, limit=500).items] == [str(n) for n in range(500)]


def test_a_server_that_stops_or_dies_ends_them_in_success(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start()
        for how in (signal.SIGTERM, signal.SIGKILL):
            notebook = Notebook(server, "flows/a.ipynb")
            mine = notebook.do("this.log('x')\nprint(this.id)")
            notebook.client.stop_channels()
            notebook.http.close()
            server.stop(how)
            server = servers.start(server.workspace)
            with server.client() as api:
                until(lambda: api.execution(mine).is_ended, seconds=60)  # noqa: B023 -- it is called here
                assert api.execution(mine).status is Status.ENDED_SUCCESS


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without a server."""
    for name in [name for name in os.environ if name.startswith(("CLOUDO_", "JPY_"))]:
        monkeypatch.delenv(name)
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    (tmp_path / "ws" / ".cloudo").mkdir(parents=True)
    write_flow(tmp_path / "ws", "child", "this.set_output('got', n)", parameters="n = 1")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "ws" / "flows" / "child.ipynb"))
    return tmp_path / "ws"


@pytest.mark.parametrize("how", ["shut down", "killed"])
def test_without_a_server_the_kernel_answers_for_itself(alone: Path, how: str) -> None:
    def said(source: str) -> str:
        printed: list[str] = []
        client.execute_interactive(
            source, timeout=60, output_hook=lambda message: printed.append(message["content"].get("text", ""))
        )
        return "".join(printed).strip()

    first = _cloudo(alone, "run", "child", "--json")
    kernels, client = start_new_kernel(kernel_name="cloudo", cwd=str(alone), startup_timeout=60)
    try:
        mine = said("this.log('x')\nprint(this.id)")
        # The first that asks for a worker is no start.
        assert said(f"print(system.execution({first['id']!r}).clone({{'n': 2}}).run().outputs)") == "{'got': 2}"
        assert said("print(this.load('flow_name'), this.flow('child', n=3).outputs)") == "child {'got': 3}"
        assert said("print(this.load('status'))") == "RUNNING"
        if how == "killed":
            kernels.signal_kernel(signal.SIGKILL)
    finally:
        client.stop_channels()
        kernels.shutdown_kernel()
    shown = _cloudo(alone, "show", mine, "--json")
    assert shown["status"] == "ENDED_SUCCESS"
    assert shown["log"][0]["text"] == "x"


def _cloudo(workspace: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cloudo_kernel", *words]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return dict(json.loads(done.stdout))
