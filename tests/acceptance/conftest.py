from __future__ import annotations

import os
import shutil
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

import cloudo_kernel as cloudo
from cloudo_kernel.flow_api import System
from tests.acceptance.page import HOSTILE, Open, is_failure, is_foreign, ready
from tests.acceptance.shell import Shell
from tests.flows import write_flow, write_script
from tests.server import CAN_FORK, WITHOUT_LAB, RunningServer, Serve, Servers, start_server


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start further servers, which end with the test module: even an idle one takes time from other tests."""
    with Servers(tmp_path_factory) as servers:
        yield servers.start


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server as `make up` starts it, JupyterLab and all, with a workspace of a few flows."""
    flows = tmp_path_factory.mktemp("workspace")
    write_flow(flows, "quick", "print('hello')\nn * 2", parameters="n = 1  # how many", metadata={"title": "Quick one"})
    write_flow(
        flows, "asking", "f'{region}: {top}'", parameters="region: str  # where\ntop: int = 3", metadata={"tags": ["a"]}
    )
    write_flow(flows, "failing", "print('so far')", "1 / 0")
    write_flow(flows, "endless", "import time\nwhile True: time.sleep(0.1)")
    write_flow(flows, "reports/täglich wöchentlich", *(f"print({n})" for n in range(5)))
    with Servers(tmp_path_factory) as servers:
        yield servers.start(flows)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without flows."""
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "flows").mkdir()
    return workspace


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers that end with the test module. What only pages of Jupyter's own need is left out."""
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start


@pytest.fixture(scope="module")
def system(workspace: Path) -> Iterator[System]:
    """The author's `system` in the workspace; a worker of its own runs what is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUDO_TEST_WORKSPACE", str(workspace))  # tells these processes from those of other tests
        system = cloudo.connect(str(workspace))
        yield system
        system.api.close()


@pytest.fixture
def script(workspace: Path) -> Callable[[str, str], Path]:
    """Write a script as a flow."""
    return lambda name, text: write_script(workspace, name, textwrap.dedent(text))


# --- the command line ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def ctrl_c_works() -> Iterator[None]:
    """A background job ignores SIGINT, and so would everything it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def shell(ctrl_c_works: None, tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="package")
def served(ctrl_c_works: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell in a workspace with a server, which runs what is started there: no command has to start a worker."""
    shell = Shell(tmp_path_factory.mktemp("served"))
    server = start_server(shell.workspace, shell.home, extensions=WITHOUT_LAB, is_forked=CAN_FORK)
    yield shell
    server.stop()


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def flows_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server of most tests of the dashboard: its root is a workspace with a few flows."""
    workspace = tmp_path_factory.mktemp("workspace é")
    write_flow(
        workspace, "reports/quick", "print('the answer', n)", "this.set_output('twice', 2 * n)", parameters="n = 21"
    )
    write_flow(
        workspace,
        "reports/asking",
        "this.log('hello', who, times)\nthis.set_output('said', who * times)",
        parameters="who: str  # whom to greet\ntimes: int = 1",
        metadata={"title": "Asks a name", "tags": ["salute"]},
    )
    write_flow(workspace, "failing", "before = 1", "def inner():\n    return before / 0\ninner()", "after = 2")
    write_flow(workspace, "endless", "import time\nwhile True: time.sleep(0.05)")
    write_flow(workspace, "broken", "1", parameters="def (")
    body = f"this.log({HOSTILE!r})\nthis.set_output({HOSTILE!r}, {HOSTILE!r})\nprint('<script>alert(2)</script>')"
    write_flow(workspace, "hostile", body, metadata={"title": HOSTILE, "tags": [HOSTILE], "description": HOSTILE})
    with Servers(tmp_path_factory) as servers:
        yield servers.start(workspace)


# --- pages, of the `server` of the test module -------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and "CI" not in os.environ:
        pytest.skip("There is no Chromium; on Debian: apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Browser, server: RunningServer) -> Iterator[BrowserContext]:
    """A browser that is signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(40_000)
    context.request.get(f"{server.url}cloudo/api/1/user/me?token={server.token}")
    context.request.get(f"{server.url}api/me?token={server.token}")
    yield context
    context.close()


@pytest.fixture(scope="module")
def wrong() -> list[str]:
    """What has gone wrong in the page."""
    return []


@pytest.fixture(scope="module")
def only_page(context: BrowserContext, server: RunningServer, wrong: list[str]) -> Page:
    """One page for many tests, and what goes wrong in it."""
    page = context.new_page()

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"a script ran: {dialog.message}")
        dialog.dismiss()

    page.on("pageerror", lambda error: wrong.append(f"script failed: {error}"))
    page.on("console", lambda one: wrong.append(f"console: {one.text} {one.location}") if is_failure(one) else None)
    page.on("dialog", dismiss)
    page.on("request", lambda one: wrong.append(f"left: {one.url}") if is_foreign(one.url, server) else None)
    page.on("websocket", lambda one: wrong.append(f"left: {one.url}") if is_foreign(one.url, server) else None)
    return page


@pytest.fixture
def show(only_page: Page, server: RunningServer, wrong: list[str]) -> Iterator[Open]:
    """Open an address of the dashboard, and wait until its view is there.

    No script may fail in it, and nothing may leave the machine.
    """
    page = only_page

    def show(path: str = "") -> Page:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light")
        page.goto(f"{server.url}cloudo/{path}", wait_until="commit")
        ready(page)
        return page

    wrong.clear()
    yield show
    assert not wrong
