"""Read executions as lists show them: without large values and tracebacks."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Result, Select, Text, case, cast, func, null, select

from cloudo_kernel.models import Execution
from cloudo_kernel.store.tables import executions

#: Values above this size are left out of lists.
LIST_VALUE_BYTES = 4096


@cache
def brief() -> Select[Any]:
    """Return the query for list records: all fields of the record, with values above `LIST_VALUE_BYTES` left out."""
    values = ("input_value", "output_value")
    columns: list[Any] = [
        column for column in executions.c if column.name in Execution.model_fields and column.name not in values
    ]
    for name in values:
        size = func.length(cast(executions.c[name], Text))
        columns.append(size.label(f"{name}_size"))
        small = case((size <= LIST_VALUE_BYTES, executions.c[name]), else_=null())
        columns.append(small.label(name))
    return select(*columns)


def brief_records(rows: Result[Any]) -> tuple[Execution, ...]:
    """Build records from the rows of `brief`."""
    names = tuple(rows.keys())  # read once: each row would build the names again
    return tuple(brief_record(dict(zip(names, row, strict=True))) for row in rows.all())


def brief_record(values: dict[str, Any]) -> Execution:
    """Build a record from a row of `brief`, given as a dictionary that this modifies."""
    for name in ("input_value", "output_value"):
        if values[f"{name}_size"] > LIST_VALUE_BYTES:
            values[name] = {"left_out": f"{values[f'{name}_size']} bytes; read the execution itself"}
    if values["error"] is not None:
        values["error"] = {**values["error"], "traceback": ()}
    return Execution.model_validate(values)
