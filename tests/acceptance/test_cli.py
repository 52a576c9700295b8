"""The command line as people use it: real processes, real workspaces, real kernels."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudo_extension.app import Cloudo
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import install_kernel, write_flow
from tests.server import free_port, until

pytestmark = pytest.mark.timeout(180)

ENDLESS = "import time\nwhile True: time.sleep(0.05)"
COMMANDS = (
    *(
        "up",
        "flows",
        "kernels",
        "run",
        "executions",
        "show",
        "open",
        "log",
        "cancel",
        "pause",
        "resume",
        "retry",
        "delete",
    ),
    *(
        "schedule",
        "schedules",
        "messages",
        "answer",
        "webhooks",
        "webhook",
        "settings",
        "tokens",
        "token",
        "worker",
        "doctor",
    ),
)


class Shell:
    """A shell in a workspace, which sees no server but those started from it."""

    def __init__(self, home: Path, *, library: Path | None = None) -> None:
        self.home = home
        self.workspace = home / "ws é"
        Workspace(self.workspace).create()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CLOUDO_", "JPY_", "JUPYTER"))
        }
        self.environment = {
            **kept,
            **{f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
            "IPYTHONDIR": str(home / "ipython"),
            "CLOUDO_LIBRARY": str(library or home / "no-library"),
        }

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command; its output goes into files, so that what lives longer is not waited for."""
        where = {"cwd": self.workspace, "env": self.environment, "stdin": subprocess.DEVNULL}
        command = [sys.executable, "-m", "cloudo_kernel", *words]
        with (self.home / "out").open("w") as out, (self.home / "err").open("w") as err:
            return subprocess.Popen(command, text=True, **{**where, "stdout": out, "stderr": err, **more})

    def run(self, *words: str, seconds: float = 90, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*words, **more)
        code = end_of(process, seconds=seconds)
        return subprocess.CompletedProcess(words, code, self.out, self.err)

    def json(self, *words: str) -> Any:
        """Run a command with --json, and return what it printed."""
        done = self.run(*words, "--json")
        assert done.stderr == "", done
        return json.loads(done.stdout)

    def until_status(self, *wanted: Status, seconds: float = 60) -> Any:
        """Wait until the newest execution is in one of the states; return its record."""
        with_store = Store.open(Workspace(self.workspace).database_url)
        service = Service(with_store, Catalog(Workspace(self.workspace), library=()), user_name="test")
        newest: list[Any] = []

        def is_there() -> bool:
            newest[:] = service.executions(limit=1).items
            return bool(newest) and newest[0].status in wanted

        try:
            until(is_there, seconds=seconds, what=lambda: f"{newest}\n{self.out}\n{self.err}")
            # A run that has its first progress has a kernel.
            until(lambda: wanted != (Status.RUNNING,) or service.executions(limit=1).items[0].progress.cell)
        finally:
            with_store.close()
        return newest[0]

    @property
    def out(self) -> str:
        return (self.home / "out").read_text()

    @property
    def err(self) -> str:
        return (self.home / "err").read_text()


def end_of(process: subprocess.Popen[str], *, seconds: float = 60) -> int:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def living(shell: Shell) -> list[str]:
    """Return the commands of the processes that still work for the shell's workspace."""
    found = []
    for process in psutil.process_iter(["environ", "cmdline"]):
        if (process.info["environ"] or {}).get("IPYTHONDIR") == shell.environment["IPYTHONDIR"]:
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


@pytest.fixture(autouse=True)
def _ctrl_c_works() -> Iterator[None]:
    """A background job ignores SIGINT, and so would everything it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, dict[str, Any]]:
    """A workspace in which one flow ran, and the record that `run --json` printed."""
    shell = Shell(tmp_path_factory.mktemp("played"))
    write_flow(
        shell.workspace,
        "reports/täglich",
        "print('hello')\nthis.log('about to', n=n)",
        "this.set_output('zip', zip_code)\nthis.set_output('inputs', [n, names])",
        "this.success('all is well')",
        parameters="n = 1  # how many\nzip_code: str = '0'\nnames: list[str] = ['x']",
        metadata={"title": "Every day"},
    )
    (shell.workspace / "flows" / "torn.ipynb").write_text("{")
    (shell.home / "in.json").write_text('{"n": 7, "names": ["from", "file"]}')
    words = ("-i", str(shell.home / "in.json"), "-p", "n=3", "-p", "zip_code=01234", "--name", "Named", "--tag", "a")
    return shell, shell.json("run", "reports/täglich", *words)


# Help, errors, lists


def test_the_help_of_the_server_tells_of_our_options_too(shell: Shell) -> None:
    told = shell.run("up", "--help-all").stdout
    assert "--Cloudo.slots=<Int>\n    How many executions this server's worker runs at once" in told
    assert all(
        f"--Cloudo.{name}=" in told for name, trait in Cloudo.class_own_traits(config=True).items() if trait.help
    )
    assert "--ServerApp.port=" in told


def test_help_names_the_commands_in_the_order_of_their_use(shell: Shell) -> None:
    told = shell.run("--help").stdout
    assert re.findall(r"^  ([a-z]+)  ", told.split("Commands:")[1], re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(shell: Shell, command: str) -> None:
    told = shell.run(command, "--help")
    assert told.returncode == 0
    assert f"  cloudo {command}" in told.stdout


def test_version_is_told(shell: Shell) -> None:
    assert re.fullmatch(r"cloudo \d+\.\d+\.\d+\S*\n", shell.run("--version").stdout)


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--help"], {"pydantic", "sqlalchemy", "rich", "yaml", "httpx"}),
        (["flows"], {"httpx", "papermill", "nbformat", "tornado", "rich", "yaml", "jupyter_server", "alembic.command"}),
    ],
)
def test_a_command_imports_only_what_it_needs(played: tuple[Shell, Any], words: list[str], unwanted: set[str]) -> None:
    shell, _ = played
    command = [sys.executable, "-X", "importtime", "-m", "cloudo_kernel", *words]
    done = subprocess.run(
        command, cwd=shell.workspace, env=shell.environment, capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "cloudo_kernel.cli" in imported
    assert not imported & unwanted


def test_without_a_workspace_the_error_says_how_to_make_one(shell: Shell) -> None:
    done = shell.run("flows", cwd="/")  # a folder for temporary things may be somebody's workspace
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: No Cloudo workspace .* `cloudo up .*\n", done.stderr)


def test_empty_lists_say_what_to_do_next(shell: Shell) -> None:
    assert str(shell.workspace / "flows") in shell.run("flows").stdout
    assert "cloudo run" in shell.run("executions").stdout
    assert shell.json("flows") == shell.json("executions") == []


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "reports/täglich", "-p", "n"],
        ["run", "reports/täglich", "-i", "nowhere.json"],
        ["run", "reports/täglich", "-i", "flows/torn.ipynb"],
        ["run", "reports/täglich", "--follow", "--detach"],
        ["run", "reports/täglich", "--timeout", "0"],
        ["run", "reports/täglich", "--name", ""],
        ["executions", "--status", "odd"],
        ["log", "12345678", "--follow", "--json"],
        ["--url", "localhost:8888", "flows"],
        ["--url", "http://localhost:1", "--workspace", ".", "flows"],
        ["up", "one", "two"],
    ],
)
def test_a_wrong_command_line_ends_with_2(played: tuple[Shell, Any], words: list[str]) -> None:
    done = played[0].run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "reports/taglich"], "There is no flow 'reports/taglich'"),
        (["run", "torn"], "broken"),
        (["run", "reports/täglich", "-p", "m=1"], "has no input 'm'. Its inputs: n"),
        (["run", "reports/täglich", "-p", "n=x"], "'n' takes a number"),
        (["show", "00000000"], "There is no execution '00000000'"),
        (["show", "000"], "too short"),
        (["cancel", "00000000"], "There is no execution"),
        (["--url", "http://127.0.0.1:1", "flows"], "No server answers"),
        (["--workspace", "nowhere", "flows"], "No Cloudo workspace"),
        (["up", "flows/torn.ipynb"], "cannot be created"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_and_ends_with_1(
    played: tuple[Shell, Any], words: list[str], told: str
) -> None:
    done = played[0].run(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_input_that_is_missing_is_told_with_the_way_to_give_it(shell: Shell) -> None:
    write_flow(shell.workspace, "asking", "who", parameters="who: str")
    for more in ([], ["--detach"], ["-p", "whom=Ada"]):
        done = shell.run("run", "asking", *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert ("Give it with -p who=VALUE." in done.stderr) == ("whom=Ada" not in more)


def test_flows_are_listed_with_inputs_and_what_is_broken(played: tuple[Shell, Any]) -> None:
    shell, _ = played
    heads, daily, torn = shell.run("flows").stdout.splitlines()
    assert heads.split() == ["NAME", "TITLE", "SOURCE", "INPUTS"]
    assert re.split(r"\s{2,}", daily) == ["reports/täglich", "Every day", "workspace", 'n=1, zip_code="0", names=["x"]']
    assert "broken: " in torn
    assert [flow["name"] for flow in shell.json("flows", "every")] == ["reports/täglich"]
    assert "No flow has 'xyz'" in shell.run("flows", "xyz").stdout


def test_a_kernel_is_listed_and_chosen(shell: Shell) -> None:
    install_kernel(shell.home / "data")
    write_flow(shell.workspace, "plain", "print(n)", parameters="n: int = 1")
    assert ["other", "The other one", "python"] in [
        re.split(r"\s{2,}", line) for line in shell.run("kernels").stdout.splitlines()
    ]
    assert {"name": "other", "title": "The other one", "language": "python"} in shell.json("kernels")
    done = shell.run("run", "plain", "--kernel", "nothing")
    assert done.returncode == 1
    assert "its kernel 'nothing' is not installed on this machine; `cloudo kernels` lists" in done.stderr
    ended = shell.json("run", "plain", "-p", "n=2", "--kernel", "other", "--report", "--cell-timeout", "30")
    assert (ended["status"], ended["kernel"]) == ("ENDED_SUCCESS", "other")
    cells = json.loads((shell.workspace / ended["notebook"]).read_text())["cells"]
    assert cells[-1]["outputs"][0]["text"] == "2\n"
    assert all(cell["metadata"]["jupyter"]["source_hidden"] for cell in cells)


def test_a_reader_that_has_enough_is_no_error(played: tuple[Shell, Any]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = played[0].run("flows", "--json", stdout=pipe)
    assert (done.returncode, done.stderr) == (1, "")


# Running


def test_run_gives_the_inputs_their_types(played: tuple[Shell, dict[str, Any]]) -> None:
    _, record = played
    assert record["input_value"] == {"n": 3, "names": ["from", "file"], "zip_code": "01234"}
    assert record["output_value"] == {"zip": "01234", "inputs": [3, ["from", "file"]]}
    assert (record["status"], record["trigger"], record["name"], record["tags"]) == (
        *("ENDED_SUCCESS", "cli"),
        *("Named", ["a"]),
    )


def test_run_tells_message_outputs_and_notebook(played: tuple[Shell, Any]) -> None:
    shell, _ = played
    piped = subprocess.PIPE
    process = shell.start("run", "reports/täglich", "-i", "-", stdin=piped, stdout=piped, stderr=piped)
    out, err = process.communicate('{"n": 2}', timeout=90)
    assert (process.returncode, err) == (0, "")
    first, message, *outputs, notebook = out.splitlines()
    assert re.fullmatch(r"reports/täglich: success after [\d.]+ s  \([0-9a-f]{8}\)", first)
    assert message == "all is well"
    assert outputs == ["Outputs:", "  zip     0", '  inputs  [2, ["x"]]']
    assert (shell.workspace / notebook.removeprefix("Notebook: ")).is_file()


def test_a_failing_run_tells_error_cell_and_notebook_and_ends_with_1(shell: Shell) -> None:
    write_flow(shell.workspace, "failing", "x = 1", "1 / 0", parameters="y = 1")
    done = shell.run("run", "failing")
    assert (done.returncode, done.stdout) == (1, "")
    cell = int(next(iter(re.findall(r"ZeroDivisionError in cell (\d+) of the executed notebook", done.stderr))))
    assert "----> 1 1 / 0" in done.stderr
    path = shell.workspace / done.stderr.splitlines()[-1].removeprefix("Notebook: ")
    assert "".join(json.loads(path.read_text())["cells"][cell - 1]["source"]) == "1 / 0"


def test_follow_prints_the_log_and_the_cells_as_they_come(shell: Shell) -> None:
    waits = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    write_flow(shell.workspace, "slow", "this.log('watch me', level='warning')", waits, "print('third')")
    process = shell.start("run", "slow", "--follow")
    try:
        until(lambda: "warning  watch me" in shell.out and "1/3 cells · import time" in shell.out, seconds=60)
        assert process.poll() is None
    finally:
        (shell.workspace / "flows" / "go").touch()
        code = end_of(process)
    assert (code, shell.err) == (0, "")
    assert "slow: success" in shell.out.splitlines()[-2]


def test_on_a_terminal_a_bar_shows_the_cells(shell: Shell) -> None:
    write_flow(shell.workspace, "quick", "1", "import time; time.sleep(1)")
    ours, theirs = pty.openpty()
    shell.environment |= {"TERM": "xterm", "COLUMNS": "120"}
    process = shell.start("run", "quick", "--json", stderr=theirs)
    os.close(theirs)
    shown = read_all(ours)
    assert end_of(process) == 0
    assert "1/2 cells · import time" in shown
    assert json.loads(shell.out)["status"] == "ENDED_SUCCESS"


def read_all(descriptor: int) -> str:
    """Read from a terminal until the other side has gone."""
    parts = []
    try:
        while part := os.read(descriptor, 4096):
            parts.append(part)
    except OSError:  # EIO: Linux's way to say so
        pass
    os.close(descriptor)
    return b"".join(parts).decode()


def test_ctrl_c_cancels_the_execution_and_ends_with_130(shell: Shell) -> None:
    write_flow(shell.workspace, "endless", ENDLESS)
    process = shell.start("run", "endless")
    shell.until_status(Status.RUNNING)
    process.send_signal(signal.SIGINT)
    assert end_of(process) == 130
    assert "endless: cancelled" in shell.err
    assert "Traceback" not in shell.err
    assert shell.json("executions")[0]["status"] == "ENDED_CANCELLED"
    until(lambda: not living(shell))


def test_a_second_ctrl_c_quits_at_once_and_the_execution_ends_nevertheless(shell: Shell) -> None:
    write_flow(
        shell.workspace, "deaf", "import time\nwhile True:\n    try: time.sleep(9)\n    except KeyboardInterrupt: pass"
    )
    process = shell.start("run", "deaf")
    shell.until_status(Status.RUNNING)
    process.send_signal(signal.SIGINT)
    until(lambda: "again quits" in shell.err)
    process.send_signal(signal.SIGINT)
    assert end_of(process, seconds=3) == 130
    assert shell.until_status(Status.ENDED_CANCELLED).status is Status.ENDED_CANCELLED
    until(lambda: not living(shell))


def test_detach_returns_at_once_and_the_execution_finishes(shell: Shell) -> None:
    waits = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    write_flow(shell.workspace, "patient", waits)
    done = shell.run("run", "patient", "--detach", seconds=30)
    record = shell.until_status(Status.RUNNING)
    assert done.stdout == f"{record.id}\n"
    (shell.workspace / "flows" / "go").touch()
    assert shell.until_status(Status.ENDED_SUCCESS).id == record.id
    until(lambda: not living(shell))


# What was run


def test_executions_are_listed_newest_first_and_filtered(played: tuple[Shell, dict[str, Any]]) -> None:
    shell, record = played
    lines = shell.run(
        "executions", "--status", "success", "--flow", "reports/täglich", "-q", "Named"
    ).stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "STATUS", "CREATED", "TOOK", "BY", "MESSAGE"]
    assert lines[1].startswith(f"{record['id'][-8:]}  Named")
    assert lines[1].endswith("all is well")
    assert shell.json("executions", "--status", "error") == []
    assert "No matching executions" in shell.run("executions", "--status", "ERROR").stdout


@pytest.mark.parametrize("part", [slice(None), slice(-8, None), slice(-4, None), slice(0, 30)])
def test_an_execution_is_shown_by_any_part_that_no_other_has(played: tuple[Shell, dict[str, Any]], part: slice) -> None:
    shell, record = played
    assert shell.json("show", record["id"][part].upper())["id"] == record["id"]


def test_an_execution_is_shown_with_all_that_is_known(played: tuple[Shell, dict[str, Any]]) -> None:
    shell, record = played
    told = shell.run("show", record["id"]).stdout
    for part in ("Named", record["id"], "success", "all is well", "01234", "Inputs:", "Outputs:", "about to n=3"):
        assert part in told
    assert record["notebook"] in told


def test_a_part_of_several_ids_is_refused_with_their_names(shell: Shell) -> None:
    first, second = (pending(shell, "1").id for _ in range(2))
    done = shell.run("show", first[:8])  # of the same minute
    assert done.returncode == 1
    assert first in done.stderr
    assert second in done.stderr


def test_the_log_is_printed(played: tuple[Shell, dict[str, Any]]) -> None:
    shell, record = played
    told = shell.run("log", record["id"][-8:], "--follow").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  info     about to n=3\n", told)
    assert [line["text"] for line in shell.json("log", record["id"])] == ["about to n=3"]


def test_cancel_ends_what_runs_and_what_waits_and_tells_what_had_ended(shell: Shell) -> None:
    write_flow(shell.workspace, "endless", ENDLESS)
    assert shell.run("run", "endless", "--detach").returncode == 0
    running = shell.until_status(Status.RUNNING).id
    waiting = pending(shell, "1").id
    done = shell.run("cancel", running, waiting[-8:])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{running[-8:]}  endless: cancelled", f"{waiting[-8:]}  script: cancelled"]
    again = shell.run("cancel", running)
    assert (again.returncode, again.stdout) == (1, "")
    assert "ENDED_CANCELLED" in again.stderr
    assert shell.run("log", waiting).stderr == "Nothing was logged.\n"
    until(lambda: not living(shell))


def test_pause_and_resume_tell_what_became_of_each(shell: Shell) -> None:
    waiting = pending(shell, "1").id
    done = shell.run("pause", waiting)
    assert (done.returncode, done.stdout) == (0, f"{waiting[-8:]}  script: paused\n")
    again = shell.run("pause", waiting)
    assert (again.returncode, again.stdout) == (1, "")
    assert "PAUSED" in again.stderr
    assert shell.run("resume", waiting).stdout == f"{waiting[-8:]}  script: pending\n"
    assert shell.run("resume", waiting).returncode == 1


def test_a_running_one_is_paused_before_its_next_cell(shell: Shell) -> None:
    wait = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    write_flow(shell.workspace, "patient", wait, "2")
    assert shell.run("run", "patient", "--detach").returncode == 0
    running = shell.until_status(Status.RUNNING).id
    assert shell.run("pause", running).stdout.endswith("patient: pausing after the current cell\n")
    (shell.workspace / "flows" / "go").touch()
    shell.until_status(Status.PAUSED)
    assert shell.run("resume", running).returncode == 0
    shell.until_status(Status.ENDED_SUCCESS)
    until(lambda: not living(shell))


def test_retry_starts_an_ended_one_anew(shell: Shell) -> None:
    write_flow(shell.workspace, "adding", "this.set_output('sum', a + b)", parameters="a = 1\nb = 2")
    assert shell.run("run", "adding", "-p", "a=10", "--name", "my sum").returncode == 0
    first = shell.json("executions")[0]["id"]
    again = shell.json("retry", first)
    assert (again["output_value"], again["name"], again["retry_of"]) == ({"sum": 12}, "my sum", first)
    other = shell.run("retry", first, "-p", "b=5", "--follow")
    assert other.returncode == 0
    assert re.search(r"sum +6$", other.stdout, re.MULTILINE)
    waiting = pending(shell, "1").id
    assert "Only ended ones" in shell.run("retry", waiting).stderr


def test_many_are_retried_and_deleted_and_each_tells_what_became_of_it(shell: Shell) -> None:
    write_flow(shell.workspace, "inverse", "this.set_output('inverse', 1 / n)", parameters="n = 4")
    assert shell.run("run", "inverse").returncode == 0
    assert shell.run("run", "inverse", "-p", "n=0").returncode == 1
    ids = [one["id"] for one in shell.json("executions")]
    again = shell.run("retry", *ids, "--json")
    assert again.returncode == 1  # one of them fails as before
    assert [one["status"] for one in json.loads(again.stdout)] == ["ENDED_ERROR", "ENDED_SUCCESS"]
    healed = shell.run("retry", *ids, "-p", "n=2")
    assert (healed.returncode, healed.stdout.count("inverse: success")) == (0, 2)
    waiting = pending(shell, "1").id
    gone = shell.run("delete", ids[0][-8:], waiting, "00000000", ids[1], ids[1])
    assert gone.returncode == 1
    assert gone.stdout.splitlines() == [f"{one[-8:]} is deleted." for one in ids]
    assert len(gone.stderr.splitlines()) == 2
    assert "There is no execution" in gone.stderr
    assert waiting in gone.stderr
    assert not {*ids} & {one["id"] for one in shell.json("executions")}
    assert [one["ok"] for one in shell.json("delete", shell.json("executions", "--status", "error")[0]["id"])] == [True]
    assert "one at a time" in shell.run("retry", *ids, "--follow").stderr


def pending(shell: Shell, script: str) -> Any:
    """Put something into the queue, with nobody there to run it."""
    workspace = Workspace(shell.workspace)
    store = Store.open(workspace.database_url)
    try:
        service = Service(store, Catalog(workspace, library=()), user_name="test")
        return service.start_execution(StartExecution(script=script))
    finally:
        store.close()


# Workers and servers


def test_a_worker_runs_the_queue_until_ctrl_c(shell: Shell) -> None:
    pending(shell, "this.success('by a worker')")
    process = shell.start("worker", "--slots", "1")
    try:
        assert shell.until_status(Status.ENDED_SUCCESS).message == "by a worker"
        pending(shell, ENDLESS)
        shell.until_status(Status.RUNNING)
    finally:
        process.send_signal(signal.SIGINT)
        code = end_of(process)
    assert (code, shell.err) == (0, "")
    assert str(shell.workspace) in shell.out
    assert shell.until_status(Status.ENDED_CANCELLED).message == "server stopped"
    until(lambda: not living(shell))


class Up:
    """A running `cloudo up`."""

    def __init__(self, shell: Shell, *words: str, **more: Any) -> None:
        """Start it and wait until it is ready."""
        self._shown = shell.home / "up"
        with self._shown.open("w") as shown:
            command = ("up", *words, "--no-browser", "--allow-root")
            self.process = shell.start(*command, **{"stdout": shown, "stderr": subprocess.STDOUT, **more})
        until(
            lambda: self.process.poll() is not None or "Ctrl-C stops it" in self.shown,
            seconds=90,
            what=lambda: self.shown,
        )
        assert self.process.poll() is None, self.shown
        self.dashboard, self.lab = re.findall(r"https?://\S+", self.shown)
        (redirect,) = (shell.home / "runtime").glob("jpserver-*-open.html")
        self.opens = re.findall(r"https?://[^\s?\"]+", redirect.read_text())[0]

    @property
    def shown(self) -> str:
        return self._shown.read_text()

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return end_of(self.process)


def test_up_serves_the_workspace_until_it_is_stopped(shell: Shell, tmp_path: Path) -> None:
    write_flow(shell.workspace, "endless", ENDLESS)
    write_flow(shell.workspace, "quick", "this.success('on the server')")
    port = free_port()
    server = Up(shell, "--port", str(port), str(shell.workspace), cwd=tmp_path)
    try:
        address, token = server.dashboard.split("?token=")
        assert address == server.opens == f"http://localhost:{port}/cloudo/"
        with urllib.request.urlopen(f"{address}api/1/health", timeout=10) as reply:
            assert json.load(reply)["workers"] == 1
        # No proxy leads to this machine: what follows finds the server without one.
        shell.environment |= {"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
        assert [flow["name"] for flow in shell.json("flows")] == ["endless", "quick"]
        record = shell.json("run", "quick", "--url", f"http://localhost:{port}", "--token", token)
        assert (record["message"], record["trigger"]) == ("on the server", "cli")
        assert opened_by(shell, "up", told=server.dashboard) == server.dashboard
        assert shell.run("run", "endless", "--detach", seconds=20).returncode == 0
        shell.until_status(Status.RUNNING)
    finally:
        code = server.end(signal.SIGTERM)
    assert code == 0
    assert [line for line in server.shown.splitlines() if re.match(r"\[[A-Z] |.*Warning", line)] == []
    ended = shell.until_status(Status.ENDED_CANCELLED)
    assert (ended.flow_name, ended.message) == ("endless", "server stopped")
    assert not list((tmp_path / "runtime").glob("jpserver-*"))
    until(lambda: not living(shell))


def opened_by(shell: Shell, *words: str, told: str) -> str:
    """Return the address that a command opens in the browser, whose arguments must not give the token away."""
    browser = shell.home / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$@\" > '{shell.home}/opened'\n")
    browser.chmod(0o755)
    shell.environment |= {"BROWSER": str(browser)}
    done = shell.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout
    file = (shell.home / "opened").read_text().strip()
    assert "token" not in file
    page = Path(urllib.request.url2pathname(file.removeprefix("file://")))
    assert page.stat().st_mode & 0o077 == 0
    return page.read_text().partition("url=")[2].partition('"')[0]


def test_ctrl_c_stops_up_without_asking_and_a_taken_port_is_no_obstacle(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Up(shell, f"--port={port}", "--lab", stdin=theirs)
        try:
            assert f":{port}/" not in server.lab
            assert f"Port {port} was taken" in server.shown
            assert server.opens == server.lab.partition("?")[0]
            with urllib.request.urlopen(server.lab, timeout=10) as reply:
                assert b"jupyter-config-data" in reply.read()
        finally:
            code = server.end(signal.SIGINT)
    os.close(theirs)
    os.close(ours)
    assert code == 0
    assert "Stopping" in server.shown
    assert "Shut down" not in server.shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is warned")
def test_up_as_root_explains_itself(shell: Shell) -> None:
    done = shell.run("up", "--no-browser")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: Running as root.*--allow-root\.\n", done.stderr)
