"""A flow for flow authors: its record, and the calls that start it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.flow_api.calls import run_verbs, start_request
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.values import given_inputs, pick


class Flow:
    """A flow: a notebook or script that can be started."""

    def __init__(self, api: AuthorApi, record: models.Flow) -> None:
        self._api = api
        self._record = record

    @property
    def name(self) -> str:
        """The path below the flows folder, without the ending."""
        return self._record.name

    def get(self, *fields: str) -> Any:
        """Return a field of the record, or a tuple of several: `name` (also as `id`), `title`, `input_schema` …

        Inside a running flow, `script` returns the flow's current source.
        """
        return pick(fields, (*models.Flow.model_fields, "id", "script"), "A flow", self._field)

    def _field(self, field: str) -> Any:
        if field == "id":
            return self.name
        if field == "script":
            return run_verbs(self._api, "get('script')").flow_source(self.name)
        return getattr(self._record, field)

    def start(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        input_value: Mapping[str, Any] | None = None,
        **more_inputs: Any,
    ) -> Execution:
        """Start the flow and return at once. `more_inputs` are added to `inputs`, as in `this.flow`."""
        given = given_inputs(inputs, input_value, more_inputs)
        return Execution(self._api, self._api.start_execution(start_request(flow_name=self.name, inputs=given)))

    def run(self, inputs: Mapping[str, Any] | None = None, **more_inputs: Any) -> Execution:
        """Start the flow and wait until the execution has ended. Raises `DependencyFailedError` unless it succeeds."""
        return self.start(inputs, **more_inputs).run()

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"

    def _repr_html_(self) -> str:
        escape, record = html.escape, self._record
        rows = "".join(
            f"<tr><td style='text-align:left'><code>{escape(name)}</code></td>"
            f"<td style='text-align:left'>{escape(str(about.get('default', '')))}</td>"
            f"<td style='text-align:left'>{escape(str(about.get('description', '')))}</td></tr>"
            for name, about in record.input_schema.get("properties", {}).items()
        )
        head = "<thead><tr><th>Input</th><th>Default</th><th>Description</th></tr></thead>" if rows else ""
        return (
            f"<div><b>{escape(record.title)}</b> <code>{escape(record.name)}</code>"
            f"<p>{escape(record.broken or record.description)}</p><table>{head}{rows}</table></div>"
        )
