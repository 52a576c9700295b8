"""JupyterLab with files, servers and sessions that do not fit: errors say what is wrong and what to do about it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from jupyter_server.auth import passwd
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from cloudo_extension.pages.frontend import FOLDER
from tests.acceptance.page import BOOT, RUN, button
from tests.acceptance.test_other_kernels import write_spec
from tests.flows import notebook, write_flow
from tests.server import RunningServer, Serve

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the built front end, which a test can rebuild."""
    return Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("built") / "static"))


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose folder `flows/locked` nobody may write to."""
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "locked/inside", "6 * 7")
    paths = [workspace / "flows" / "locked" / "inside.ipynb", workspace / "flows" / "locked"]
    for path in paths:
        path.chmod(0o555)
    is_free = os.access(paths[1], os.W_OK)  # root may write everywhere, but for this attribute
    if is_free:
        subprocess.run(["chattr", "+i", *paths], check=True)
    yield workspace
    if is_free:
        subprocess.run(["chattr", "-i", *paths], check=True)
    for path in paths:
        path.chmod(0o755)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Serve, front_end: Path, read_only: Path) -> RunningServer:
    specs = tmp_path_factory.mktemp("specs")
    write_spec(specs, "bash", "-m", "bash_kernel", language="bash")
    write_flow(read_only, "plain", "6 * 7")
    write_flow(read_only, "unnamed", "6 * 7", kernel=None)
    write_flow(read_only, "shell", "echo $((6 * 7))", kernel="bash")
    write_flow(read_only, "unknown", "6 * 7", kernel="nowhere")
    environment = {"JUPYTER_PATH": str(specs)}
    return start(read_only, config={"Cloudo": {"frontend": str(front_end)}}, environment=environment)


@pytest.fixture
def sign_in(browser: Browser) -> Iterator[Callable[[RunningServer], Page]]:
    """Open a page of a new browser that is signed in to a server."""
    contexts: list[BrowserContext] = []

    def sign_in(server: RunningServer) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        context.set_default_timeout(40_000)
        context.request.get(f"{server.url}api/me?token={server.token}")
        return context.new_page()

    yield sign_in
    for context in contexts:
        context.close()


@pytest.fixture
def page(sign_in: Callable[[RunningServer], Page], server: RunningServer) -> Page:
    return sign_in(server)


def launcher(page: Page, server: RunningServer) -> Page:
    page.goto(f"{server.url}lab?reset")
    expect(page.locator(".jp-Launcher")).to_be_visible(timeout=BOOT)
    return page


def open_notebook(page: Page, server: RunningServer, path: str) -> Locator:
    page.goto(f"{server.url}lab/workspaces/{Path(path).stem}/tree/{path}?reset")
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(button(panel, "Run as flow")).to_be_visible(timeout=BOOT)
    return panel


def sidebar(page: Page) -> Locator:
    page.locator(".jp-SideBar [data-id=cloudo-sidebar]").click()
    return page.locator("#cloudo-sidebar")


def marks(panel: Locator) -> Locator:
    return panel.locator(".cloudo-cell-run")


def type_into(panel: Locator, text: str) -> None:
    panel.locator(".jp-CodeCell .cm-content").first.click()
    panel.page.keyboard.press("Control+End")
    panel.page.keyboard.type(text)


def error(page: Page) -> Locator:
    """Return the error that is shown: a notification, or a dialog if it is long."""
    return page.locator(".Toastify__toast--error, .jp-Dialog")


@pytest.mark.parametrize("flow", ["unnamed", "shell"])
def test_a_kernel_may_be_missing_or_of_another_language(page: Page, server: RunningServer, flow: str) -> None:
    panel = open_notebook(page, server, f"flows/{flow}.ipynb")
    if flow == "unnamed":
        button(page.locator(".jp-Dialog"), "No Kernel").click()
    button(panel, "Run as flow").click()
    expect(marks(panel).filter(has_text="done")).to_contain_text("42", timeout=RUN)


def test_an_unknown_kernel_is_named(page: Page, server: RunningServer) -> None:
    panel = open_notebook(page, server, "flows/unknown.ipynb")
    button(page.locator(".jp-Dialog"), "No Kernel").click()
    button(panel, "Run as flow").click()
    expect(error(page)).to_contain_text("its kernel 'nowhere' is not installed on this machine; `cloudo kernels` lists")
    expect(error(page)).to_contain_text("Open it, repair it, and start it again.")


def test_a_new_notebook_becomes_a_flow_by_a_name_that_can_be_one(page: Page, server: RunningServer) -> None:
    launcher(page, server).locator(".jp-LauncherCard[data-category=Notebook]").filter(has_text="Cloudo").click()
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    type_into(panel, "6 * 7")
    for name, verb, words in (
        ("", "Move", "Enter a name for the flow."),
        ("../up", "Move", "cannot be the name of a flow: it holds the folder '..'"),
        ("../up", "Copy", "cannot be the name of a flow: it holds the folder '..'"),
        ("plain", "Move", "File already exists: flows/plain.ipynb"),
        ("plain", "Copy", "There is already a flow 'plain'. Choose another name"),
        ("locked/x", "Move", "Permission denied: flows/locked/x.ipynb"),
        ("locked/x", "Copy", "The flow 'locked/x' cannot be written: the file system does not permit it."),
    ):
        add(panel, name, verb)
        expect(error(page)).to_contain_text(words)
        button(error(page), "Hide notification").click()
        expect(error(page)).to_have_count(0)
    add(panel, "team/new", "Move")
    expect(panel.page.get_by_text("team/new was moved to flows.")).to_be_visible()
    button(panel, "Run as flow").click()
    expect(marks(panel).filter(has_text="done")).to_contain_text("42", timeout=RUN)
    assert not (server.workspace / "up.ipynb").exists()


def add(panel: Locator, name: str, verb: str) -> None:
    button(panel, "Run as flow").click()
    dialog = panel.page.locator(".jp-Dialog")
    dialog.get_by_label("Name of the flow").fill(name)
    button(dialog, verb).click()


def test_a_notebook_that_cannot_be_saved_is_not_run(page: Page, server: RunningServer) -> None:
    panel = open_notebook(page, server, "flows/locked/inside.ipynb")
    type_into(panel, " + 1")
    button(panel, "Run as flow").click()
    expect(error(page).filter(has_text="Save it under another name")).to_contain_text(
        "could not be saved: Permission denied"
    )
    with server.client() as api:
        assert not [one for one in api.executions().items if one.flow_name == "locked/inside"]


def log_in(page: Page, server: RunningServer, path: str) -> None:
    page.goto(f"{server.url}login?next=/{path}")
    page.locator("input[name=password]").fill("secret")
    page.keyboard.press("Enter")


def test_an_expired_session_is_told_and_goes_on_after_a_new_login(
    tmp_path: Path, start: Serve, browser: Browser
) -> None:
    write_flow(tmp_path, "plain", "6 * 7")
    # With a token, JupyterLab would renew the session.
    password = {"token": "", "hashed_password": passwd("secret", "sha1")}
    server = start(tmp_path, config={"PasswordIdentityProvider": password})
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        # JupyterLab's own errors about the session, one or several.
        footer = page.locator(".jp-Dialog-footer").first
        page.add_locator_handler(footer, lambda one: one.get_by_role("button").last.click(), no_wait_after=True)
        log_in(page, server, "lab/tree/flows/plain.ipynb")
        panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        type_into(panel, " + 0")
        # Otherwise the start of its kernel would fail, too.
        expect(panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")
        context.clear_cookies(name=re.compile("^username"))
        button(panel, "Run as flow").click()
        words = "Your session has expired. Log in again in another tab, then try again."
        expect(error(page).filter(has_text=words)).to_be_visible()
        log_in(context.new_page(), server, "lab/workspaces/other")
        button(panel, "Run as flow").click()
        expect(marks(panel).filter(has_text="done")).to_contain_text("42", timeout=RUN)


def test_two_jupyterlabs_show_the_same_run(
    page: Page, server: RunningServer, sign_in: Callable[[RunningServer], Page]
) -> None:
    panels = [open_notebook(one, server, "flows/plain.ipynb") for one in (page, sign_in(server))]
    button(panels[0], "Run as flow").click()
    for panel in panels:
        expect(marks(panel).filter(has_text="done")).to_contain_text("42", timeout=RUN)
        button(panel, "Dismiss").click()  # in this browser only
        expect(marks(panel)).to_have_count(0)


def test_a_front_end_that_was_rebuilt_is_loaded_after_a_reload(
    page: Page, server: RunningServer, front_end: Path
) -> None:
    launcher(page, server)
    manifest = front_end / "manifest.json"
    names = json.loads(manifest.read_text())
    for ending in ("", ".gz"):
        (front_end / f"{names['lab.js']}{ending}").rename(front_end / f"lab-rebuilt.js{ending}")
    manifest.write_text(json.dumps({**names, "lab.js": "lab-rebuilt.js"}))
    expect(sidebar(page)).to_contain_text("Cloudo was updated on the server. Reload this page.")
    expect(sidebar(launcher(page, server)).get_by_role("heading", name="Flows")).to_be_visible()


def test_a_server_with_another_version_is_told_with_the_cure(page: Page, server: RunningServer) -> None:
    def answer(route: Route) -> None:
        reply = route.fetch()
        ours = f'"version": "{version("cloudo")}"'
        assert ours in reply.text()
        route.fulfill(response=reply, body=reply.text().replace(ours, '"version": "99.0"'))

    page.route("**/lab?reset", answer)
    expect(sidebar(launcher(page, server))).to_contain_text("If you have upgraded Cloudo, restart the server.")


def test_a_server_without_cloudo_is_told_with_the_cure(
    tmp_path: Path, start: Serve, sign_in: Callable[[RunningServer], Page]
) -> None:
    write_flow(tmp_path, "plain", "6 * 7")
    server = start(tmp_path, extensions={"cloudo_extension": False})
    page = sign_in(server)
    wrong: list[str] = []
    page.on("pageerror", lambda one: wrong.append(str(one)))
    launcher(page, server)
    expect(page.locator(".Toastify__toast")).to_have_count(0)
    expect(sidebar(page)).to_contain_text("jupyter server extension enable cloudo_extension")
    panel = open_notebook(page, server, "flows/plain.ipynb")
    expect(button(panel, "Run as flow")).to_be_disabled()
    expect(button(panel, "Run as flow")).to_have_attribute("title", re.compile("This server does not run Cloudo"))
    assert not wrong


def test_a_workspace_outside_of_the_root_folder_is_told_with_the_cure(
    tmp_path: Path, start: Serve, sign_in: Callable[[RunningServer], Page]
) -> None:
    root, workspace = tmp_path / "root", tmp_path / "workspace"
    root.mkdir()
    write_flow(workspace, "plain", "6 * 7")
    (root / "outside.ipynb").write_text(notebook("6 * 7"))
    server = start(root, config={"Cloudo": {"workspace": str(workspace)}})
    page = sign_in(server)
    panel = open_notebook(page, server, "outside.ipynb")
    add(panel, "added", "Move")
    expect(error(page)).to_contain_text("outside.ipynb can be copied, but not moved.")
    expect(error(page)).to_contain_text(
        f"outside of this server's root folder, {root}. Start the server in the workspace"
    )
    button(error(page), "Close").click()
    add(panel, "added", "Copy")
    button(page.locator(".Toastify__toast"), "Show flow").click()
    page.locator("[id='cloudo-flow:added']").get_by_role("link", name="Edit in JupyterLab").click()
    expect(error(page)).to_contain_text("flows/added.ipynb cannot be opened.")
    assert (workspace / "flows" / "added.ipynb").exists()
