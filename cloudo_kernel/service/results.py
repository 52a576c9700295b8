"""Verbs for the results of executions."""

from __future__ import annotations

from cloudo_kernel.errors import ResultNotFound
from cloudo_kernel.forms.markdown import MAX_CHARACTERS, rendered
from cloudo_kernel.models.results import LAST_FIGURE, Result, ResultSummary
from cloudo_kernel.service.base import Base
from cloudo_kernel.workspace import executed_cells


class ResultVerbs(Base):
    """Read results. An ended execution without any offers the last figure of its notebook, which is not stored."""

    def execution_results(self, execution_id: str) -> tuple[ResultSummary, ...]:
        """See `Api.execution_results`."""
        self._ask_execution("execution_results", execution_id)
        if found := self._store.results.all(execution_id):
            return found
        figure = self._last_figure(execution_id)
        return () if figure is None else (ResultSummary.model_validate(figure.model_dump(exclude={"data"})),)

    def execution_result(self, execution_id: str, name: str) -> Result:
        """See `Api.execution_result`."""
        self._ask_execution("execution_result", execution_id)
        found = self._store.results.get(execution_id, name)
        if found is None and name == LAST_FIGURE and not self._store.results.all(execution_id):
            found = self._last_figure(execution_id)
        if found is None:
            self._store.executions.status(execution_id)  # raises `ExecutionNotFound`
            raise ResultNotFound(name)
        text = found.data.get("text/markdown")
        if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
            return found
        return found.model_copy(update={"markdown_html": rendered(text)})

    def _last_figure(self, execution_id: str) -> Result | None:
        execution = self._store.executions.get(execution_id)
        if execution.ended_at is None:
            return None
        found = executed_cells.last_figure(self._executed(execution))
        if found is None:
            return None
        data, size = found
        told = {"name": LAST_FIGURE, "types": tuple(data), "size": size, "created_at": execution.ended_at}
        return Result.model_validate({**told, "is_from_notebook": True, "data": data})
