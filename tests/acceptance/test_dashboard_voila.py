"""The shipped notebook shows the same dashboard in Voila: in a server with Cloudo, and by itself without any server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cloudo_kernel import connect
from tests.acceptance.page import BOOT, RUN, button, check, row
from tests.flows import write_flow
from tests.server import RunningServer, Servers, free_port, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "dashboard.ipynb"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "one", "1")
    write_flow(workspace, "two", "2")
    (workspace / "dashboard.ipynb").write_bytes(NOTEBOOK.read_bytes())
    with Servers(tmp_path_factory) as servers:
        yield servers.start(workspace)


@contextmanager
def voila(workspace: Path, home: Path) -> Iterator[str]:
    """Serve the notebook by Voila alone, with no Cloudo server to be found; yield its address."""
    port = free_port()
    variables = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        sys.executable,
        "-m",
        "voila",
        "dashboard.ipynb",
        "--no-browser",
        f"--port={port}",
        "--Voila.ip=127.0.0.1",
    ]
    process = subprocess.Popen(command, cwd=workspace, env={**os.environ, **variables}, start_new_session=True)
    address = f"http://127.0.0.1:{port}/"
    try:
        until(lambda: answers(address), seconds=60)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}voila/static/voila.js", timeout=2).status_code < 500
    except httpx.HTTPError:
        return False


def plays_two_flows(page: Page) -> None:
    expect(row(page, "two")).to_be_visible(timeout=BOOT)
    check(page, "one", "two")
    button(page, "Play").click()
    expect(page.get_by_text("Started 2 executions").first).to_be_visible()
    page.get_by_role("link", name="Show executions").click()
    for flow in ("one", "two"):
        expect(row(page, flow)).to_contain_text("Success", timeout=RUN)


def test_the_notebook_plays_flows_in_voila_of_the_server(context: BrowserContext, server: RunningServer) -> None:
    page = context.new_page()
    page.goto(f"{server.url}voila/render/dashboard.ipynb")
    plays_two_flows(page)
    with server.client() as api:
        assert {one.flow_name for one in api.executions().items} == {"one", "two"}
    page.close()


def test_the_notebook_plays_flows_in_voila_alone(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace, home = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("home")
    write_flow(workspace, "one", "1")
    write_flow(workspace, "two", "2")
    (workspace / ".cloudo").mkdir()
    (workspace / "dashboard.ipynb").write_bytes(NOTEBOOK.read_bytes())
    page = context.new_page()
    with voila(workspace, home) as address:
        page.goto(address)
        plays_two_flows(page)
        page.close()
    assert len(connect(str(workspace)).api.executions().items) == 2
