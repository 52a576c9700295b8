"""Tables in and out: runs of a flow for each row, and outputs and results as pandas DataFrames.

pandas is optional, and imported where it is needed.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import CloudoError, InputsInvalid, MalformedRequest
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.calls import interrupted_wait, is_whole, run_verbs, start_request
from cloudo_kernel.flow_api.signature import properties_of
from cloudo_kernel.flow_api.values import mapping, to_json
from cloudo_kernel.models import Execution, ExecutionFilter, Flow, Status

#: The MIME type of a table with its types, as pandas writes it.
TABLE_TYPE: Final = "application/vnd.dataresource+json"
#: Larger tables are shown, but not kept with their types: a result has at most 2 MiB.
_MAX_VALUES: Final = 10_000
_MAX_BYTES: Final = 500_000
_POLL: Final = timedelta(seconds=20)
#: Maximum number of executions at once: as many ids as a list takes.
_MAX_AT_ONCE: Final = 500


def table_of(value: Any) -> Any:
    """Return a small DataFrame as JSON with the types of its columns; None for everything else."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(value, pandas.DataFrame) or value.size > _MAX_VALUES:
        return None
    try:
        text = value.to_json(orient="table")
    except (ValueError, TypeError, OverflowError):  # such as columns of the same name
        return None
    return json.loads(text) if len(text) <= _MAX_BYTES else None


def dataframe_of(api: AuthorApi, record: Execution, name: str) -> Any:
    """See `Execution.dataframe`."""
    pandas = _pandas()
    if name in record.output_value:
        value = record.output_value[name]
        if isinstance(value, list | dict):
            try:
                return pandas.DataFrame(value)
            except ValueError:  # such as columns of different lengths
                pass
        raise MalformedRequest(
            f"The output {name!r} is not a table: a list of rows, or a dict of columns.", field="name"
        )
    found = {one.name: one.types for one in api.execution_results(record.id)}
    if TABLE_TYPE in found.get(name, ()):
        data = api.execution_result(record.id, name).data[TABLE_TYPE]
        return pandas.read_json(io.StringIO(json.dumps(data)), orient="table")
    known = ", ".join([*record.output_value, *(one for one, types in found.items() if TABLE_TYPE in types)])
    raise MalformedRequest(
        f"There is no table {name!r} among the outputs and results. "
        + (f"There are: {known}." if known else "The flow has set none."),
        field="name",
    )


def run_rows(api: AuthorApi, flow: Flow, rows: Any, *, at_once: int) -> Any:
    """See `Flow.map`."""
    if isinstance(at_once, bool) or not isinstance(at_once, int) or not 1 <= at_once <= _MAX_AT_ONCE:
        raise MalformedRequest(f"at_once is a number from 1 to {_MAX_AT_ONCE}, not {at_once!r}.", field="at_once")
    inputs = [_inputs(flow, number, row) for number, row in enumerate(_dicts(rows))]
    ended = _Runs(api, flow.name, inputs).run(at_once)
    table = [_row(given, record) for given, record in zip(inputs, ended, strict=True)]
    try:
        import pandas
    except ImportError:
        return table
    index = rows.index if isinstance(rows, pandas.DataFrame) else None
    return pandas.DataFrame(table, index=index)


class _Runs:
    """The runs of one flow for many inputs, a few at once."""

    def __init__(self, api: Any, flow_name: str, inputs: list[dict[str, Any]]) -> None:
        self._api = api
        self._flow_name = flow_name
        self._inputs = inputs
        self._ended: dict[int, Execution] = {}
        #: Numbers of the rows that run, by the ids of their executions.
        self._running: dict[str, int] = {}
        self._show = _progress(flow_name, len(inputs))

    def run(self, at_once: int) -> list[Execution]:
        """Run all, and return their ended records in the order of the inputs."""
        position = self._position()
        try:
            for number in range(len(self._inputs)):
                while len(self._running) >= at_once:
                    position = self._collect(position)
                self._start(number)
            while self._running:
                position = self._collect(position)
        except KeyboardInterrupt:
            if not is_whole(self._api):
                raise
            raise interrupted_wait(self._api, self._flow_name, list(self._running)) from None
        return [self._ended[number] for number in range(len(self._inputs))]

    def _start(self, number: int) -> None:
        request = start_request(flow_name=self._flow_name, inputs=self._inputs[number])
        try:
            started = self._api.start_execution(request)
        except InputsInvalid as error:
            self._cancel()
            raise InputsInvalid(f"Row {number}: {error}", field=error.field) from error
        self._running[started.id] = number

    def _position(self) -> int:
        return int(self._api.events(limit=1).next or 0) if is_whole(self._api) else 0

    def _collect(self, position: int) -> int:
        """Wait for the next end, take what has ended, and return the position in the events."""
        ids = tuple(self._running)
        if not is_whole(self._api):
            ended = list(run_verbs(self._api, "map").wait_for(ids, first=True))
        else:
            ended = self._ended_of(ids)
            if not ended:
                page = self._api.events(after=position, timeout=_POLL, limit=500)
                return int(page.next or position)
        for record in ended:
            self._ended[self._running.pop(record.id)] = record
        self._show(list(self._ended.values()))
        return position

    def _ended_of(self, ids: tuple[str, ...]) -> list[Execution]:
        # Lists leave out large values.
        listed = self._api.executions(ExecutionFilter(ids=ids), limit=len(ids)).items
        return [self._api.execution(one.id) for one in listed if one.is_ended]

    def _cancel(self) -> None:
        for execution_id in self._running:
            try:
                self._api.cancel_execution(execution_id)
            except CloudoError:  # it has just ended
                continue


def _dicts(rows: Any) -> list[Mapping[str, Any]]:
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # a DataFrame
        records: list[dict[str, Any]] = rows.to_dict("records")
        plain = [{str(name): to_json(value, name=str(name)) for name, value in row.items()} for row in records]
        return [{name: value for name, value in row.items() if value is not None} for row in plain]
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise MalformedRequest(f"rows is a list of dicts or a DataFrame, not a {type(rows).__name__}.", field="rows")
    return list(rows)


def _inputs(flow: Flow, number: int, row: Any) -> dict[str, Any]:
    """Return the inputs of a row. Raises before anything is started, if their names do not match the flow's."""
    given: dict[str, Any] = to_json(mapping(row, f"rows[{number}]"), name=f"rows[{number}]")
    known = properties_of(flow.input_schema)
    if flow.input_schema.get("additionalProperties") is False and (unknown := given.keys() - known.keys()):
        raise InputsInvalid(f"Row {number}: no input {min(unknown)!r}. Inputs: {', '.join(known)}.", field=min(unknown))
    if missing := [name for name in flow.input_schema.get("required", ()) if name not in given]:
        raise InputsInvalid(f"Row {number}: the input {missing[0]!r} is missing.", field=missing[0])
    return given


def _row(given: dict[str, Any], record: Execution) -> dict[str, Any]:
    outputs = {f"output.{name}" if name in given else name: value for name, value in record.output_value.items()}
    state = {"status": cards.word_of(record.status), "message": record.message, "execution": record.id}
    return {**given, **outputs, **state}


def _progress(flow_name: str, total: int) -> Callable[[list[Execution]], None]:
    """Return a function that shows how many runs have ended, in one bar in the output of the cell."""
    if cards.current_cell() is None:
        return lambda _ended: None
    from IPython.display import display

    def bundle(ended: list[Execution]) -> dict[str, str]:
        failed = sum(one.status is not Status.ENDED_SUCCESS for one in ended)
        note = f" · {failed} failed" if failed else ""
        bar = cards.Html(cards.progress_bar(len(ended), total, "runs") + note)
        return {
            "text/html": cards.to_card(flow_name, "", [bar]),
            "text/plain": f"{flow_name}: {len(ended)} of {total} runs{note}",
        }

    handle = display(bundle([]), raw=True, display_id=True)
    return lambda ended: handle.update(bundle(ended), raw=True)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MalformedRequest("dataframe() needs pandas. Install it with %pip install pandas.") from error
    return pandas
