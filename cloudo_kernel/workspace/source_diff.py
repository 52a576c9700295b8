"""Compare the sources of two executions, cell by cell. Pure, and bounded: comparing takes quadratic time."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import Final

from cloudo_kernel.models import SourceDiff
from cloudo_kernel.workspace.executed_cells import raw_cells, source_of

#: Maximum number of lines of a source, and of the diff, and maximum length of a line.
_MAX_LINES: Final = 4_000
_MAX_LINE: Final = 2_000


def difference(old: str, new: str, *, old_name: str, new_name: str) -> SourceDiff:
    """Return the difference between two sources: JSON text of notebooks, or Python text."""
    before, is_old_cut = _lines(old)
    after, is_new_cut = _lines(new)
    found = difflib.unified_diff(before, after, old_name, new_name, lineterm="")
    shown = list(islice(found, _MAX_LINES + 1))
    is_cut = is_old_cut or is_new_cut or len(shown) > _MAX_LINES
    return SourceDiff(diff="".join(f"{line}\n" for line in shown[:_MAX_LINES]), is_cut=is_cut)


def _lines(source: str) -> tuple[list[str], bool]:
    """Return the lines of a source, with a line in front of each cell, and whether some are left out."""
    lines: list[str] = []
    try:
        for cell in raw_cells(source):
            kind = cell.get("cell_type")
            lines += ["# %%" if kind == "code" else f"# %% [{kind}]", *source_of(cell).splitlines()]
    except (AttributeError, KeyError, TypeError, ValueError):  # a script
        lines = source.splitlines()
    is_cut = len(lines) > _MAX_LINES or any(len(line) > _MAX_LINE for line in lines)
    return [line[:_MAX_LINE] for line in lines[:_MAX_LINES]], is_cut
