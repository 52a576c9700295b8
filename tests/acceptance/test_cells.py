"""What the cells of a notebook show: cards, tables and progress, from a real kernel with a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.client import Client
from cloudo_kernel.models import Status
from tests.acceptance.page import HOSTILE
from tests.acceptance.test_by_hand import Notebook
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start(None, "--Cloudo.user_name=ada")
        write_flow(
            server.workspace,
            "quick",
            f"this.set_output({HOSTILE!r}, {HOSTILE!r})\nthis.set_output('got', [n, region])",
            parameters="from typing import Literal\nn: int = 1\nregion: Literal['north', 'south'] = 'north'  # where",
            metadata={"title": HOSTILE},
        )
        write_flow(server.workspace, "slow", "import time", "for n in range(4): this.log('line', n); time.sleep(0.3)")
        write_flow(server.workspace, "a b/odd name", "1", parameters="loud: bool = False")
        write_flow(server.workspace, "failing", "1 / 0")
        write_flow(server.workspace, "endless", "import time", "while True: time.sleep(0.1)")
        yield server


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def notebook(server: RunningServer) -> Iterator[Notebook]:
    notebook = Notebook(server, "cells.ipynb")
    notebook.do("%load_ext cloudo_kernel\nimport cloudo_kernel as cloudo\nhere = cloudo.connect()")
    yield notebook
    notebook.close()


@dataclass
class Output:
    """The outputs of a cell, as a browser gets them."""

    #: Each new output, as last updated: MIME bundles.
    bundles: list[dict[str, Any]] = field(default_factory=list)
    #: Each bundle that was sent, also those that were replaced.
    sent: list[dict[str, Any]] = field(default_factory=list)
    results: int = 0
    error: list[str] = field(default_factory=list)

    @property
    def page(self) -> str:
        """What is seen in the end, as HTML."""
        return "\n".join(bundle.get("text/html", "") for bundle in self.bundles)


def cell(notebook: Notebook, source: str) -> Output:
    """Run a cell and return its outputs."""
    output, places = Output(), dict[str, int]()

    def take(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            output.error = content["traceback"]
        if "data" not in content:
            return
        output.sent.append(content["data"])
        place = content.get("transient", {}).get("display_id", "")
        if kind == "update_display_data":
            output.bundles[places[place]] = content["data"]
            return
        places[place] = len(output.bundles)
        output.bundles.append(content["data"])
        output.results += kind == "execute_result"

    reply = notebook.client.execute_interactive(source, timeout=60, output_hook=take)
    if reply["content"]["status"] == "aborted":
        return cell(notebook, source)
    return output


def test_a_run_is_displayed_once_with_its_links(notebook: Notebook, api: Client) -> None:
    for source in ("%flow quick n=5", "system.flow('quick').run(n=5)", "run = system.flow('quick').start().wait()"):
        output = cell(notebook, source)
        [record] = api.executions(limit=1).items
        assert (len(output.bundles), output.results) == (2, 0)  # the card and the links
        assert output.page.count("quick</b>") == 1
        assert "success" in output.page
        assert f"href='/cloudo/executions/{record.id}'" in output.page
        assert f"href='/cloudo/api/1/execution/{record.id}/notebook?format=html'" in output.page
        assert "href='/cloudo/'" in output.page
        assert "<button" not in output.page
    again = cell(notebook, "run")
    assert (len(again.bundles), again.results) == (1, 1)
    assert "success" in again.page
    assert f"href='/cloudo/executions/{record.id}'" in again.page
    assert again.bundles[0]["text/plain"].startswith("quick: success after ")


def test_the_pages_that_a_card_links_to_are_there(notebook: Notebook, server: RunningServer) -> None:
    pages = cell(notebook, "%flow quick").page + cell(notebook, "system.flow('quick')").page
    links = re.findall(r"href='([^']*)'", pages)
    assert len(links) == 4
    for link in links:
        reply = notebook.http.get(server.url.rstrip("/") + link)
        assert reply.status_code == 200, link
        assert reply.headers["content-type"].startswith("text/html"), link


def test_progress_is_displayed_by_cell_with_the_end_of_the_log(notebook: Notebook) -> None:
    sent = [bundle["text/html"] for bundle in cell(notebook, "%flow slow").sent]
    assert any("<progress value='1' max='2'" in page and "line 1</pre>" in page for page in sent)
    assert any("Cancel</button>" in page for page in sent)
    assert "<progress" not in sent[-2]


def test_lists_and_records_are_tables_and_cards_in_which_everything_is_escaped(notebook: Notebook) -> None:
    cell(notebook, "%flow quick")
    cell(notebook, "system.setting('team.cells', 1)\nsystem.file('cells.txt', 'x')")
    cell(
        notebook, "made = system.schedule('quick', daily_at='08:30')\nmessage = system.message('What?', request='So?')"
    )
    for source, seen in {
        "system.flows('quick')": "quick",
        "%flows quick": "quick",
        "system.executions(flow_name='quick')": "success",
        "system.schedules()": "daily at 08:30",
        "system.settings()": "team.cells",
        "system.files(glob='cells.*')": "cells.txt",
        "system.flow('quick')": "Literal['north', 'south']",
        "system.executions(limit=1)[0]": "[1, &quot;north&quot;]",
        "made": "daily at 08:30",
        "message": "What?",
    }.items():
        output = cell(notebook, source)
        [bundle] = output.bundles
        assert seen in bundle["text/html"].replace("&#x27;", "'"), source
        assert HOSTILE not in bundle["text/html"], source
        assert "text/plain" in bundle
    assert cell(notebook, "system.flows('quick')").bundles[0]["text/plain"].split()[:3] == ["NAME", "TITLE", "SOURCE"]
    assert cell(notebook, "system.executions(q='nothing has this')").bundles[0] == {
        "text/plain": "No matching executions.",
        "text/html": "No matching executions.",
    }
    notebook.do("made.delete()")


def test_the_button_cancels_the_run(notebook: Notebook, server: RunningServer, api: Client) -> None:
    message = notebook.client.execute("%flow endless")
    page = ""
    while "Cancel</button>" not in page:
        content = notebook.client.get_iopub_msg(timeout=30)["content"]
        page = content.get("data", {}).get("text/html", "")
    [address] = re.findall(r"fetch\(&#x27;([^&]*)&#x27;", page)
    notebook.http.get(f"{server.url}tree")  # sets the cookie that the script reads
    token = {"X-XSRFToken": notebook.http.cookies.get("_xsrf", "")}
    assert notebook.http.post(server.url.rstrip("/") + address, headers=token).status_code == 200
    [record] = api.executions(limit=1).items
    until(lambda: api.execution(record.id).status is Status.ENDED_CANCELLED)
    reply: dict[str, Any] = {}
    while reply.get("parent_header", {}).get("msg_id") != message:
        reply = notebook.client.get_shell_msg(timeout=30)
    assert reply["content"]["ename"] == "DependencyFailedError"


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("%flow quik", "FlowNotFound", "There is no flow 'quik'. Did you mean 'quick'?"),
        ("%flow quick n=much", "InputsInvalid", "The input 'n' takes"),
        ("%flow quick region=west", "InputsInvalid", '"north", "south"'),
        ("system.flow('quick').run(region='west')", "InputsInvalid", '"north", "south"'),
        ("here.flow('a b/odd name').run(m=1)", "InputsInvalid", "no input 'm'. Its inputs: loud."),
        ("def inner():\n    system.executions(status='odd')\ninner()", "MalformedRequest", "ENDED_SUCCESS"),
    ],
)
def test_an_error_has_no_frame_of_ours_and_names_what_is_valid(
    notebook: Notebook, source: str, kind: str, said: str
) -> None:
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in cell(notebook, source).error]
    text = "\n".join(lines)
    assert kind in text
    assert said in lines[-1]
    assert "cloudo_kernel" not in text
    assert "site-packages" not in text
    assert ("inner()" in text) == ("inner()" in source)
    assert len(lines) == 1 or not source.startswith("%")


def test_errors_of_others_and_of_a_whole_traceback_are_as_before(notebook: Notebook) -> None:
    assert "ZeroDivisionError" in cell(notebook, "1 / 0").error[-1]
    cell(notebook, "%flow quik")
    assert "cloudo_kernel" in notebook.do("import sys, traceback\ntraceback.print_tb(sys.last_traceback)")


def has_ended(api: Client, execution_id: str) -> bool:
    return api.execution(execution_id).is_ended


def test_an_interrupt_is_one_line_and_the_execution_continues(notebook: Notebook, api: Client) -> None:
    for source in ("%flow endless", "system.flow('endless').run()"):
        message = notebook.client.execute(source)
        shown: dict[str, Any] = {"content": {}}
        while "data" not in shown["content"] or shown["parent_header"].get("msg_id") != message:
            shown = notebook.client.get_iopub_msg(timeout=30)
        notebook.http.post(f"api/kernels/{notebook.kernel}/interrupt")
        reply: dict[str, Any] = {}
        while reply.get("parent_header", {}).get("msg_id") != message:
            reply = notebook.client.get_shell_msg(timeout=30)
        [record] = api.executions(limit=1).items
        cancel = f"system.execution({record.id!r}).cancel()"
        assert reply["content"]["traceback"] == [f"Interrupted. 'endless' continues. To cancel it: {cancel}"]
        assert not record.is_ended
        notebook.do(cancel)
        until(partial(has_ended, api, record.id))


QUICK = ["n=", "region="]


@pytest.mark.parametrize("has_jedi", [True, False])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%flow qui", ["quick"]),
        ("run = %flow 'a b/", ["'a b/odd name'"]),
        ("%%flow endl", ["endless"]),
        ("%schedule slo", ["slow"]),
        ("%flow quick ", QUICK),
        ("%flow quick n=1 r", ["region="]),
        ("%flow quick region=", ["north", "south"]),
        ("%flow quick region=s", ["south"]),
        ("%flow 'a b/odd name' lou", ["loud="]),
        ("%flow 'a b/odd name' loud=", ["false", "true"]),
        ("system.flow('qui", ["quick"]),
        ('this.flow("a b', ["a b/odd name"]),
        ('cloudo.connect().flow("end', ["endless"]),
        ('here.flow("end', ["endless"]),
        ("system.flow('quick').run(re", ["region="]),
        ("system.flow('quick').run(n=1, region=", ['"north"', '"south"']),
        ("flow.start(region='n", ["'north'"]),
        ("this.flow('quick', n=1, reg", ["region="]),
    ],
)
def test_flows_inputs_and_values_are_completed(
    notebook: Notebook, typed: str, offered: list[str], *, has_jedi: bool
) -> None:
    notebook.do(f"%config IPCompleter.use_jedi = {has_jedi}")
    notebook.do("flow = here.flow('quick')")
    reply = notebook.client.complete(typed, reply=True, timeout=60)["content"]
    assert [text for text in reply["matches"] if text in offered] == offered
    if not typed.endswith(("re", "reg")):  # a name can also be that of a variable
        assert reply["matches"] == offered
    assert typed[reply["cursor_start"] :] == "" or offered[0].startswith(typed[reply["cursor_start"] :])


def test_a_kernel_of_another_kind_completes_and_shortens_from_the_first_connection(server: RunningServer) -> None:
    notebook = Notebook(server, "other.ipynb", kernel="python3")
    try:
        notebook.do("import cloudo_kernel as cloudo\ncloudo.connect()")
        assert notebook.client.complete("cloudo.connect().flow('qui", reply=True, timeout=60)["content"]["matches"] == [
            "quick"
        ]
        error = cell(notebook, "cloudo.connect().flow('quik')").error
        assert "cloudo_kernel/" not in "\n".join(error)
        assert "Did you mean 'quick'?" in error[-1]
    finally:
        notebook.close()


def test_a_run_can_be_awaited(notebook: Notebook) -> None:
    source = "import asyncio\nrun, _ = await asyncio.gather(system.flow('quick').start(n=7), asyncio.sleep(0))\n"
    assert notebook.ask(f"{source}import json\nprint(json.dumps(run.outputs['got']))") == [7, "north"]
    error = cell(notebook, "await system.flow('failing').start()").error
    assert "DependencyFailedError" in error[-1]
    assert "cloudo_kernel" not in "".join(error)


def test_a_flow_runs_for_each_row_with_one_progress_bar(notebook: Notebook) -> None:
    output = cell(notebook, "table = system.flow('quick').map([{'n': n} for n in range(4)], at_once=2)")
    assert len(output.bundles) == 1
    assert "4 of 4 runs" in output.page
    rows = notebook.ask("print(table[['n', 'got', 'status']].to_json(orient='values'))")
    assert rows == [[n, [n, "north"], "success"] for n in range(4)]
    notebook.do(
        "import pandas\nrows = pandas.DataFrame({'n': [1, None], 'region': ['south', None]}, index=['x', 'y'])\n"
        "table = here.flow('quick').map(rows)"
    )
    assert notebook.do("print(list(table.index), list(table['got']))") == "['x', 'y'] [[1, 'south'], [1, 'north']]"
    output = cell(notebook, "table = system.flow('failing').map([{}, {}])")
    assert "2 failed" in output.page
    assert notebook.do("print(set(table['status']), set(table['message']))").startswith("{'error'} {'ZeroDivisionError")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("here.flow('quick').map([{'n': 1}, {'m': 2}])", "Row 1: no input 'm'. Inputs: n, region."),
        ("here.flow('quick').map([{'n': 1}, {'n': 'x'}])", "Row 1: The input 'n' takes"),
        ("here.flow('quick').map({'n': 1})", "rows is a list of dicts or a DataFrame, not a dict."),
        ("here.flow('quick').map([], at_once=0)", "at_once is a number from 1 to 500, not 0."),
        ("here.flow('quick').run().dataframe('got it')", "There is no table 'got it'"),
    ],
)
def test_rows_and_tables_that_do_not_fit_are_named(notebook: Notebook, call: str, said: str) -> None:
    assert said in cell(notebook, call).error[-1]


def test_a_table_is_a_dataframe_again(notebook: Notebook) -> None:
    notebook.do(
        'run = this.script("""import pandas\nframe = pandas.DataFrame({"day": pandas.to_datetime(["2026-01-02"])})\n'
        'this.show("totals", frame)\nthis.set_output("rows", [{"k": 1}, {"k": 2}])""")'
    )
    said = notebook.do("print(run.dataframe('totals')['day'][0].year, list(run.dataframe('rows')['k']))")
    assert said == "2026 [1, 2]"


def test_the_executed_notebook_is_in_the_output(notebook: Notebook, server: RunningServer, tmp_path: Path) -> None:
    bundle = cell(notebook, "run = here.flow('quick').start().wait()\nrun.notebook()").bundles[2]
    [address] = re.findall(r"<iframe sandbox [^>]*src='([^']*)'", bundle["text/html"])
    reply = notebook.http.get(server.url.rstrip("/") + address)
    assert "set_output" in reply.text
    write_flow(tmp_path, "plain", "print('seen')")
    system = cloudo.connect(str(tmp_path))  # without a server
    try:
        page = system.flow("plain").start().wait(60).notebook()._repr_html_()
    finally:
        system.api.close()
    assert page.startswith("<iframe sandbox ")
    assert "srcdoc=" in page
    assert "seen" in page


def test_a_flow_has_the_signature_of_its_inputs(notebook: Notebook) -> None:
    asked = "import inspect, json\nprint(json.dumps([str(one) for one in inspect.signature("
    inputs = notebook.ask(f"{asked}system.flow('quick').run).parameters.values()]))")
    assert inputs[1:] == ["n: int = 1", "region: Literal['north', 'south'] = 'north'"]
    notebook.do("flow = system.flow('quick')")
    reply = notebook.client.inspect("flow.run", reply=True, timeout=60)
    told = re.sub(r"\x1b\[[\d;]*m", "", reply["content"]["data"]["text/plain"])
    assert "region: Literal['north', 'south'] = 'north'" in told
