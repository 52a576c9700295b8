"""The cells of an executed notebook, and pages of a log."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from cloudo_kernel.models.base import Page, Record, UtcTime
from cloudo_kernel.models.executions import LogLine


class CellType(StrEnum):
    """The kind of a cell."""

    CODE = "code"
    MARKDOWN = "markdown"
    RAW = "raw"


class CellStatus(StrEnum):
    """The state of a cell in its run."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: The run ended before it.
    SKIPPED = "skipped"


class OutputType(StrEnum):
    """The kind of an output."""

    STREAM = "stream"
    DISPLAY = "display"
    RESULT = "result"
    ERROR = "error"


class CellOutput(Record):
    """One output of a cell. It is never larger than the bounds of its cell."""

    type: OutputType
    name: str | None = Field(
        default=None, description="`stdout` or `stderr` of a stream, or the type of an error; otherwise null."
    )
    text: str | None = Field(default=None, description="The text of a stream, or the traceback of an error.")
    data: dict[str, Any] | None = Field(default=None, description="MIME bundle of a display or a result.")
    is_cut: bool = Field(
        default=False,
        description="Whether something is left out: the end of a text (its beginning while the cell runs), or parts of "
        "the bundle.",
    )


class Cell(Record):
    """One cell of an executed notebook."""

    index: int
    id: str | None = None
    type: CellType
    source: str
    is_source_cut: bool = False
    status: CellStatus
    execution_count: int | None = None
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    outputs: tuple[CellOutput, ...] = ()


class ExecutionCells(Record):
    """Cells of an executed notebook, live while it runs."""

    version: str = Field(description="Changes with each save of the notebook; empty before the first one.")
    cells: tuple[Cell, ...] = ()
    next: int | None = Field(
        default=None, description="Index of the first cell of the next page; null on the last one."
    )


class LogKind(StrEnum):
    """A kind of lines of a log."""

    #: Those of `this.log`, of any level.
    LOG = "log"
    #: Those of `this.log` with at least this level.
    WARNING = "warning"
    ERROR = "error"
    STDOUT = "stdout"
    STDERR = "stderr"

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of its lines; none for lines that cells printed."""
        errors = ("error", "critical")
        warnings = ("warning", *errors)
        logged = {LogKind.LOG: ("debug", "info", *warnings), LogKind.WARNING: warnings, LogKind.ERROR: errors}
        return logged.get(self, ())


class LogPage(Page[LogLine]):
    """A page of a log."""

    total: int | None = Field(default=None, description="Number of lines in all; only with `tail`.")
    matches: int | None = Field(default=None, description="Number of matching lines; only with `q` or `kind`.")
    end: str | None = Field(
        default=None, description="The cursor after the last line of this page, to follow a log that grows."
    )


class SourceDiff(Record):
    """The difference between the sources of two executions."""

    diff: str = Field(description="Unified diff of the cells' sources; empty if they are the same.")
    is_cut: bool = Field(default=False, description="Whether a source or the diff is too long, and its end left out.")
