"""Runs `cloudo` commands in forked processes: importing the product would take most of the time of a command.

The process that forks is this module as a program. It reads a request in JSON per line, and prints the exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

#: Commands that look at their own process, or run for long.
NOT_FORKED = {"doctor", "up", "worker"}


def run(
    words: Sequence[str], *, cwd: str | Path, environment: Mapping[str, str], out: Path, err: Path, seconds: float
) -> int:
    """Run a command with its output in files, and return its exit code. After `seconds` SIGALRM ends it."""
    forker = _forker()
    assert forker.stdin is not None
    assert forker.stdout is not None
    where = {"cwd": str(cwd), "environment": dict(environment), "out": str(out), "err": str(err)}
    forker.stdin.write(json.dumps({"words": words, "seconds": seconds, **where}) + "\n")
    forker.stdin.flush()
    code = int(forker.stdout.readline())
    assert code != -signal.SIGALRM, f"{words} took more than {seconds} s"
    return code


@cache
def _forker() -> subprocess.Popen[str]:
    forker = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(forker.communicate)
    return forker


def _main() -> None:
    import httpx  # noqa: F401  # what most commands import
    import rich.table  # noqa: F401
    import yaml  # noqa: F401

    from cloudo_kernel import cli, discovery  # noqa: F401
    from cloudo_kernel.service import local  # noqa: F401

    gc.freeze()  # else the end of each command looks at all that was imported
    for line in sys.stdin:
        request = json.loads(line)
        if (pid := os.fork()) == 0:
            _become(request)
            sys.exit(cli.main(request["words"]))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(request: dict[str, object]) -> None:
    """Make this process what a shell would start for the request."""
    signal.alarm(int(str(request["seconds"])))
    environment = request["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(request["cwd"]))
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, str(request["out"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, str(request["err"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # they live as long as the process
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    _main()
