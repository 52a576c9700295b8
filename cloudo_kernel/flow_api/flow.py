"""A flow for flow authors: its record, and the calls that start it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.calls import run_verbs, start_request
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.frames import run_rows
from cloudo_kernel.flow_api.signature import takes_inputs, words_of
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

    @takes_inputs
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

    @takes_inputs
    def run(self, inputs: Mapping[str, Any] | None = None, **more_inputs: Any) -> Execution:
        """Start the flow and wait until the execution has ended. Raises `DependencyFailedError` unless it succeeds."""
        return self.start(inputs, **more_inputs).run()

    def map(self, rows: Iterable[Mapping[str, Any]] | Any, *, at_once: int = 8) -> Any:
        """Run the flow once for each row of inputs, and return a table of inputs, outputs and states.

        `rows` are dicts, or a DataFrame, whose missing values are not given. Up to `at_once` run at the same time.
        Returns a pandas DataFrame, or a list of dicts where pandas is not installed. A run that fails has its state and
        message in its row. Raises `InputsInvalid`, naming the row.
        """
        return run_rows(self._api, self._record, rows, at_once=at_once)

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"

    def _repr_html_(self) -> str:
        record, pages = self._record, cards.pages_of(self._api)
        parts: list[str] = [record.broken or record.description]
        if inputs := record.input_schema.get("properties", {}):
            heads = ("Input", "Type", "Default", "Description")
            parts.append(cards.to_table(heads, [_about(name, schema) for name, schema in inputs.items()]))
        if pages is not None:
            parts.append(cards.link(cards.flow_page(record.name, pages), "Flow"))
        return cards.to_card(
            record.title, cards.Html(f"<code>{cards.escaped(record.name)}</code>"), list(filter(None, parts))
        )

    def _row(self) -> dict[str, str]:
        record, pages = self._record, cards.pages_of(self._api)
        last = record.last_executions[0].status if record.last_executions else None
        return {
            "NAME": record.name if pages is None else cards.link(cards.flow_page(record.name, pages), record.name),
            "TITLE": record.title,
            "SOURCE": record.source.value,
            "LAST RUN": "" if last is None else cards.status_of(last),
        }


def _about(name: str, schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return an input as a row of a table."""
    default = cards.short(schema["default"]) if "default" in schema else "(required)"
    return name, words_of(schema), default, str(schema.get("description", ""))
