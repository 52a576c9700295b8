"""Finds the processes of workers by their part, kills them, and watches that nothing of theirs stays."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil

from tests.chaos import marks
from tests.workers import is_alive

#: The most time that what hung on a killed process may live on.
GONE_SECONDS = 2.0


class Killer:
    """Kills with SIGKILL, one random process of a random part at a time."""

    def __init__(self, workspace: Path, chance: random.Random) -> None:
        self._workspace = workspace
        self._chance = chance
        self.kills: Counter[str] = Counter()
        #: What lived on for too long, in words.
        self.survivors: list[str] = []
        self._watched: list[tuple[float, str, list[psutil.Process]]] = []

    def parts(self, roots: dict[str, list[psutil.Process]]) -> dict[str, list[psutil.Process]]:
        """Return the processes there are, by their part; `roots` are the workers and servers themselves."""
        living = marks.living(self._workspace)
        kernels = {mark.kernel for mark in living}
        runners = {mark.runner for mark in living}
        found = {part: list(processes) for part, processes in roots.items()}
        for root in [process for processes in roots.values() for process in processes]:
            with contextlib.suppress(psutil.Error):
                for process in root.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        part = _part(process, kernels, runners)
                        found.setdefault(part, []).append(process)
        found.pop("other", None)
        return {part: processes for part, processes in found.items() if processes}

    def kill(self, roots: dict[str, list[psutil.Process]]) -> psutil.Process | None:
        """Kill one; return it when it was a worker or a server, which somebody has to start again."""
        parts = self.parts(roots)
        part = self._chance.choice(sorted(parts))
        victim = self._chance.choice(parts[part])
        return victim if self.strike(part, victim) and part in roots else None

    def strike(self, part: str, victim: psutil.Process) -> bool:
        """Kill a process of a part; return False if it has ended by itself."""
        try:
            below = victim.children(recursive=True)
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return False
        self.kills[part] += 1
        self._watched.append((time.monotonic() + GONE_SECONDS, f"killed {part} {victim.pid}", below))
        return True

    def look(self, *, until_all_are_due: bool = False) -> None:
        """Note what lived on for too long."""
        while self._watched and (until_all_are_due or self._watched[0][0] <= time.monotonic()):
            due, what, processes = self._watched.pop(0)
            time.sleep(max(0.0, due - time.monotonic()))
            for process in processes:
                if is_alive(process):
                    with contextlib.suppress(psutil.Error):
                        self.survivors.append(f"{what}: {' '.join(process.cmdline())}")


def _part(process: psutil.Process, kernels: set[int], runners: set[int]) -> str:
    """Return the part of a process: by what its notebook said, by the name of a forked one, or by its program."""
    if process.pid in kernels:
        return "kernel"
    if process.pid in runners:
        return "runner"
    name, words = process.name(), process.cmdline()
    by_name = {
        "cloudo-kernel": "kernel",
        "cloudo-run": "runner",
        "cloudo-standby": "standby",
        "cloudo-zygote": "zygote",
    }
    by_program = {"cloudo_kernel.kernel": "kernel", "cloudo_kernel.runner": "runner"}
    return by_name.get(name) or next((by_program[word] for word in words if word in by_program), "other")
