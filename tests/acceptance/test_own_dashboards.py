"""A person's own dashboard: a notebook with widgets, opened in Voila through the server, in a real browser."""

from __future__ import annotations

import doctest
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from cloudo_kernel import widgets
from cloudo_kernel.models import StartExecution, Status
from tests.acceptance.page import BOOT, HOSTILE, RUN, button, is_failure, newest, ready, row
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Serve, Servers, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)

EXAMPLE = Path(__file__).parents[2] / "notebooks" / "example_dashboard.ipynb"
#: The traits of the widget `w`, as a label says them.
SAY = """
import ipywidgets, json
said = ipywidgets.Label()
said.add_class("said")
def say(*_):
    said.value = json.dumps({name: getattr(w, name) for name in NAMES}, sort_keys=True)
w.observe(say)
say()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "reports/daily", "this.set_output('twice', 2 * n)", parameters="n = 1  # how many")
    write_flow(workspace, "failing", "1 / 0")
    go = str(workspace / "go")
    write_flow(workspace, "slow", f"import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.05)")
    write_flow(
        workspace,
        "secret",
        "this.set_output('size', len(key))",
        parameters="key: str  # the key\nword: str  # any\nn = 2",
        metadata={"protect_inputs": ["key"]},
    )
    with Servers(tmp_path_factory) as servers:
        yield servers.start(workspace, extensions={**WITHOUT_LAB, "voila.server_extension": True})


def write_dashboard(server: RunningServer, name: str, *cells: str) -> Path:
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path = server.workspace / "dashboards" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(nbformat.writes(made)), encoding="utf-8")
    return path


@pytest.fixture
def opened(context: BrowserContext, server: RunningServer) -> Iterator[Callable[..., Page]]:
    """Write a dashboard of these cells and open it in Voila. Nothing may fail in it.

    The page itself opens no event stream: a browser allows six of them, and one worker holds one for all its tabs.
    """
    pages: list[Page] = []
    wrong: list[str] = []

    def opened(*cells: str) -> Page:
        write_dashboard(server, "mine", *cells)
        page = context.new_page()
        pages.append(page)
        page.on("request", lambda one: wrong.append(f"cloudo {one.url}") if "/api/1/event" in one.url else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if is_failure(message) else None)
        page.goto(f"{server.url}voila/render/dashboards/mine.ipynb")
        return page

    yield opened
    for page in pages:
        page.close()
    assert not [text for text in wrong if "cloudo" in text]


def said(page: Page, **traits: Any) -> None:
    """Wait until the label says that traits have these values."""
    for name, value in traits.items():
        text = "|".join(re.escape(one) for one in ([value] if isinstance(value, str) else value))
        expect(page.locator(".said")).to_contain_text(re.compile(f'"{name}": ({text})'), timeout=RUN)


def widget(page: Page, text: str) -> Locator:
    return page.locator(".cloudo-output").filter(has_text=text)


def test_the_example_of_each_widget_runs(opened: Callable[..., Page], server: RunningServer) -> None:
    classes = [getattr(widgets, name) for name in widgets.__all__]
    parser = doctest.DocTestParser()
    examples = {kind.__name__: parser.get_examples(kind.__doc__) for kind in classes}
    assert all(examples.values())
    page = opened(*("".join(one.source for one in example) for example in examples.values()))
    # Voila shows nothing before all cells have ended, and one of them runs a flow.
    expect(page.locator(".cloudo-output")).to_have_count(len(classes), timeout=2 * BOOT)
    expect(page.locator(".cloudo-skeleton")).to_have_count(0)
    expect(page.locator(".cloudo-tabs")).to_have_count(1)
    expect(button(page, "Play daily")).to_be_enabled()
    expect(page.get_by_label("n", exact=True)).to_have_value("3")
    expect(page.get_by_label("Select reports/daily", exact=True)).to_be_checked()
    expect(widget(page, "Schedules of reports/daily")).to_be_visible()
    expect(page.get_by_role("heading", name="reports/daily", exact=True)).to_be_visible()
    expect(page.locator(".jp-RenderedText[data-mime-type$=stderr]")).to_have_count(0)


def test_the_callback_comes_after_the_page_was_closed(opened: Callable[..., Page], server: RunningServer) -> None:
    page = opened(
        """
import cloudo_kernel as cloudo
from cloudo_kernel.widgets import PlayButton
system = cloudo.connect()
button = PlayButton("slow", label="Start it")
button.on_end(lambda execution: system.setting("ended").save([execution.id, str(execution.status), button.status]))
button
"""
    )
    button(page, "Start it").click(timeout=BOOT)
    with server.client() as api:
        until(lambda: newest(api, "slow").status == Status.RUNNING)
        run = newest(api, "slow")
        page.evaluate("navigator.sendBeacon = () => true")  # Voila ends the kernel by it
        page.close()
        (server.workspace / "go").touch()
        until(lambda: "ended" in {one.name for one in api.settings()}, seconds=60)
        assert api.setting("ended").value == [run.id, "ENDED_SUCCESS", "ENDED_SUCCESS"]


def test_a_person_plays_a_flow_and_their_callback_shows_its_result(
    opened: Callable[..., Page], server: RunningServer
) -> None:
    page = opened(
        """
import ipywidgets
from cloudo_kernel.widgets import PlayButton
result = ipywidgets.HTML("Nothing yet")
button = PlayButton("reports/daily", inputs={"n": 21}, label="Make my report")
button.on_end(lambda execution: setattr(result, "value", f"{execution.status}: {execution.outputs['twice']}"))
ipywidgets.VBox([button, result])
"""
    )
    expect(page.get_by_text("Nothing yet")).to_be_visible(timeout=BOOT)
    button(page, "Make my report").click()
    expect(page.get_by_text("ENDED_SUCCESS: 42")).to_be_visible(timeout=RUN)
    expect(widget(page, "Make my report").get_by_text("Success")).to_be_visible()
    with server.client() as api:
        run = newest(api)
    assert (run.flow_name, run.input_value, run.trigger) == ("reports/daily", {"n": 21}, "ui")
    page.get_by_role("link", name="Success").click()
    expect(page.get_by_role("heading", name="reports/daily")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    expect(button(page, "Make my report")).to_be_enabled()


def test_a_button_says_why_its_flow_does_not_run(opened: Callable[..., Page]) -> None:
    page = opened(
        "from cloudo_kernel.widgets import PlayButton\nimport ipywidgets",
        "w = PlayButton('failing')",
        SAY.replace("NAMES", "['status']"),
        "ends = ipywidgets.Label('0')\nends.add_class('ends')\n"
        "w.on_end(lambda run: setattr(ends, 'value', str(int(ends.value) + 1)))",
        "ipywidgets.VBox([w, said, ends, PlayButton('no such flow'), PlayButton('secret', inputs={'n': 'many'})])",
    )
    button(page, "Play failing").click(timeout=BOOT)
    said(page, status='"ENDED_ERROR"')
    expect(widget(page, "Play failing")).to_contain_text("ZeroDivisionError")
    expect(page.locator(".ends")).to_have_text("1")
    button(page, "Play failing").click()
    expect(page.locator(".ends")).to_have_text("2", timeout=RUN)
    expect(page.get_by_role("heading", name="The flow could not be loaded")).to_be_visible()
    expect(page.get_by_text("no such flow")).to_be_visible()
    button(page, "Play secret").click()
    expect(widget(page, "Play secret").get_by_role("alert")).to_contain_text("key")


def test_the_widget_of_schedules_creates_one_in_the_dialog(opened: Callable[..., Page], server: RunningServer) -> None:
    page = opened(
        "import ipywidgets\nfrom cloudo_kernel.widgets import ScheduleForm\nw = ScheduleForm('reports/daily')",
        SAY.replace("NAMES", "['schedules']"),
        "ipywidgets.VBox([w, said])",
    )
    button(page, "New schedule…").click(timeout=BOOT)
    dialog = page.get_by_role("dialog", name="New schedule")
    expect(dialog.get_by_label("n", exact=True)).to_have_value("1")
    dialog.get_by_label("n", exact=True).fill("5")
    button(dialog, "Create").click()
    expect(dialog).to_have_count(0)
    with server.client() as api:
        (schedule,) = api.schedules(flow_name="reports/daily").items
    assert schedule.inputs == {"n": 5}
    said(page, schedules=f'["{schedule.id}"]')
    expect(widget(page, "Schedules of reports/daily").get_by_role("listitem")).to_have_count(1)


def test_selected_flows_are_the_same_in_the_page_and_in_python(opened: Callable[..., Page]) -> None:
    page = opened(
        "import ipywidgets\nfrom cloudo_kernel.widgets import Flows\nw = Flows(selected=['failing'])",
        SAY.replace("NAMES", "['selected']"),
        "none = ipywidgets.Button(description='None of them')\n"
        "none.on_click(lambda _: setattr(w, 'selected', []))\nipywidgets.VBox([none, said, w])",
    )
    expect(page.get_by_label("Select failing", exact=True)).to_be_checked(timeout=BOOT)
    page.get_by_label("Select secret", exact=True).check()
    said(page, selected='["failing", "secret"]')
    page.get_by_role("button", name="None of them").click()
    said(page, selected="[]")
    expect(page.get_by_label("Select failing", exact=True)).not_to_be_checked()


def test_filters_are_the_same_in_the_page_and_in_python(opened: Callable[..., Page], server: RunningServer) -> None:
    with server.client() as api:
        runs = [api.start_execution(StartExecution(flow_name=name)) for name in ("reports/daily", "failing")]
        until(lambda: all(api.execution(run.id).is_ended for run in runs))
    page = opened(
        "import ipywidgets\nfrom cloudo_kernel.widgets import Executions\nw = Executions(flow='failing')",
        SAY.replace("NAMES", "['filters']"),
        "other = ipywidgets.Button(description='The other flow')\n"
        "other.on_click(lambda _: setattr(w, 'filters', {'flow': 'reports/daily'}))\nipywidgets.VBox([other, said, w])",
    )
    expect(row(page, "failing")).to_be_visible(timeout=BOOT)
    expect(row(page, "reports/daily")).to_have_count(0)
    page.get_by_role("button", name="Success").first.click()
    said(page, filters='{"flow": "failing", "status": "ENDED_SUCCESS"}')
    expect(page.get_by_text("No matching executions")).to_be_visible()
    page.get_by_role("button", name="The other flow").click()
    expect(row(page, "reports/daily")).to_be_visible()
    said(page, filters='{"flow": "reports/daily"}')


def test_a_form_and_python_share_the_inputs_but_not_the_protected_ones(
    opened: Callable[..., Page], server: RunningServer
) -> None:
    page = opened(
        "import ipywidgets\nfrom cloudo_kernel.widgets import FlowForm\nw = FlowForm('secret', inputs={'n': 7})",
        SAY.replace("NAMES", "['inputs', 'is_valid', 'status']"),
        "more = ipywidgets.Button(description='From Python')\n"
        "more.on_click(lambda _: setattr(w, 'inputs', {'word': 'python', 'n': 9}))\nipywidgets.VBox([more, said, w])",
    )
    expect(page.get_by_label("n", exact=True)).to_have_value("7", timeout=BOOT)
    said(page, inputs='{"n": 7}', is_valid="false")
    page.get_by_label("word", exact=True).fill("typed")
    said(page, inputs='{"n": 7, "word": "typed"}')
    button(page, "Run").click()
    expect(page.get_by_text("This is required.")).to_have_count(1)
    page.get_by_label("key", exact=True).fill("s3cret")
    said(page, is_valid="true", inputs='{"n": 7, "word": "typed"}')
    page.get_by_role("button", name="From Python").click()
    expect(page.get_by_label("word", exact=True)).to_have_value("python")
    said(page, inputs='{"n": 9, "word": "python"}')
    expect(page.get_by_label("key", exact=True)).to_have_value("s3cret")
    page.get_by_label("n", exact=True).fill("many")
    said(page, is_valid="false", inputs='{"word": "python"}')
    page.get_by_label("n", exact=True).fill("3")
    button(page, "Run").click()
    said(page, status='"ENDED_SUCCESS"')
    with server.client() as api:
        run = newest(api)
    assert (run.status, run.output_value) == (Status.ENDED_SUCCESS, {"size": 6})
    assert "s3cret" not in page.locator(".said").inner_text()


def test_the_home_page_opens_dashboards_at_their_own_addresses(context: BrowserContext, server: RunningServer) -> None:
    folder = server.workspace / "dashboards"
    shutil.rmtree(folder, ignore_errors=True)
    page = context.new_page()
    page.goto(f"{server.url}cloudo/home")
    ready(page)
    expect(page.get_by_role("heading", name="Next runs")).to_be_visible()
    expect(page.get_by_role("heading", name="Dashboards")).to_have_count(0)
    odd = f"team ä/{HOSTILE.replace('/', '')} 100% #1?"
    write_dashboard(server, odd, "print('it is there')")
    shutil.copy(EXAMPLE, folder / "example.ipynb")
    page.reload()
    ready(page)
    panel = page.get_by_role("region", name="Dashboards")
    with context.expect_page() as opening:
        panel.get_by_role("link", name=odd, exact=True).click()
    expect(opening.value.get_by_text("it is there")).to_be_visible(timeout=BOOT)
    opening.value.close()
    with context.expect_page() as opening:
        panel.get_by_role("link", name="Sales of one region", exact=True).click()
    mine = opening.value
    button(mine, "Make the report").click(timeout=BOOT)
    expect(mine.get_by_text("ENDED_SUCCESS: the total is")).to_be_visible(timeout=RUN)
    expect(row(mine, "sales_report")).to_be_visible()
    assert mine.url == f"{server.url}voila/render/dashboards/example.ipynb"
    mine.close()
    page.close()


def test_without_voila_a_dashboard_has_no_link(context: BrowserContext, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "workspace" / "dashboards").mkdir(parents=True)
    shutil.copy(EXAMPLE, tmp_path / "workspace" / "dashboards")
    other = serve(tmp_path / "workspace")
    page = context.new_page()
    page.goto(f"{other.url}cloudo/home?token={other.token}")
    panel = page.get_by_role("region", name="Dashboards")
    expect(panel.get_by_text("Sales of one region")).to_be_visible()
    expect(panel.get_by_role("link", name="Sales of one region")).to_have_count(0)
    page.close()
