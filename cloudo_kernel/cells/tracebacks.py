"""Errors in cells: without frames of this package, and one line for a magic, an interrupted wait and an early end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import IPython

from cloudo_kernel.errors import CloudoError, ExecutionEnded, WaitInterrupted

_ERRORS: Final = (CloudoError, ExecutionEnded, WaitInterrupted)
_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_IPYTHON: Final = str(Path(IPython.__file__).parent) + os.sep


def install(shell: Any) -> None:
    """Let a shell of IPython display the errors of this package with `_display`, and others as before."""
    before, kinds = getattr(shell, "CustomTB", None), shell.custom_exceptions
    if CloudoError in kinds:
        return

    def display(shell: Any, kind: Any, error: Any, traceback: Any, tb_offset: int | None = None) -> list[str] | None:
        if before is not None and not isinstance(error, _ERRORS):
            lines: list[str] | None = before(kind, error, traceback, tb_offset)
            return lines
        return _display(shell, error, traceback)

    shell.set_custom_exc((*kinds, *_ERRORS), display)


def _display(shell: Any, error: BaseException, traceback: TracebackType | None) -> list[str] | None:
    """Display an error, and return its lines. `%tb` displays the whole traceback."""
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
    if isinstance(error, ExecutionEnded):  # the flow itself ended its execution
        print(error)  # noqa: T201 -- it is the output of the cell
        return None
    frames = list(_frames(traceback))
    users = _of_user(frames)
    if isinstance(error, WaitInterrupted):
        lines = [str(error)]
    elif len(users) < len(frames) and _is_in(users[-1], _IPYTHON):  # a magic: its line is in the cell itself
        lines = [f"{type(error).__name__}: {error}"]
    else:
        # The causes have only frames of ours, such as those of the connection.
        error.__cause__, error.__suppress_context__ = None, True
        lines = shell.InteractiveTB.structured_traceback(type(error), error, _joined(users), tb_offset=1)
    shell._showtraceback(type(error), error, lines)
    return lines


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _of_user(frames: list[TracebackType]) -> list[TracebackType]:
    """Return the frames before the first one of this package."""
    ours = (number for number, frame in enumerate(frames) if _is_in(frame, _OURS))
    return frames[: next(ours, len(frames))]


def _is_in(frame: TracebackType, folder: str) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(folder)


def _joined(frames: list[TracebackType]) -> TracebackType | None:
    joined: TracebackType | None = None
    for one in reversed(frames):
        joined = TracebackType(joined, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return joined
