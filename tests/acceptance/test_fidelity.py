"""A forked run puts out what papermill does with a kernel of its own: the same cells both ways, output by output."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, StartExecution, Status
from tests.flows import notebook
from tests.server import WITHOUT_LAB, Servers

MINUTE = timedelta(minutes=1)

#: Every way in which a cell puts something out, on things that are the same each time.
CELLS = (
    "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c', end='')\nsys.stdout.write('d\\n');",
    "6 * 7",
    "_, In[1][:10], len(Out)",
    "from IPython.display import *\ndisplay(HTML('<b>x</b>'), Markdown('*y*'), Latex('$z$'), JSON({'a': 1}))",
    "display(Javascript('1'), metadata={'a': 1})\ndisplay({'text/plain': 'raw', 'text/html': '<p>'}, raw=True)",
    "h = display('first', display_id='one')\nother = display('x', display_id=True)\nother.update('y')",
    "update_display('second', display_id='one')",
    "print('gone')\nclear_output()\nprint('stays')",
    "print('gone')\nclear_output(wait=True)\nprint('stays')",
    "class Both:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n"
    "        return {'text/plain': 'plain', 'text/html': '<i>rich</i>'}\nBoth()",
    "import asyncio\nasync def five():\n    await asyncio.sleep(0.01)\n    return 5\n"
    "await asyncio.gather(five(), five())",
    "task = asyncio.create_task(five())",
    "await task",
    "import threading, time\nthread = threading.Thread(target=print, args=['from a thread'])\nthread.start()\n"
    "thread.join()",
    "def later():\n    time.sleep(0.3)\n    print('late')\nthreading.Thread(target=later).start()",
    "time.sleep(0.6)\nprint('after it')",
    "import os, subprocess\nsubprocess.run(['echo', 'from a child'])\nos.system('echo from a shell')\n"
    "os.write(1, b'from a descriptor\\n')\ntime.sleep(0.2)",  # else it is sometimes lost with papermill
    "!echo from the magic",
    "%%bash\necho out",
    "lines = !echo kept\nlines",
    "%%capture kept\nprint('kept too')",
    "kept.stdout",
    "import warnings, logging\nlogging.warning('warned')\nwarnings.warn('also')",
    "import ipywidgets\nslider = ipywidgets.IntSlider(value=3)\nslider",
    "out = ipywidgets.Output()\ndisplay(out)\nwith out:\n    print('within')\nslider.value = 7",
    "import matplotlib.pyplot as plt\nplt.rcParams['svg.hashsalt'] = 'one'\nplt.plot([1, 3, 2])\nplt.show()",
    "import pandas\npandas.DataFrame({'n': [1, 2], 'word': ['x', 'y']})",
    "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('interrupted')",
    "try:\n    input('who? ')\nexcept Exception as error:\n    print(type(error).__name__)",
    "?len",
    "%precision 2\n3.14159",
    "from IPython.core.magic import register_line_magic\n@register_line_magic\ndef shout(line):\n"
    "    return line.upper()\n%shout hello",
    "import inspect\ndef source():\n    return 1\nprint(inspect.getsource(source))",
    "get_ipython().run_cell('1 / 0');",
    "get_ipython().set_next_input('next')\n%history -n 1-2",
    "__name__, sys.stdout.isatty(), type(sys.displayhook).__name__, type(get_ipython()).__name__",
    "import pickle\nclass Mine: ...\ntype(pickle.loads(pickle.dumps(Mine()))).__name__",
    "%reset -f",
    "'os' in globals(), 'slider' in globals()",
    "print('é 漢字 🎉 \\x1b[31mred\\x1b[0m')\nprint('x' * 100_000)",
    "class Wrong(Exception): ...\ndef fail():\n    raise Wrong('at last')\nfail()",
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        client = servers.start(config={"Cloudo": {"preload": ["pandas", "matplotlib.pyplot"]}}).client()
        yield client
        client.close()


def told(book: nbformat.NotebookNode) -> list[tuple[str, Any, Any]]:
    """Return source, number and outputs of each code cell, without what is new each time."""
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    text = json.dumps([(cell.source, cell.execution_count, joined(cell.outputs)) for cell in code])
    text = re.sub(r"\b[0-9a-f]{32}\b|ipykernel_\d+/\d+", "…", text)
    return [tuple(cell) for cell in json.loads(re.sub(r"(?<=<dc:date>)[^<]*|0x[0-9a-f]+", "…", text))]


def joined(outputs: list[Any]) -> list[Any]:
    """Return outputs with texts that follow each other as one: how many messages they come in is a matter of time."""
    found: list[Any] = []
    for one in outputs:
        if found and one.output_type == "stream" and found[-1].get("name") == one.name:
            found[-1] = {**found[-1], "text": found[-1]["text"] + one.text}
        else:
            found.append(one)
    return found


def widgets(book: nbformat.NotebookNode) -> list[str]:
    [saved] = book.metadata.widgets.values()
    return sorted(state["model_name"] for state in saved["state"].values())


def by_papermill(source: Path) -> nbformat.NotebookNode:
    executed = source.with_name("executed.ipynb")
    with pytest.raises(papermill.PapermillExecutionError):
        papermill.execute_notebook(source, executed, kernel_name="python3", progress_bar=False, execution_timeout=30)
    return nbformat.read(executed, as_version=4)


def by_cloudo(api: Client, text: str) -> tuple[Execution, nbformat.NotebookNode]:
    ended = api.wait(api.start_execution(StartExecution(script=text)).id, timeout=MINUTE)
    return ended, nbformat.reads(api.execution_notebook(ended.id), as_version=4)


def test_a_run_puts_out_what_papermill_does(api: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # by which ipykernel leaves descriptors alone
    text = notebook(*CELLS, kernel="python3")
    (tmp_path / "source.ipynb").write_text(text, encoding="utf-8")
    execution, ours = by_cloudo(api, text)
    theirs = by_papermill(tmp_path / "source.ipynb")
    assert execution.status is Status.ENDED_ERROR
    assert execution.error is not None
    assert (execution.error.name, execution.error.value) == ("Wrong", "at last")
    for our_cell, their_cell in zip(told(ours), told(theirs), strict=True):
        assert our_cell == their_cell
    assert ours.metadata.language_info == theirs.metadata.language_info
    assert widgets(ours) == widgets(theirs)
