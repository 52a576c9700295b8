"""Read the cells of executed notebooks, in bounded pages, and the lines that they print. Compare two sources.

A notebook is parsed cell by cell: parsing a large one at once would stop every other thread of the server meanwhile.
The runner has masked all secrets in the file.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cloudo_kernel.models import (
    Cell,
    CellOutput,
    CellStatus,
    CellType,
    ExecutionCells,
    JsonObject,
    LogSource,
    OutputType,
    SourceDiff,
)
from cloudo_kernel.models.results import MAX_RESULT_BYTES, bundle_size
from cloudo_kernel.security.bounds import check_json

#: Bounds of the outputs of one cell.
MAX_TEXT: Final = 100_000
MAX_IMAGE_BYTES: Final = 1 << 20
#: Bounds of one page. The last cell may exceed the size by its own bounds.
MAX_PAGE_BYTES: Final = 6 << 20
MAX_PAGE_CELLS: Final = 1_000
#: Larger notebooks are not searched for a figure: 10 MB take 0.1 s, and small numbers 0.6 s.
MAX_FIGURE_NOTEBOOK_BYTES: Final = 10 << 20

_BEGIN = re.compile(r'\s*{\s*"cells"\s*:\s*\[')
_SPACE = re.compile(r"[\s,]*")
_TYPES: Final = {
    "stream": OutputType.STREAM,
    "display_data": OutputType.DISPLAY,
    "update_display_data": OutputType.DISPLAY,
    "execute_result": OutputType.RESULT,
    "error": OutputType.ERROR,
}
_CELL_TYPES: Final = {one.value: one for one in CellType}
#: Errors of a file with JSON that is not a notebook.
_BROKEN: Final = (AttributeError, KeyError, TypeError)
_STATUSES: Final = {
    "pending": CellStatus.PENDING,
    "running": CellStatus.RUNNING,
    "completed": CellStatus.DONE,
    "failed": CellStatus.FAILED,
}
#: Maximum number of lines of a source, and of the diff, and maximum length of a line.
_MAX_LINES: Final = 4_000
_MAX_LINE: Final = 2_000


@dataclass(frozen=True)
class Printed:
    """Lines that a cell printed one after another."""

    time: datetime | None
    source: LogSource
    cell: int
    lines: tuple[str, ...]


def version_of(path: Path) -> str:
    """Return the version of a notebook, or an empty text if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns}-{found.st_size}"


def page_of(path: Path, *, first: int, is_ended: bool) -> ExecutionCells:
    """Return cells from the index `first` on. Raises `FileNotFoundError`, `ValueError`."""
    try:
        return _page_of(path, first=first, is_ended=is_ended)
    except _BROKEN as error:
        raise ValueError("not a notebook") from error


def _page_of(path: Path, *, first: int, is_ended: bool) -> ExecutionCells:
    version = version_of(path)
    cells: list[Cell] = []
    size = 0
    for index, raw in enumerate(raw_cells(path.read_text(encoding="utf-8"))):
        if index < first:
            continue
        if len(cells) >= MAX_PAGE_CELLS or size >= MAX_PAGE_BYTES:
            return ExecutionCells(version=version, cells=tuple(cells), next=index)
        status = _status(raw, is_ended=is_ended)
        bounds = _Bounds(is_end_kept=status is CellStatus.RUNNING)
        cells.append(_cell(index, raw, bounds, status))
        size += len(cells[-1].source) + bounds.used
    return ExecutionCells(version=version, cells=tuple(cells))


def printed_in(path: Path) -> tuple[Printed, ...]:
    """Return what the cells of a notebook printed, in order. Raises `FileNotFoundError`, `ValueError`."""
    try:
        return tuple(_printed_in(path))
    except _BROKEN as error:
        raise ValueError("not a notebook") from error


def _printed_in(path: Path) -> Iterator[Printed]:
    for index, raw in enumerate(raw_cells(path.read_text(encoding="utf-8"))):
        for output in raw.get("outputs", ()):
            if output.get("output_type") == "stream" and output.get("name") in ("stdout", "stderr"):
                lines = tuple(_text(output.get("text", "")).splitlines())
                yield Printed(_times(raw)[0], LogSource(output["name"]), index, lines)


def last_figure(path: Path) -> tuple[JsonObject, int] | None:
    """Return the MIME bundle of the last image that a cell displays, and its size. None without one in the limits."""
    try:
        if path.stat().st_size > MAX_FIGURE_NOTEBOOK_BYTES or '"image/' not in (text := path.read_text("utf-8")):
            return None
        check_json(text)
        found = [data for raw in raw_cells(text) for data in _displayed(raw) if any(map(_is_image, data))]
    except (OSError, ValueError, *_BROKEN):
        return None
    if not found or (size := bundle_size(found[-1], {})) > MAX_RESULT_BYTES:
        return None
    return found[-1], size


def _displayed(raw: JsonObject) -> Iterator[JsonObject]:
    for output in raw.get("outputs", ()):
        yield {
            mime: value if isinstance(value, dict) else _text(value) for mime, value in output.get("data", {}).items()
        }


def _is_image(mime: str) -> bool:
    return mime.startswith("image/")


def raw_cells(text: str) -> Iterator[JsonObject]:
    """Yield the cells of a notebook's JSON text. Raises `ValueError`."""
    begin = _BEGIN.match(text)
    if begin is None:
        yield from json.loads(text)["cells"]
        return
    decoder, place = json.JSONDecoder(), begin.end()
    while True:
        space = _SPACE.match(text, place)
        place = place if space is None else space.end()
        if text[place : place + 1] == "]":
            return
        cell, place = decoder.raw_decode(text, place)
        yield cell


def source_of(raw: Mapping[str, Any]) -> str:
    """Return the source of a cell."""
    return _text(raw.get("source", ""))


class _Bounds:
    """What the outputs of one cell may still have."""

    def __init__(self, *, is_end_kept: bool = False) -> None:
        #: Whether the beginning of a text is left out, rather than its end.
        self.is_end_kept = is_end_kept
        self.text = MAX_TEXT
        self.images = MAX_IMAGE_BYTES

    @property
    def used(self) -> int:
        """The size of what was taken."""
        return MAX_TEXT - self.text + MAX_IMAGE_BYTES - self.images

    def take_text(self, text: str) -> tuple[str, bool]:
        """Return the part of a text that fits, and whether it is cut."""
        shown = text[max(0, len(text) - self.text) :] if self.is_end_kept else text[: self.text]
        self.text -= len(shown)
        return shown, len(shown) < len(text)

    def fits(self, size: int, *, is_image: bool) -> bool:
        """Take a part that cannot be cut; return whether it fits."""
        if size > (self.images if is_image else self.text):
            return False
        if is_image:
            self.images -= size
        else:
            self.text -= size
        return True


def _cell(index: int, raw: JsonObject, bounds: _Bounds, status: CellStatus) -> Cell:
    started_at, ended_at = _times(raw)
    source = source_of(raw)
    return Cell(
        index=index,
        id=raw.get("id"),
        type=_CELL_TYPES.get(str(raw.get("cell_type")), CellType.RAW),
        source=source[:MAX_TEXT],
        is_source_cut=len(source) > MAX_TEXT,
        status=status,
        execution_count=raw.get("execution_count"),
        started_at=started_at,
        ended_at=ended_at,
        outputs=_outputs(raw, bounds),
    )


def _outputs(raw: JsonObject, bounds: _Bounds) -> tuple[CellOutput, ...]:
    """Return the outputs of a cell in order, within the bounds: the first ones, or the last ones."""
    given = [one for one in raw.get("outputs", ()) if one.get("output_type") in _TYPES]
    step = -1 if bounds.is_end_kept else 1
    return tuple(_output(one, bounds) for one in given[::step])[::step]


def _status(raw: JsonObject, *, is_ended: bool) -> CellStatus:
    told = _of_run(raw).get("status")
    # papermill adds notes about an error, which have no state.
    is_done = raw.get("cell_type") != "code" or raw.get("execution_count") is not None
    usual = CellStatus.DONE if is_done else CellStatus.PENDING
    status = _STATUSES.get(told, usual) if isinstance(told, str) else usual
    if is_ended and status is CellStatus.PENDING:
        return CellStatus.SKIPPED
    return CellStatus.FAILED if is_ended and status is CellStatus.RUNNING else status


def _times(raw: JsonObject) -> tuple[datetime | None, datetime | None]:
    told = _of_run(raw)
    return _moment(told.get("start_time")), _moment(told.get("end_time"))


def _of_run(raw: JsonObject) -> Mapping[str, Any]:
    found = raw.get("metadata", {}).get("papermill")
    return found if isinstance(found, dict) else {}


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _output(raw: JsonObject, bounds: _Bounds) -> CellOutput:
    kind = _TYPES[raw["output_type"]]
    if kind is OutputType.STREAM:
        text, is_cut = bounds.take_text(_text(raw.get("text", "")))
        return CellOutput(type=kind, name=raw.get("name"), text=text, is_cut=is_cut)
    if kind is OutputType.ERROR:
        name, value = str(raw.get("ename", "")), str(raw.get("evalue", ""))
        traceback = "\n".join(map(str, raw.get("traceback") or [f"{name}: {value}"]))
        text, is_cut = bounds.take_text(traceback)
        return CellOutput(type=kind, name=name[:300], text=text, is_cut=is_cut)
    shown: JsonObject = {}
    given = raw.get("data", {})
    for mime, value in given.items():
        content = _text(value) if mime.startswith("text/") or isinstance(value, list) else value
        if mime == "text/plain" and isinstance(content, str):
            shown[mime], is_cut = bounds.take_text(content)
            if is_cut:
                return CellOutput(type=kind, data=shown, is_cut=True)
        elif bounds.fits(_size(content), is_image=mime.startswith("image/")):
            shown[mime] = content
    return CellOutput(type=kind, data=shown, is_cut=len(shown) < len(given))


def _size(content: Any) -> int:
    return len(content) if isinstance(content, str) else len(json.dumps(content))


def _text(value: Any) -> str:
    """Return a text that a notebook may hold as a list of its lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def difference(old: str, new: str, *, old_name: str, new_name: str) -> SourceDiff:
    """Return the difference between two sources, JSON text of notebooks or Python text, cell by cell.

    It is bounded, because comparing takes quadratic time.
    """
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
