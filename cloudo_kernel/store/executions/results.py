"""Store the results of executions, which their flows show by name."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import Connection, delete, func, insert, select, update

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import JsonObject
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_CHANGED
from cloudo_kernel.models.results import MAX_RESULTS, Result, ResultSummary, bundle_size
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.fencing import check_live
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import results

_SUMMARY = (results.c.name, results.c.types, results.c.size, results.c.created_at)


def forget(connection: Connection, execution_id: str) -> None:
    """Delete the results of an execution."""
    connection.execute(delete(results).where(results.c.execution_id == execution_id))


class Results:
    """Read and write results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, execution_id: str, attempt: int, name: str, data: JsonObject, metadata: JsonObject) -> None:
        """Save a result. It replaces one of the same name, in its place.

        Raises `StaleAttempt` unless the attempt is the current one, and `MalformedRequest` for too many results.
        """
        now, c = self._database.clock(), results.c
        mine = c.execution_id == execution_id
        values = {"types": list(data), "size": bundle_size(data, metadata), "created_at": now}
        values |= {"bundle": json.dumps({"data": data, "metadata": metadata})}
        with self._database.write() as connection:
            check_live(connection, execution_id, attempt)
            if not connection.execute(update(results).where(mine, c.name == name).values(**values)).rowcount:
                numbers = select(func.count(), func.coalesce(func.max(c.number), 0)).where(mine)
                number, last = connection.execute(numbers).one()
                if number >= MAX_RESULTS:
                    raise MalformedRequest(
                        f"{name!r} would be result {number + 1}; an execution has at most {MAX_RESULTS}. "
                        "Use a name again: the new result replaces the old one.",
                        field="name",
                    )
                row = {"execution_id": execution_id, "name": name, "number": last + 1, **values}
                connection.execute(insert(results).values(**row))
            record(connection, EXECUTION_CHANGED, EXECUTION, execution_id, time=now, fields=["results"])

    def all(self, execution_id: str) -> tuple[ResultSummary, ...]:
        """Return the results of an execution without their content, in the order in which they were first shown."""
        query = select(*_SUMMARY).where(results.c.execution_id == execution_id).order_by(results.c.number)
        with self._database.read() as connection:
            return tuple(ResultSummary.model_validate(dict(row._mapping)) for row in connection.execute(query))

    def get(self, execution_id: str, name: str) -> Result | None:
        """Return a result, or None if there is none of this name."""
        query = select(*_SUMMARY, results.c.bundle)
        with self._database.read() as connection:
            row = connection.execute(
                query.where(results.c.execution_id == execution_id, results.c.name == name)
            ).one_or_none()
        if row is None:
            return None
        told = dict(row._mapping)
        return Result.model_validate({**json.loads(told.pop("bundle")), **told})

    def mask(self, execution_id: str, masked: Callable[[JsonObject], JsonObject]) -> None:
        """Rewrite the bundles with `masked`: an execution may show a value before it is known as a secret."""
        c = results.c
        with self._database.write() as connection:
            for row in connection.execute(select(c.name, c.bundle).where(c.execution_id == execution_id)).all():
                bundle = json.loads(row.bundle)
                if (safe := {part: masked(bundle[part]) for part in bundle}) != bundle:
                    is_it = (c.execution_id == execution_id, c.name == row.name)
                    connection.execute(update(results).where(*is_it).values(bundle=json.dumps(safe)))
