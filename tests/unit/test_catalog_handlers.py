"""Flows that are scripts: `.py` files that define `handler(system, this)`."""

import json
from pathlib import Path

import pytest

from cloudo_kernel.errors import FlowBroken, FlowExists, MalformedRequest
from cloudo_kernel.models import FlowSource
from cloudo_kernel.workspace.catalog import Catalog, as_notebook, is_handler
from cloudo_kernel.workspace.layout import Workspace

HANDLER = "def handler(system, this):\n    return this.success('done')\n"
NOTEBOOK = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []})
FULL = '''#!/usr/bin/env python
# Copyright: nobody
# cloudo:
#   title: Daily report
#   tags: [a, "b"]
#
#   timeout_seconds: 60
#   retries: 2
# that was it
"""Report.

More.
"""
import flow_api


def handler(system: flow_api.System, this: flow_api.Execution):
    return this.success("done")
'''


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def flows(workspace: Workspace) -> Path:
    workspace.flows.mkdir(parents=True)
    return workspace.flows


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "library").mkdir()
    return tmp_path / "library"


@pytest.fixture
def catalog(workspace: Workspace, library: Path) -> Catalog:
    return Catalog(workspace, library=[library])


def write(path: Path, text: str = HANDLER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def cells(notebook: str) -> list[str]:
    return [cell["source"] for cell in json.loads(notebook)["cells"]]


def test_a_script_with_a_handler_is_a_flow(flows: Path, catalog: Catalog) -> None:
    write(flows / "reports" / "daily.py", FULL)
    [flow] = catalog.flows()
    assert (flow.name, flow.kind, flow.kernel, flow.broken) == ("reports/daily", "script", "cloudo", None)
    assert (flow.path, flow.source) == ("flows/reports/daily.py", FlowSource.WORKSPACE)
    assert (flow.title, flow.tags) == ("Daily report", ("a", "b"))
    assert (flow.metadata.timeout_seconds, flow.metadata.retries) == (60, 2)
    assert flow.input_schema == {"type": "object", "properties": {}, "additionalProperties": True}
    source = catalog.snapshot("reports/daily")
    assert (source.text, source.kind, source.folder) == (FULL, "script", flows / "reports")
    assert cells(as_notebook(source.text)) == [FULL, "handler(system, this)"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (HANDLER, "x"),
        (f'"""Report."""\n{HANDLER}', "Report."),
        (f'"""\ninputs:\n    - day:\n        type: int\n"""\n{HANDLER}', "x"),
        (f"'''\n\n  Long one\nmore'''\n# cloudo: {{tags: [a]}}\n{HANDLER}", "Long one"),
        (f"# cloudo:\n#     title: Deep\n{HANDLER}", "Deep"),
        (f"#cloudo:\n#  title: Close\n{HANDLER}", "Close"),
        (f"\ufeff# cloudo: {{title: Marked}}\r\n{HANDLER}", "Marked"),
        (f"# cloudo:\n{HANDLER}", "x"),
        (f"{HANDLER}\n# cloudo: {{title: too late}}", "x"),
        (f"x = '''\n# cloudo: {{title: text}}'''\n{HANDLER}", "x"),
        (f'"""\n# cloudo: {{title: text}}\n"""\n{HANDLER}', "# cloudo: {title: text}"),
    ],
)
def test_the_title_is_the_metadata_s_else_the_first_line_of_the_docstring(
    flows: Path, catalog: Catalog, text: str, title: str
) -> None:
    write(flows / "x.py", text)
    flow = catalog.flow("x")
    assert (flow.broken, flow.title) == (None, title)


@pytest.mark.parametrize(
    "text",
    [
        "def handler(system, this, more=None): ...",
        "def handler(*arguments): ...",
        "def handler(system, /, this, **more): ...",
        "def handler(system, this, *, named=1): ...",
        "async def handler(system, this): ...",
        "from elsewhere import handle as handler",
        "handler = lambda system, this: None",
        "try:\n    from elsewhere import handler\nexcept ImportError:\n    pass",
        "if True:\n    def handler(system, this): ...",
        "{1: 2}\ndef handler(system, this): ...",
        "try:\n    import elsewhere\nexcept ImportError:\n    def handler(system, this): ...",
        "match 1:\n    case _:\n        def handler(system, this): ...",
        "match print:\n    case handler:\n        pass",
        "match [print]:\n    case [handler, *_]:\n        pass",
        "other, handler = 1, print",
        "for handler in (print,):\n    pass",
    ],
)
def test_what_can_be_called_with_system_and_this_is_a_handler(text: str) -> None:
    assert is_handler(text)
    call = "await handler(system, this)" if text.startswith("async") else "handler(system, this)"
    assert cells(as_notebook(text)) == [text, call]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "defines no handler"),
        ("def helper(): ...", "defines no handler"),
        ("class A:\n    def handler(self, system): ...", "defines no handler"),
        ("def outer():\n    def handler(system, this): ...", "defines no handler"),
        ("def handler(event): ...", "does not take two arguments"),
        ("match 1:\n    case _:\n        def handler(event): ...", "does not take two arguments"),
        ("try:\n    raise OSError\nexcept OSError as handler:\n    pass", "defines no handler"),
        ("handler: object", "defines no handler"),
        ("[handler for handler in (print,)]", "defines no handler"),
        ("def handler(system, this, more): ...", "does not take two arguments"),
        ("def handler(system, this, *, more): ...", "does not take two arguments"),
        ("def handler(system, this):\n  x =", "syntax error in line 2"),
        (f"{HANDLER}\nreturn 1", "syntax error in line 4"),
        ("%matplotlib inline\n" + HANDLER, "syntax error in line 1"),
        ("\0" + HANDLER, "it cannot be parsed|syntax error"),
        (f"# cloudo:\n#   timeout_seconds: soon\n{HANDLER}", "metadata 'cloudo.timeout_seconds' is invalid"),
        (f"# cloudo: 5\n{HANDLER}", "metadata 'cloudo' is invalid"),
        (f"# cloudo: {{title: [}}\n{HANDLER}", "cannot be read as YAML"),
        (f"# cloudo:{{title: x}}\n{HANDLER}", "a space has to follow the colon"),
        (f"# cloudo:\n#   a: &a [1]\n#   tags: [*a, *a]\n{HANDLER}", "a YAML alias, which is not allowed"),
        (f"# cloudo:\n#   title: 2025-01-01\n{HANDLER}", "metadata 'cloudo.title' is invalid"),
    ],
)
def test_what_cannot_be_run_is_listed_with_the_reason(flows: Path, catalog: Catalog, text: str, reason: str) -> None:
    write(flows / "x.py", text)
    [flow] = catalog.flows()
    assert (flow.name, flow.kind) == ("x", "script")
    assert flow.broken is not None
    with pytest.raises(FlowBroken, match=reason):
        catalog.snapshot("x")


def test_a_notebook_wins_over_a_script_of_its_name(flows: Path, library: Path, catalog: Catalog) -> None:
    write(flows / "a.py")
    write(library / "a.ipynb", NOTEBOOK)
    assert [(flow.name, flow.kind) for flow in catalog.flows()] == [("a", "script")]
    write(flows / "a.ipynb", NOTEBOOK)
    listed = {flow.name: flow for flow in catalog.flows()}
    assert {name: flow.kind for name, flow in listed.items()} == {"a": "notebook", "a.py": "script"}
    assert listed["a"].broken is None
    assert listed["a.py"].broken == "'a.ipynb' beside it has the same name and wins; rename it"
    assert catalog.flow("a").kind == catalog.snapshot("a").kind == "notebook"
    catalog.delete("a")
    assert [(flow.name, flow.kind, flow.broken) for flow in catalog.flows()] == [("a", "script", None)]


def test_a_script_keeps_its_ending_whatever_is_done_with_it(
    workspace: Workspace, flows: Path, library: Path, catalog: Catalog
) -> None:
    write(library / "shipped.py", FULL)
    catalog.create("own", catalog.snapshot("shipped").text)
    assert (flows / "own.py").read_text() == FULL
    with pytest.raises(FlowExists):
        catalog.create("own", NOTEBOOK)
    assert catalog.rename("own", "reports/mine").path == "flows/reports/mine.py"
    assert catalog.replace("reports/mine", HANDLER).title == "mine"
    for text, reason in ((NOTEBOOK, "defines no handler"), ("x =", "syntax error in line 1"), ("", "no handler")):
        with pytest.raises(MalformedRequest, match=f"The source is not a script of a flow: .*{reason}"):
            catalog.replace("reports/mine", text)
    assert (flows / "reports" / "mine.py").read_text() == HANDLER
    catalog.delete("reports/mine")
    assert list(workspace.flows.iterdir()) == []


def test_a_notebook_stays_one(catalog: Catalog) -> None:
    catalog.create("a", NOTEBOOK)
    with pytest.raises(MalformedRequest, match="The source is not a notebook"):
        catalog.replace("a", HANDLER)
    with pytest.raises(MalformedRequest, match=r"not a notebook: .*; and as a script, it has a syntax error in line 1"):
        catalog.create("b", "def handler(system, this)")


def test_a_script_of_a_request_that_defines_a_handler_is_kept_as_it_is(workspace: Workspace, catalog: Catalog) -> None:
    workspace.create()
    source = catalog.script(FULL)
    assert (source.text, source.kind, source.flow.metadata.retries) == (FULL, "script", 2)
    assert catalog.script("def handler(event): ...").kind == "notebook"
    with pytest.raises(MalformedRequest, match=r"metadata 'cloudo\.retries' is invalid"):
        catalog.script(f"# cloudo: {{retries: -1}}\n{HANDLER}")


def test_a_large_notebook_is_not_parsed_as_python() -> None:
    assert not is_handler(NOTEBOOK)
    assert not is_handler('  {"a": [' + "[1]," * 1_000_000 + "1]}\n")
