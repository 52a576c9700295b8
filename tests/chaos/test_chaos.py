from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest

from tests.chaos.harness import Chaos, Plan


@pytest.mark.timeout(180)
def test_killing_processes_at_random_loses_and_doubles_nothing() -> None:
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        found = Chaos(Path(folder), Plan(kills=10, seconds=25, seed=seed)).run()
    assert found.faults == [], f"seed {seed}\n{found.table()}"
    assert found.kills.total() > 3
    assert found.accepted > 3
