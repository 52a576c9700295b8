"""`cloudo doctor` and `cloudo open`, in real installations and workspaces."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import httpx
import pytest

from cloudo_kernel.cli.diagnostics import State
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.shell import Shell, Up, opened_by
from tests.flows import write_flow
from tests.server import free_port

pytestmark = pytest.mark.timeout(180)

PARTS = ("python", "packages", "kernel", "extension", "system", "workspace", "server", "flows", "run")


def test_of_a_sound_installation_each_part_is_well(shell: Shell) -> None:
    write_flow(shell.workspace, "quick", "1")
    assert shell.run("run", "quick").returncode == 0
    before = sorted(shell.workspace.rglob("*"))
    done = shell.run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    well = [line.split(None, 2)[1:] for line in done.stdout.splitlines() if line.startswith("well ")]
    assert list(dict.fromkeys(part for part, _ in well)) == list(PARTS)
    told = dict(well)
    assert "1 can be run" in told["flows"]
    assert "A flow ran in a kernel" in told["run"]
    assert sorted(shell.workspace.rglob("*")) == before


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, subprocess.CompletedProcess[str]]:
    """An installation and a workspace in which much is wrong, and what the doctor says of it."""
    shell = Shell(tmp_path_factory.mktemp("ill"))
    (shell.workspace / "flows" / "torn.ipynb").write_text("{")
    Workspace(shell.workspace).state.chmod(0o755)
    config = {"ServerApp": {"jpserver_extensions": {"cloudo_extension": False}}}
    papermill = "Metadata-Version: 2.1\nName: papermill\nVersion: 2.3.0\n"
    needs = "Requires-Dist: papermill>=2.6\nRequires-Dist: no-such-package>=1\n"
    for name, text in {
        "config/jupyter_server_config.json": json.dumps(config),
        "data/kernels/cloudo/kernel.json": json.dumps({"argv": ["true"], "display_name": "x", "language": "x"}),
        "packages/papermill-2.3.0.dist-info/METADATA": papermill,
        "packages/cloudo-0.1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: cloudo\nVersion: 0.1.0\n{needs}",
    }.items():
        (shell.home / name).parent.mkdir(parents=True, exist_ok=True)
        (shell.home / name).write_text(text)
    long = shell.home / ("x" * 80)
    long.mkdir()
    # Before those of the environment that the tests run in.
    shell.environment |= {"JUPYTER_PATH": f"{shell.home}/data", "JUPYTER_CONFIG_PATH": f"{shell.home}/config"}
    shell.environment |= {"TMPDIR": str(long), "PYTHONPATH": str(shell.home / "packages")}
    return shell, shell.run("doctor", "--json")


def test_what_is_wrong_is_named_with_its_cure_and_ends_with_1(
    ill: tuple[Shell, subprocess.CompletedProcess[str]],
) -> None:
    shell, done = ill
    assert (done.returncode, done.stderr) == (1, "")
    found = {(one["part"], one["state"]): one for one in json.loads(done.stdout) if one["state"] != State.WELL}
    hints = {
        ("kernel", State.PROBLEM): "jupyter kernelspec remove cloudo",
        ("extension", State.WARNING): "jupyter server extension enable cloudo_extension",
        ("system", State.PROBLEM): "TMPDIR=/tmp, in the environment",
        ("workspace", State.WARNING): f"chmod 700 {Workspace(shell.workspace).state}",
    }
    assert {place: found[place]["hint"] for place in hints} == hints
    assert "torn is broken" in found["flows", State.WARNING]["message"]


def test_a_package_that_is_missing_or_too_old_is_named(ill: tuple[Shell, subprocess.CompletedProcess[str]]) -> None:
    found = [one for one in json.loads(ill[1].stdout) if one["part"] == "packages"]
    assert [one["message"] for one in found] == [
        "papermill is 2.3.0, but must be >=2.6.",
        "no-such-package is not installed.",
    ]
    assert found[0]["hint"] == f"{sys.executable} -m pip install 'papermill>=2.6'"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_cannot_be_written_to_is_named(shell: Shell) -> None:
    shell.workspace.chmod(0o500)
    done = shell.run("doctor")
    shell.workspace.chmod(0o700)
    assert done.returncode == 1
    assert f"You may not write to {shell.workspace}" in done.stdout


def test_where_there_is_no_workspace_the_rest_is_looked_at(shell: Shell) -> None:
    done = shell.run("doctor", cwd="/")
    assert done.returncode == 0
    assert "warning   workspace  No workspace at or above /." in done.stdout
    assert "A flow ran in a kernel" in done.stdout
    shutil.rmtree(shell.workspace)
    gone = shell.run("doctor", "--workspace", str(shell.workspace), cwd="/")
    assert gone.returncode == 1
    assert f"hint: cloudo up {shell.workspace}" in gone.stdout
    assert not shell.workspace.exists()


def test_open_shows_an_execution_in_the_dashboard_or_in_jupyterlab(shell: Shell) -> None:
    write_flow(shell.workspace, "reports/täglich", "1")
    server = Up(shell, "--port", str(free_port()), "--Cloudo.preload=[]")
    try:
        record = shell.json("run", "reports/täglich")
        page = server.dashboard.replace("/cloudo/", f"/cloudo/executions/{record['id']}")
        assert opened_by(shell, "open", record["id"][-8:], told=page) == page
        # The page keeps the token out of the address: a browser has a cookie instead.
        with httpx.Client(follow_redirects=True, timeout=30, trust_env=False) as browser:
            assert "<title>Execution · Cloudo</title>" in browser.get(page).text
        notebook = shell.run("open", record["id"], "--lab", "--no-browser").stdout.strip()
        assert notebook.partition("?")[0].endswith(f"/lab/tree/executions/reports/t%C3%A4glich/{record['id']}.ipynb")
        told = shell.run("doctor").stdout
        assert "well      server" in told
        assert "workers: 1" in told
        assert "encryption" not in server.shown  # of the kernel of the page
    finally:
        server.process.terminate()
        server.process.wait(timeout=60)
    assert [line for line in server.shown.splitlines() if line.startswith("[")] == []


def test_without_a_server_open_says_how_to_start_one(shell: Shell) -> None:
    write_flow(shell.workspace, "quick", "1")
    record = shell.json("run", "quick")
    done = shell.run("open", record["id"])
    assert (done.returncode, done.stdout) == (1, "")
    assert f"`cloudo up {shell.workspace}`" in done.stderr


def test_a_store_that_cannot_be_used_is_told_once(shell: Shell) -> None:
    (Workspace(shell.workspace).state / "cloudo.sqlite").write_text("no database" * 100)
    found = json.loads(shell.run("doctor", "--json").stdout)
    (problem,) = [one for one in found if one["state"] == State.PROBLEM]
    assert problem["part"] == "workspace"
    assert "move it away" in problem["message"]


def test_the_store_of_a_development_version_is_named_and_the_workspace_goes_on_without_it(shell: Shell) -> None:
    write_flow(shell.workspace, "quick", "1")
    notebook = shell.workspace / shell.json("run", "quick")["notebook"]
    state = Workspace(shell.workspace).state
    with closing(sqlite3.connect(state / "cloudo.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0021'")
    found = json.loads(shell.run("doctor", "--json").stdout)
    (problem,) = [one for one in found if one["state"] == State.PROBLEM]
    assert problem["part"] == "workspace"
    assert "development version" in problem["message"]
    assert "move the folder .cloudo out of the workspace" in problem["message"]
    state.rename(shell.workspace.with_name("old state"))
    Workspace(shell.workspace).create()  # as `cloudo up` does
    assert shell.json("run", "quick")["status"] == "ENDED_SUCCESS"
    assert notebook.exists()
