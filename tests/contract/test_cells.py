"""The cells of an executed notebook, live and bounded, and the log with printed lines. Over both ends."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import (
    Cell,
    CellStatus,
    CellType,
    Execution,
    ExecutionCells,
    LogKind,
    LogLine,
    LogSource,
    OutputType,
    StartExecution,
    Status,
)
from tests.contract.conftest import End
from tests.server import until

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"
PRINTING = "print('a')\nthis.log('b')\nimport sys\nprint('c\\nd', file=sys.stderr)\nimport time; time.sleep(0.5)"


def ended(end: End, *sources: str, parameters: str | None = None) -> Execution:
    started = end.api.start_execution(StartExecution(flow_name=end.flow(*sources, parameters=parameters)))
    return end.api.wait(started.id, timeout=timedelta(seconds=60))


def statuses(found: ExecutionCells) -> list[str]:
    return [cell.status.value for cell in found.cells]


def rewrite(end: End, execution: Execution, cells: list[dict[str, object]]) -> None:
    assert execution.notebook is not None
    path = Path(end.workspace, execution.notebook)
    notebook = json.loads(path.read_text())
    path.write_text(json.dumps({**notebook, "cells": [{"metadata": {}, "source": "", **cell} for cell in cells]}))


def test_cells_have_their_states_times_and_outputs(end: End) -> None:
    execution = ended(end, "print('one')\n1 + 1", "1 / 0", "print('never')")
    assert execution.status is Status.ENDED_ERROR
    found = end.api.execution_cells(execution.id)
    code = [cell for cell in found.cells if cell.type is CellType.CODE]  # papermill adds notes about the error
    assert [cell.status.value for cell in code] == ["done", "failed", "skipped"]
    assert execution.error is not None
    assert execution.error.cell == code[1].index
    assert found.next is None
    first, failed, _ = code
    assert (first.type, first.source, first.execution_count) == (CellType.CODE, "print('one')\n1 + 1", 1)
    assert [(one.type, one.name, one.text) for one in first.outputs[:1]] == [(OutputType.STREAM, "stdout", "one\n")]
    assert first.outputs[1].type is OutputType.RESULT
    assert first.outputs[1].data == {"text/plain": "2"}
    assert first.started_at is not None
    assert first.ended_at is not None
    assert execution.started_at is not None
    assert execution.started_at - timedelta(seconds=60) <= first.started_at <= first.ended_at
    error = failed.outputs[-1]
    assert (error.type, error.name) == (OutputType.ERROR, "ZeroDivisionError")
    again = end.api.execution_cells(execution.id, after=found.version)
    assert (again.version, again.cells) == (found.version, ())
    assert [cell.index for cell in found.cells] == list(range(5))
    assert end.api.execution_cells(execution.id, first=2).cells == found.cells[2:]


def test_cells_are_live_while_the_execution_runs(end: End) -> None:
    printing = "import time\nprint('x' * 150_000)\nprint('second', flush=True)\nwhile True: time.sleep(0.1)"
    flow = end.flow("print('first')", printing, "3")
    started = end.api.start_execution(StartExecution(flow_name=flow))
    until(lambda: statuses(end.api.execution_cells(started.id)) == ["done", "running", "pending"])
    until(lambda: "second" in _text(end.api.execution_cells(started.id).cells[1]))
    found = end.api.execution_cells(started.id)
    assert _text(found.cells[1]) == "x" * 99_992 + "\nsecond\n"
    assert any(one.is_cut for one in found.cells[1].outputs)
    end.api.cancel_execution(started.id)
    end.api.wait(started.id, timeout=timedelta(seconds=60))
    last = end.api.execution_cells(started.id, after=found.version)
    assert last.version != found.version
    assert CellStatus.RUNNING not in {cell.status for cell in last.cells}
    assert last.cells[-1].status is CellStatus.SKIPPED
    assert _text(last.cells[-2]).startswith("x" * 99_000)
    assert "second" not in _text(last.cells[-2])


def _text(cell: Cell) -> str:
    return "".join(one.text or "" for one in cell.outputs if one.type is OutputType.STREAM)


def test_an_execution_that_has_not_begun_has_no_cells(end: End) -> None:
    pending = end.later(end.flow())
    assert end.api.execution_cells(pending.id) == ExecutionCells(version="")
    with pytest.raises(errors.ExecutionNotFound):
        end.api.execution_cells(UNKNOWN)
    with pytest.raises(errors.MalformedRequest):
        end.api.execution_cells(pending.id, first=-1)


def test_large_outputs_are_cut(end: End) -> None:
    execution = ended(end)
    image = {"output_type": "display_data", "data": {"image/png": "x" * 700_000, "text/plain": "<Figure>"}}
    html = {"output_type": "display_data", "data": {"text/html": ["<p>" * 30_000, "<p>" * 30_000], "text/plain": "h"}}
    stream = {"output_type": "stream", "name": "stdout", "text": "y" * 10_000_000}
    rewrite(
        end,
        execution,
        [
            {"cell_type": "code", "outputs": [image, image, html, stream, stream]},
            {"cell_type": "markdown", "source": ["# Title\n", "z" * 200_000]},
            {"cell_type": "odd", "outputs": [{"output_type": "odd"}]},
        ],
    )
    code, markdown, odd = end.api.execution_cells(execution.id).cells
    assert [one.is_cut for one in code.outputs] == [False, True, True, True, True]
    assert [sorted(one.data or ()) for one in code.outputs[:3]] == [
        ["image/png", "text/plain"],
        ["text/plain"],
        ["text/plain"],
    ]
    assert len(code.outputs[3].text or "") < 100_000
    assert code.outputs[4].text == ""
    assert (len(markdown.source), markdown.is_source_cut, markdown.type) == (100_000, True, CellType.MARKDOWN)
    assert (odd.type, odd.outputs) == (CellType.RAW, ())


def test_many_cells_come_in_pages(end: End) -> None:
    execution = ended(end)
    picture = {"output_type": "display_data", "data": {"image/png": "x" * 1_000_000}}
    large: dict[str, object] = {"cell_type": "code", "outputs": [picture]}
    small: dict[str, object] = {"cell_type": "code", "outputs": []}
    rewrite(end, execution, [*([large] * 10), *([small] * 2_500)])
    found, first, pages = [], 0, 0
    while True:
        page = end.api.execution_cells(execution.id, first=first)
        assert len(page.model_dump_json()) < 8 << 20
        found += [cell.index for cell in page.cells]
        pages += 1
        if page.next is None:
            break
        first = page.next
    assert found == list(range(2_510))
    assert pages == 4


def test_a_file_that_is_no_notebook_is_not_shown(end: End) -> None:
    execution = ended(end)
    assert execution.notebook is not None
    for text in ("{", '{"cells": [{"a": 1}, ', "[]", '{"cells": 1}', '{"cells": [1]}'):
        Path(end.workspace, execution.notebook).write_text(text)
        with pytest.raises(errors.NotebookNotFound):
            end.api.execution_cells(execution.id)
        assert end.api.execution_log(execution.id, streams=True).items == ()


def shown(lines: tuple[LogLine, ...]) -> list[tuple[str, str, int | None]]:
    return [(line.text, line.source.value, line.cell) for line in lines]


def test_the_log_has_what_cells_print(end: End) -> None:
    execution = ended(end, PRINTING, "print('e')\nthis.log('f')")
    assert shown(end.api.execution_log(execution.id).items) == [("b", "log", None), ("f", "log", None)]
    page = end.api.execution_log(execution.id, streams=True)
    assert shown(page.items) == [
        ("a", "stdout", 0),
        ("c", "stderr", 0),
        ("d", "stderr", 0),
        ("b", "log", None),
        ("e", "stdout", 1),
        ("f", "log", None),
    ]
    assert (page.next, page.end, page.total) == (None, "2.4", None)
    found: tuple[LogLine, ...] = ()
    cursor = None
    while True:
        part = end.api.execution_log(execution.id, streams=True, limit=2, cursor=cursor)
        found += part.items
        cursor = part.next
        if cursor is None:
            break
    assert found == page.items
    assert end.api.execution_log(execution.id, streams=True, cursor=page.end).items == ()


def test_the_last_lines_of_a_log_are_read_alone(end: End) -> None:
    execution = ended(end, PRINTING, "print('e')\nthis.log('f')")
    last = end.api.execution_log(execution.id, tail=1)
    assert (shown(last.items), last.total, last.next, last.end) == ([("f", "log", None)], 2, None, "2")
    last = end.api.execution_log(execution.id, tail=3, streams=True)
    assert [line.text for line in last.items] == ["b", "e", "f"]
    assert (last.total, last.end) == (6, "2.4")
    assert end.api.execution_log(execution.id, tail=5_000).total == 2
    tails: list[dict[str, Any]] = [{"tail": 0}, {"tail": 5_001}, {"tail": 1, "cursor": "1"}, {"q": "a"}]
    tails += [{"kind": LogKind.LOG}, {"tail": 1, "q": "x" * 1_001}]
    for wrong in (*tails, {"cursor": "1.2.3"}, {"cursor": "x"}):
        with pytest.raises(errors.MalformedRequest):
            end.api.execution_log(execution.id, **wrong)


def test_a_log_is_searched_by_text_and_kind(end: End) -> None:
    logs = "".join(f"this.log('Line %_{n}', level={level!r})\n" for n, level in enumerate(("info", "warning", "error")))
    execution = ended(end, f"print('A LINE')\n{logs}", "import sys\nprint('line', file=sys.stderr)")

    def found(**wanted: Any) -> tuple[list[str], int | None]:
        page = end.api.execution_log(execution.id, streams=True, **wanted)
        assert (page.total, page.next) == (5, None)
        return [line.text for line in page.items], page.matches

    every = ["A LINE", "Line %_0", "Line %_1", "Line %_2", "line"]
    assert found(tail=10, q="line") == (every, 5)
    assert found(tail=2, q="LINE") == (every[-2:], 5)
    assert found(tail=10, q="%_1") == (["Line %_1"], 1)
    assert found(tail=10, q="%_1", kind=LogKind.ERROR) == ([], 0)
    for kind, texts in (
        (LogKind.LOG, every[1:4]),
        (LogKind.WARNING, every[2:4]),
        (LogKind.ERROR, every[3:4]),
        (LogKind.STDOUT, every[:1]),
        (LogKind.STDERR, every[4:]),
    ):
        assert found(tail=10, kind=kind) == (texts, len(texts))
    alone = end.api.execution_log(execution.id, tail=10, q="line")
    assert [line.text for line in alone.items] == every[1:4]


def test_the_log_of_a_flow_is_in_the_order_in_which_it_was_written(end: End) -> None:
    execution = ended(end, "for n in range(2000): this.log('line', n)", "print('line 2000')")
    found = end.api.execution_log(execution.id, streams=True, tail=100)
    assert [line.text for line in found.items] == [f"line {number}" for number in range(1901, 2001)]
    frozen = ended(end, "import time\ntime.time = lambda: 0.0\nthis.log('now')")
    [line] = end.api.execution_log(frozen.id).items
    assert frozen.started_at is not None
    assert line.time > frozen.started_at


def test_a_long_log_is_read_page_by_page(end: End) -> None:
    execution = ended(end)
    text = "".join(f"line {number}\n" for number in range(200_000))
    cells: list[dict[str, object]] = [
        {"cell_type": "code", "outputs": [{"output_type": "stream", "name": "stdout", "text": text}]}
    ]
    rewrite(end, execution, cells)
    assert end.api.execution_log(execution.id, streams=True, cursor="0.199999").items[0].text == "line 199999"
    last = end.api.execution_log(execution.id, streams=True, tail=2)
    assert ([line.text for line in last.items], last.total) == (["line 199998", "line 199999"], 200_000)
    assert {line.source for line in last.items} == {LogSource.STDOUT}
    searched = end.api.execution_log(execution.id, streams=True, tail=3, q="LINE 1999")
    assert ([line.text for line in searched.items], searched.matches) == (
        [f"line {number}" for number in range(199_997, 200_000)],
        111,
    )
