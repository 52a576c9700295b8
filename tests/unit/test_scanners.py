"""That what looks for insecure code does find some, with the configuration of this project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import subprocess\nsubprocess.run(input(), shell=True)\n", "B602"),
        ("import pickle\npickle.loads(b'')\n", "B301"),
        ("import yaml\nyaml.load('', yaml.Loader)\n", "B506"),
        ("import hashlib\nhashlib.md5(b'')\n", "B324"),
        ("def f(a=[]):\n    return a\n", None),
    ],
)
def test_bandit_finds_what_is_insecure(tmp_path: Path, code: str, found: str | None) -> None:
    (tmp_path / "code.py").write_text(code)
    command = [sys.executable, "-m", "bandit", "--quiet", "--configfile", str(PROJECT), str(tmp_path / "code.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if found is None else 1), done.stderr
    assert found is None or f"[{found}:" in done.stdout
