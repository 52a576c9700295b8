"""Warm starts: what is forked behaves like what is started, and the zygote may die, change or be bypassed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, StartExecution, Status
from tests.acceptance.test_by_hand import connect
from tests.flows import notebook, write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages of the server's environment."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9999,), daemon=True).start()\n"
    )
    (folder / "broken.py").write_text("1 / 0\n")
    return folder


@pytest.fixture(scope="module")
def server(servers: Servers, packages: Path) -> RunningServer:
    preload = ["threaded", "broken", "not_there", "numpy", "pandas", "matplotlib.pyplot"]
    return servers.start(
        config={"Cloudo": {"preload": preload}}, environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])}
    )


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


def run(api: Client, *sources: str, metadata: dict[str, Any] | None = None) -> Execution:
    """Run a notebook's cells to their end."""
    script = notebook(*sources, metadata=metadata)
    return api.wait(api.start_execution(StartExecution(script=script)).id, timeout=MINUTE)


def outputs(api: Client, execution: Execution) -> list[Any]:
    """Return the outputs of a run that succeeded, cell by cell."""
    assert execution.status is Status.ENDED_SUCCESS, execution.error
    made = nbformat.reads(api.execution_notebook(execution.id), as_version=4)
    return [cell.outputs for cell in made.cells if cell.cell_type == "code"]


def printed(api: Client, *sources: str) -> str:
    """Run cells and return what they printed."""
    return "".join(one.text for cell in outputs(api, run(api, *sources)) for one in cell)


def zygote(server: RunningServer) -> psutil.Process:
    """Return the server's zygote."""
    found = [one for one in psutil.Process(server.process.pid).children() if one.name() == "cloudo-zygote"]
    assert len(found) == 1, found
    return found[0]


def test_a_run_is_a_grandchild_of_the_zygote(server: RunningServer, api: Client) -> None:
    said = json.loads(printed(api, "import json, os; print(json.dumps([os.getpid(), os.getppid()]))"))
    names = printed(
        api, "import psutil\nme = psutil.Process()\nprint(me.name(), me.parent().name(), me.parent().parent().pid)"
    )
    assert names.split() == ["cloudo-kernel", "cloudo-run", str(zygote(server).pid)]
    until(lambda: not any(psutil.pid_exists(pid) for pid in said), seconds=10)


def test_modules_that_cannot_be_preloaded_are_left_out(api: Client) -> None:
    loaded = printed(api, "import sys\nprint([name in sys.modules for name in ('pandas', 'threaded', 'broken')])")
    assert loaded.strip() == "[True, False, False]"


def test_forked_runs_share_no_randomness_and_no_names(api: Client) -> None:
    source = "import random, numpy, uuid, tempfile\nprint(random.random(), numpy.random.rand(), uuid.uuid4())\n"
    source += "print(next(tempfile._get_candidate_names()))"
    assert not set(printed(api, source).split()) & set(printed(api, source).split())


def test_a_forked_kernel_does_what_any_kernel_does(api: Client, server: RunningServer) -> None:
    pictures, shell, tasks, workers, magic, where = outputs(
        api,
        run(
            api,
            "import matplotlib.pyplot as plt, pandas\nplt.plot([1, 2]);\nplt.show()\npandas.DataFrame({'a': [1]})",
            "import subprocess\nsubprocess.run(['echo', 'from a child'])\nprint('from python')\n!echo from a shell",
            "import asyncio\nasync def five():\n    await asyncio.sleep(0.01)\n    return 5\nprint(await five())",
            "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "    print(pool.map(abs, [-1, -2]))\n    pool.map(print, ['from a worker'])\n"
            "import threading\nthread = threading.Thread(target=print, args=['from a thread'])\n"
            "thread.start(), thread.join();",
            "%%bash\necho $((6 * 7))",
            "import os, sys, signal\nprint(os.getcwd(), sys.argv[1:2], signal.getsignal(signal.SIGTERM))",
        ),
    )
    assert "image/png" in pictures[0].data
    assert "text/html" in pictures[1].data
    said = "".join(one.text for one in shell)
    assert all(line in said for line in ("from a child", "from python", "from a shell"))
    assert tasks[0].text == "5\n"
    lines = ("[1, 2]\n", "from a thread\n", "from a worker\n")
    said = "".join(one.text for one in workers)
    # A worker writes its line and the line's end one after the other, and another line may come between them.
    assert all(line.strip() in said for line in lines)
    assert sorted(said) == sorted("".join(lines))
    assert magic[0].text == "42\n"
    assert where[0].text.startswith(f"{server.workspace} ['-f'] {signal.SIG_DFL}")


def test_exit_handlers_run_before_the_execution_has_ended(api: Client, tmp_path: Path) -> None:
    note = tmp_path / "note"
    execution = run(api, f"import atexit, pathlib\natexit.register(pathlib.Path({str(note)!r}).write_text, 'done')")
    assert execution.status is Status.ENDED_SUCCESS
    assert note.read_text() == "done"


def test_a_killed_zygote_takes_its_runs_along_and_is_followed_by_another(server: RunningServer, api: Client) -> None:
    before = zygote(server)
    started = api.start_execution(StartExecution(script="import os, time\nprint(os.getpid())\ntime.sleep(99)"))
    until(lambda: api.execution(started.id).progress.total)
    kernels = [one for one in before.children(recursive=True) if one.name() == "cloudo-kernel"]
    before.kill()
    lost = api.wait(started.id, timeout=MINUTE)
    assert lost.error is not None
    assert lost.error.name == "KernelDied"
    until(lambda: not any(one.is_running() for one in kernels), seconds=10)
    assert printed(api, "print('again')") == "again\n"
    until(lambda: any(one.name() == "cloudo-zygote" for one in psutil.Process(server.process.pid).children()))
    until(lambda: printed(api, "import psutil; print(psutil.Process().name())").strip() == "cloudo-kernel")


class Notebook:
    """A notebook that somebody opened by hand."""

    def __init__(self, server: RunningServer) -> None:
        self._http = httpx.Client(base_url=server.url, headers={"Authorization": f"token {server.token}"}, timeout=60)
        reply = self._http.post("api/kernels", json={"name": "cloudo"})
        assert reply.status_code == 201, reply.text
        self.id = reply.json()["id"]
        self.client = connect(server, self.id)

    def ask(self, source: str) -> str:
        said: list[str] = []
        self.client.execute_interactive(
            source, timeout=60, output_hook=lambda message: said.append(message["content"].get("text", ""))
        )
        return "".join(said).strip()

    def post(self, verb: str) -> None:
        assert self._http.post(f"api/kernels/{self.id}/{verb}").is_success

    def close(self) -> None:
        if self._http.is_closed:
            return
        self._http.delete(f"api/kernels/{self.id}")
        self.detach()

    def detach(self) -> None:
        self.client.stop_channels()
        self._http.close()


@pytest.fixture
def opened(server: RunningServer) -> Iterator[Notebook]:
    opened = Notebook(server)
    yield opened
    opened.close()


def test_a_notebook_opened_by_hand_is_forked_too(server: RunningServer, opened: Notebook) -> None:
    assert opened.ask("import os; print(os.getppid())") == str(zygote(server).pid)
    assert opened.ask("import sys; print('pandas' in sys.modules, os.environ['JPY_PARENT_PID'])") == (
        f"True {server.process.pid}"
    )
    files = "kernel = get_ipython().kernel; files = kernel._kernel_modules; "
    looks = "print(files is kernel.debugger.kernel_modules, any('ipykernel' in file for file in files))"
    assert opened.ask(files + looks) == "True True"
    first = int(opened.ask("print(os.getpid())"))
    message = opened.client.execute("import time; print('begun'); time.sleep(99)")
    while opened.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    opened.post("interrupt")
    reply = opened.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != message:
        reply = opened.client.get_shell_msg(timeout=20)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    opened.post("restart")
    opened.client.wait_for_ready(timeout=60)
    assert int(opened.ask("import os; print(os.getpid())")) != first
    until(lambda: not psutil.pid_exists(first))


def test_a_changed_environment_is_seen_and_notebooks_opened_by_hand_stay(
    server: RunningServer, api: Client, packages: Path, opened: Notebook
) -> None:
    before = zygote(server)
    assert opened.ask("x = 41; print(x)") == "41"
    (packages / "brand_new.py").write_text("answer = 42\n")
    assert printed(api, "import brand_new; print(brand_new.answer)") == "42\n"
    whose = "import psutil; print(psutil.Process().parent().ppid())"
    until(lambda: int(printed(api, whose)) not in (before.pid, server.process.pid))
    assert opened.ask("print(x + 1)") == "42"
    assert before.is_running()
    opened.close()
    until(lambda: not before.is_running())


def test_a_changed_configuration_of_ipython_is_seen(server: RunningServer, api: Client) -> None:
    config = server.runtime.parent / "ipython" / "profile_default" / "ipython_kernel_config.py"
    shown = "print(get_ipython().ast_node_interactivity, 'configured' in globals())"
    assert printed(api, shown) == "last_expr False\n"
    config.write_text(
        "c.InteractiveShell.ast_node_interactivity = 'all'\nc.IPKernelApp.exec_lines = ['configured = 1']\n"
    )
    assert printed(api, shown) == "all True\n"
    config.unlink()
    assert printed(api, shown) == "last_expr False\n"
    first = config.parent / "startup" / "first.py"
    first.parent.mkdir(exist_ok=True)
    first.write_text("configured = 1\n")
    assert printed(api, shown) == "last_expr True\n"
    first.unlink()
    assert printed(api, shown) == "last_expr False\n"


def test_a_flow_whose_folder_is_gone_says_so(server: RunningServer, api: Client) -> None:
    write_flow(server.workspace, "gone/flow", "1")
    started = api.start_execution(StartExecution(flow_name="gone/flow", delay_seconds=0.5))
    shutil.rmtree(server.workspace / "flows" / "gone")
    error = api.wait(started.id, timeout=MINUTE).error
    assert error is not None
    assert error.name == "FileNotFoundError"
    assert "folder cannot be entered" in error.value


def test_a_kernelspec_with_an_environment_of_its_own_is_started_cold(servers: Servers, tmp_path: Path) -> None:
    spec = tmp_path / "kernels" / "cloudo" / "kernel.json"
    spec.parent.mkdir(parents=True)
    (tmp_path / "own_module.py").write_text("answer = 7\n")
    argv = [sys.executable, "-m", "cloudo_kernel.kernel", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "Cloudo", "language": "python", "env": {"PYTHONPATH": str(tmp_path)}}
    spec.write_text(json.dumps(kernel))
    server = servers.start(environment={"JUPYTER_PATH": str(tmp_path)})
    api = server.client()
    try:
        said = printed(api, "import own_module, psutil; print(own_module.answer, psutil.Process().name())")
        assert said.split()[0] == "7"
        assert "cloudo-kernel" not in said
    finally:
        api.close()


def test_a_flow_can_ask_for_a_cold_start(api: Client) -> None:
    name = "import psutil\nprint(psutil.Process().name(), psutil.Process().parent().name())"
    cold = outputs(api, run(api, name, metadata={"engine": "cold"}))
    assert "cloudo" not in cold[0][0].text
    assert printed(api, name).split() == ["cloudo-kernel", "cloudo-run"]


def test_a_cold_kernel_has_nothing_of_the_fast_one(api: Client) -> None:
    names = "import sys\nprint(sorted(one for one in sys.modules if one.startswith('cloudo_kernel.kernel.fast_')))"
    cold = outputs(api, run(api, names, metadata={"engine": "cold"}))
    assert cold[0][0].text == "[]\n"
    assert printed(api, names) == "['cloudo_kernel.kernel.fast_kernel', 'cloudo_kernel.kernel.fast_output']\n"


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_a_memory_limit_ends_what_allocates_without_end(api: Client, engine: str) -> None:
    greedy = "kept = []\nwhile True:\n    kept.append(bytearray(10_000_000))"
    limits = {"memory_limit_mb": 200, "engine": engine}
    execution = run(api, "print(len(bytearray(100_000_000)))", greedy, metadata=limits)
    assert execution.error is not None
    assert (execution.error.name, execution.error.cell) == ("MemoryError", 3)  # after two cells that mark the error


def test_no_process_outlives_a_killed_server(servers: Servers) -> None:
    server = servers.start()
    api = server.client()
    started = api.start_execution(StartExecution(script="import subprocess, time\nsubprocess.run(['sleep', '99'])"))
    until(lambda: api.execution(started.id).progress.total, seconds=60)
    opened = Notebook(server)
    opened.detach()
    api.close()
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert {"cloudo-zygote", "cloudo-run", "cloudo-standby", "cloudo-kernel"} <= {one.name() for one in family}
    server.process.kill()
    server.process.wait()
    until(lambda: not [one for one in family if one.is_running()], seconds=10, what=lambda: str(family))


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_a_run_has_a_history_however_it_was_started(api: Client, engine: str) -> None:
    _, history, first = outputs(api, run(api, "1 + 1", "%history", "print(In[1])", metadata={"engine": engine}))
    assert history[0].text == "1 + 1\n%history\n"
    assert first[0].text == "1 + 1\n"


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_no_output_is_lost_however_slowly_the_runner_takes_them(api: Client, engine: str) -> None:
    many = """import os, signal, subprocess
from IPython.display import publish_display_data
runner = os.getppid()
os.kill(runner, signal.SIGSTOP)
subprocess.Popen(["sh", "-c", f"sleep 2; kill -CONT {runner}"])
for number in range(3000):
    publish_display_data({"text/plain": str(number)})"""
    [shown] = outputs(api, run(api, many, metadata={"engine": engine}))
    assert [one.data["text/plain"] for one in shown] == [str(number) for number in range(3000)]


def test_what_other_processes_print_is_there_however_soon_their_cell_is_over(api: Client) -> None:
    echo = "subprocess.run(['echo', 'from a child'])\nos.write(2, b'from a descriptor');"
    _, *cells = outputs(api, run(api, "import os, subprocess", *[echo] * 30))
    assert [sorted(one.text for one in cell) for cell in cells] == [["from a child\n", "from a descriptor"]] * 30


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_characters_of_other_processes_stay_whole(api: Client, tmp_path: Path, engine: str) -> None:
    text = tmp_path / "euros"
    text.write_text("x" + "€" * 100_000, encoding="utf-8")
    source = f"import subprocess\nsubprocess.run(['cat', {str(text)!r}]);"
    [shown] = outputs(api, run(api, source, metadata={"engine": engine}))
    assert "".join(one.text for one in shown) == text.read_text(encoding="utf-8")


def test_updates_of_a_line_are_joined_and_keep_their_place(api: Client) -> None:
    source = (
        "import sys\nfor number in range(20_000):\n    sys.stdout.write(f'\\r{number:06}')\n    sys.stdout.flush()\n"
    )
    source += "    if number == 10_000:\n        display('between')\nprint('\\nend')"
    [shown] = outputs(api, run(api, source))
    place = [one.output_type for one in shown].index("display_data")
    before, after = ("".join(one.text for one in part) for part in (shown[:place], shown[place + 1 :]))
    assert before.endswith("\r010000")
    assert after.startswith("\r0")
    assert after.endswith("\r019999\nend\n")
    assert len(before + after) < 20_000  # of 140,000 that were written


def test_what_was_put_off_is_there_before_a_fork_and_not_twice(api: Client) -> None:
    source = (
        "import os, sys\nfor word in ('first', 'second'):\n    sys.stdout.write(f'\\r{word}')\n    sys.stdout.flush()\n"
    )
    source += "if not (child := os.fork()):\n    print(' child', flush=True)\n    os._exit(0)\nos.waitpid(child, 0);"
    [shown] = outputs(api, run(api, source))
    assert "".join(one.text for one in shown).count("second") == 1


def test_what_is_put_out_is_saved_while_the_cell_runs(api: Client, server: RunningServer) -> None:
    write_flow(server.workspace, "talking", "print('ear' + 'ly')\nimport time\ntime.sleep(600)")
    started = api.start_execution(StartExecution(flow_name="talking"))
    until(lambda: api.execution(started.id).progress.cell is not None)
    until(lambda: "early" in api.execution_notebook(started.id))
    api.cancel_execution(started.id)
    api.wait(started.id, timeout=MINUTE)
