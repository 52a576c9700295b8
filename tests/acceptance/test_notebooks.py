"""The shipped notebooks run from their first cell to their last, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.models import Status
from cloudo_kernel.workspace.layout import Workspace

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = CHECKOUT / "notebooks"


@pytest.mark.timeout(300)
def test_the_quick_start_runs_in_a_fresh_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    run_cells(NOTEBOOKS / "quickstart.ipynb", workspace, home=tmp_path)

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    api = cloudo.connect(str(workspace)).api
    try:
        found = {execution.flow_name: execution for execution in api.executions().items}
        assert {name: execution.status for name, execution in found.items()} == {
            "examples/greeting": Status.ENDED_SUCCESS,
            "examples/sales_report": Status.ENDED_SUCCESS,
            "examples/long_running": Status.ENDED_CANCELLED,
            "examples/data_quality_check": Status.ENDED_ERROR,
            "quickstart/cheer": Status.ENDED_SUCCESS,
        }
        assert found["quickstart/cheer"].output_value == {"cheer": "hip hip hooray"}
    finally:
        api.close()
    assert (Workspace(workspace).flows / "quickstart" / "cheer.ipynb").is_file()


@pytest.mark.parametrize("name", ["quickstart", "dashboard", "example_dashboard"])
def test_a_notebook_is_shipped_without_outputs(name: str) -> None:
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    code: list[dict[str, Any]] = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert notebook["metadata"]["kernelspec"]["name"] == "cloudo"


def run_cells(notebook: Path, workspace: Path, *, home: Path) -> None:
    """Run a notebook with nbval, which fails when a cell raises; it sees no server but those of `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDO_", "JPY_", "JUPYTER"))}
    environment = kept | {
        "CLOUDO_WORKSPACE": str(workspace),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    plugins = ("-p", "no:schemathesis", "-p", "no:nbval", "-p", "nbval.plugin", "-p", "no:cacheprovider")
    options = (*plugins, "--nbval-lax", "-q", "--timeout=240")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(notebook)],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
