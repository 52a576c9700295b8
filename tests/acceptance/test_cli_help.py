"""The command line's help, errors and lists: real processes, real workspaces."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from cloudo_extension.app import Cloudo
from tests.acceptance.shell import Shell
from tests.flows import install_kernel, write_flow

pytestmark = pytest.mark.timeout(180)
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
        "results",
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
        "queue",
        "worker",
        "db",
        "doctor",
    ),
)


def test_the_help_of_the_server_tells_of_our_options_too(shell: Shell) -> None:
    told = shell.run("up", "--help-all").stdout
    assert "--Cloudo.slots=<Int>\n    Maximum number of concurrent executions of this server's wor" in told
    assert all(
        f"--Cloudo.{name}=" in told for name, trait in Cloudo.class_own_traits(config=True).items() if trait.help
    )
    assert "--ServerApp.port=" in told


def test_help_names_the_commands_in_the_order_of_their_use(shell: Shell) -> None:
    told = shell.run("--help").stdout
    assert re.findall(r"^  ([a-z]+)  ", told.split("Commands:")[1], re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(shell: Shell, command: str) -> None:
    told = shell.call(command, "--help")
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
    done = played[0].call(*words)
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
