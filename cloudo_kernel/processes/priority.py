"""Lowers the priority of runs below the server's, which answers people while many runs are queued.

On an idle machine runs are as fast. Beside other work of the machine they get a third of its share of a processor.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

NICENESS: Final = 5


def yield_to_the_server() -> None:
    """Lower the priority of this process and of those that it starts."""
    if hasattr(os, "nice"):  # Windows has none
        os.nice(NICENESS)
        lower_session(os.getpid())


def lower_session(pid: int) -> None:
    """Give the session that a process leads the niceness of this process. Do nothing if it leads none.

    Where Linux has autogroups, each session gets the same share of the processor, and `nice` counts only among the
    processes of one session (man 7 sched): a run beside a busy server got 50 % of a processor, and gets 25 % with this
    (10 % with a niceness of 10: on a busy machine, runs hardly went on). Every session begins at 0. Unless it is root,
    Linux refuses more than ten changes a second; further runs keep their share then.
    """
    with suppress(OSError):  # there are no autogroups, or it has ended
        if os.getsid(pid) != pid:
            return
        Path(f"/proc/{pid}/autogroup").write_text(str(os.nice(0)))
