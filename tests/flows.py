"""Writes flows for tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat


def notebook(
    *sources: str,
    parameters: str | None = None,
    kernel: str | None = "cloudo",
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Return a notebook's JSON text: a cell tagged `parameters` if given, then one code cell for each source.

    `metadata` is what goes below the notebook's metadata key `cloudo`; `kernel=None` leaves the kernelspec out.
    """
    made = nbformat.v4.new_notebook()
    if kernel is not None:
        made.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    if metadata is not None:
        made.metadata["cloudo"] = dict(metadata)
    if parameters is not None:
        made.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made.cells += [nbformat.v4.new_code_cell(source) for source in sources]
    return str(nbformat.writes(made))


def write_flow(
    workspace: Path,
    name: str,
    *sources: str,
    parameters: str | None = None,
    kernel: str | None = "cloudo",
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a flow below `workspace/flows/`, over one that is there; return its path."""
    path = workspace / "flows" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = notebook(*sources, parameters=parameters, kernel=kernel, metadata=metadata)
    path.write_text(text, encoding="utf-8")
    return path


def install_kernel(data: Path, name: str = "other") -> None:
    """Install a kernel below a data folder of Jupyter: Jupyter's own for Python."""
    folder = data / "kernels" / name
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "The other one", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


def write_script(workspace: Path, name: str, text: str) -> Path:
    """Write a flow that is a script, over one that is there; return its path."""
    path = workspace / "flows" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
