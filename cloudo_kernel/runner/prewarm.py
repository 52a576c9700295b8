"""Rehearse a run before processes are forked, so that they inherit what Python caches.

For example, Python checks all classes to find out whether a value is a mapping, and caches the result. A forked
process that does this itself copies a page for each class that it checks.
"""

from __future__ import annotations

from typing import Any

from jupyter_client import BlockingKernelClient
from nbformat import v4
from papermill import execute_notebook
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

_NAME = "rehearsal"
_DATA = {"data": {"text/plain": "1"}, "metadata": {}}
_OUTPUTS = {
    "stream": {"name": "stdout", "text": "1\n"},
    "display_data": _DATA,
    "execute_result": {**_DATA, "execution_count": 1},
    "error": {"ename": "ValueError", "evalue": "1", "traceback": ["1"]},
}


class _PrewarmEngine(Engine):
    """Creates outputs for each cell, without a kernel."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, _kernel_name: str, **_options: Any) -> None:
        client = BlockingKernelClient()
        client.load_connection_info({"transport": "ipc", "ip": _NAME, "key": _NAME})
        for cell in nb_man.nb.cells:
            nb_man.cell_start(cell)
            for kind, content in _OUTPUTS.items():
                sent = client.session.serialize(client.session.msg(kind, content))
                _, parts = client.session.feed_identities(sent)
                output = v4.output_from_msg(client.session.deserialize(parts))
                if kind != "error":
                    cell.outputs.append(output)
            nb_man.cell_complete(cell)


def preload() -> list[str]:
    """Rehearse a run, and return the files that were read: none. Called last, as later imports may void the caches."""
    papermill_engines.register(_NAME, _PrewarmEngine)
    for _ in range(3):
        parameters = v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
        book = v4.new_notebook(cells=[parameters, v4.new_code_cell("print(x)")])
        execute_notebook(
            book, None, {"x": 2}, engine_name=_NAME, kernel_name="cloudo", language="python", progress_bar=False
        )
    return []
