"""An execution for flow authors: a cached record, the actions on it, and the conditions to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import CloudoError, DependencyFailedError, MalformedRequest, WaitInterrupted
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.calls import has_children, interrupted_wait, is_whole, run_verbs
from cloudo_kernel.flow_api.executed_notebook import ExecutedNotebook
from cloudo_kernel.flow_api.frames import dataframe_of
from cloudo_kernel.flow_api.progress import show_progress
from cloudo_kernel.flow_api.results import cards_of, results_of
from cloudo_kernel.flow_api.values import check_fields, given_inputs, pick, to_json, to_limit

#: Duration of one wait of `await run`.
_AWAIT = timedelta(seconds=1)
#: The key of the outputs that also returns the log, and the key of a webhook's inputs that also returns the form.
_LOG, _JSON = "logging", "json"
_NOUN = "An execution"


class ReturnWhen(StrEnum):
    """The condition that `this.wait_for` waits for."""

    ALL_ENDED = "ALL_ENDED"
    ALL_SUCCEEDED = "ALL_SUCCEEDED"
    FIRST_ENDED = "FIRST_ENDED"


def to_return_when(word: ReturnWhen | str) -> ReturnWhen:
    """Return the `ReturnWhen` that `word` names. Raises `MalformedRequest`."""
    try:
        return ReturnWhen(word)
    except ValueError:
        raise MalformedRequest(
            f"return_when takes {', '.join(ReturnWhen)}, not {word!r}.", field="return_when"
        ) from None


class Execution:
    """One run of a flow. `get` and `set` use a local copy of its record; `load` and `save` use the store."""

    #: The cell whose output has it already: its progress was displayed while the cell waited.
    _displayed_in: object | None = None

    def __init__(self, api: AuthorApi, record: models.Execution) -> None:
        self._api = api
        self._record = record
        #: Fields that were set but not saved yet.
        self._wanted: dict[str, Any] = {}

    @property
    def id(self) -> str:
        """The execution's id."""
        return self._record.id

    @property
    def record(self) -> models.Execution:
        """The whole record, as last fetched."""
        return self._record

    @property
    def status(self) -> models.Status:
        """The state, as last fetched."""
        return self._record.status

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs, as last fetched."""
        return Outputs(self._record)

    def results(self) -> dict[str, dict[str, Any]]:
        """Fetch what the flow has shown with `this.show`: MIME bundles by name.

        If it has shown nothing, this is the last figure of its notebook, as `figure`.
        """
        return {one.name: one.data for one in results_of(self._api, self.id)}

    def get(self, *fields: str) -> Any:
        """Return a field of the local copy, or a tuple of several: `get("status")`, `get("name", "message")`."""
        return self._pick(fields)

    def set(self, **fields: Any) -> Self:
        """Change fields of the local copy; `save()` stores them."""
        check_fields(fields, models.Execution.model_fields, _NOUN)
        self._record = self._record.model_copy(update=fields)
        self._wanted |= fields
        return self

    def load(self, *fields: str) -> Any:
        """Fetch the record and return a field, or a tuple of several."""
        self._record, self._wanted = self._api.execution(self.id), {}
        return self._pick(fields)

    def save(self, **fields: Any) -> None:
        """Save fields of a child in the store: `name`, `message`, `tags`. Without arguments, save the `set` fields.

        Works only inside a running flow. `input_value` and `output_value` can be saved until the child starts.
        Raises `MalformedRequest`, `PermissionDenied`, `InputsInvalid`.
        """
        calls, given = run_verbs(self._api, "save"), self._to_save(fields)
        self._record = calls.save_execution(self.id, given)

    def _to_save(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        given = {field: to_json(value, name=field) for field, value in (fields or self._wanted).items()}
        if not given:
            raise MalformedRequest("Nothing to save: give a field, such as save(message='half way').")
        self._wanted = {}
        return given

    def wait(
        self, timeout_seconds: float | None = None, *, return_when: ReturnWhen | str = ReturnWhen.ALL_ENDED
    ) -> Self:
        """Wait until the execution has ended in any state, up to `timeout_seconds`.

        With `return_when=system.return_when.ALL_SUCCEEDED`, raises `DependencyFailedError` if it has not succeeded.
        A notebook cell shows the progress meanwhile. Interrupting the cell does not stop the execution.
        """
        timeout, when = to_limit(timeout_seconds), to_return_when(return_when)
        try:
            with show_progress(self._api, self._record) as display:
                self._displayed_in = None if display is None else cards.current_cell()
                self._record = self._api.wait(self.id, timeout=timeout)
                if display is not None:
                    display.update(self._record)
        except KeyboardInterrupt:
            if not is_whole(self._api):
                raise
            raise interrupted_wait(self._api, self._record.name, [self.id]) from None
        return self.check() if when is ReturnWhen.ALL_SUCCEEDED else self

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait without blocking other tasks: `await run`. Raises `DependencyFailedError` unless it succeeds."""
        return self._awaited().__await__()

    async def _awaited(self) -> Self:
        if not is_whole(self._api):  # a run has one channel
            return self.wait(return_when=ReturnWhen.ALL_SUCCEEDED)
        with show_progress(self._api, self._record) as display:
            self._displayed_in = None if display is None else cards.current_cell()
            while not self._record.is_ended:
                # A short wait, because the thread of a cancelled task ends with it.
                self._record = await asyncio.to_thread(self._api.wait, self.id, timeout=_AWAIT)
            if display is not None:
                display.update(self._record)
        return self.check()

    def notebook(self) -> ExecutedNotebook:
        """Return the executed notebook, which a cell displays. Raises `NotebookNotFound`."""
        return ExecutedNotebook.of(self._api, self.id)

    def dataframe(self, name: str) -> Any:
        """Return a table as a pandas DataFrame: an output with rows or columns, or a DataFrame from `this.show`.

        Raises `MalformedRequest` if there is no such table.
        """
        return dataframe_of(self._api, self._record, name)

    def run(self) -> Self:
        """Start the execution if it was only created, and wait until it has ended.

        An interrupt of a running flow cancels it. Elsewhere it continues.
        Raises `DependencyFailedError` unless it succeeds.
        """
        if has_children(self._api):
            self.run_async()
        return self._finish(ReturnWhen.ALL_SUCCEEDED)

    def run_async(self, wait_for: Execution | Iterable[Execution] = ()) -> Self:
        """Start a child that was only created (`run=False`, or a clone), and do not wait for it.

        With `wait_for`, it starts once all of these have succeeded. If one of them does not succeed, the child ends in
        error without running.
        """
        calls = run_verbs(self._api, "run_async")
        self._record = calls.release_execution(self.id, after=[one.id for one in flat([wait_for])])
        return self

    def _finish(self, return_when: ReturnWhen) -> Self:
        try:
            return self.wait(return_when=return_when)
        except WaitInterrupted:
            raise
        except KeyboardInterrupt:
            with suppress(CloudoError):  # it may have ended, or the interrupt may have cancelled it
                self.cancel()
            raise

    def check(self) -> Self:
        """Raise `DependencyFailedError` if the execution has ended without success."""
        if self._record.is_ended and self.status is not models.Status.ENDED_SUCCESS:
            why = f": {self._record.message}" if self._record.message else ""
            raise DependencyFailedError(f"{self._record.name} ({self.id}) ended in {self.status}{why}")
        return self

    def cancel(self, *, tree: bool = False) -> Self:
        """Cancel the execution and its children.

        With `tree`, cancel all its descendants, even if the execution itself has ended.
        Raises `IllegalTransition` if everything has ended already.
        """
        self._record = self._api.cancel_execution(self.id, tree=tree)
        return self

    def pause(self) -> Self:
        """Pause the execution; if it runs, before its next cell. Raises `IllegalTransition` if it cannot be paused."""
        self._record = self._api.pause_execution(self.id)
        return self

    def resume(self) -> Self:
        """Resume the paused execution. Raises `IllegalTransition` if it is not paused."""
        self._record = self._api.resume_execution(self.id)
        return self

    def clone(
        self, inputs: Mapping[str, Any] | None = None, *, input_value: Mapping[str, Any] | None = None
    ) -> Execution:
        """Create a copy as a child, with the same inputs or others. Its `run()` or `run_async()` starts it."""
        given = _other_inputs(inputs, input_value)
        return Execution(self._api, run_verbs(self._api, "clone").clone_execution(self.id, given))

    def retry(
        self, inputs: Mapping[str, Any] | None = None, *, input_value: Mapping[str, Any] | None = None
    ) -> Execution:
        """Retry the ended execution, with the same inputs or others, and return the new execution."""
        return Execution(self._api, self._api.retry_execution(self.id, _other_inputs(inputs, input_value)))

    def _pick(self, fields: tuple[str, ...]) -> Any:
        return pick(fields, models.Execution.model_fields, _NOUN, self._value)

    def _value(self, field: str) -> Any:
        if field == "output_value":
            return self.outputs
        if field == "input_value" and self._record.webhook_name is not None:
            return WebhookInputs(self._record.input_value)
        return getattr(self._record, field)

    def __repr__(self) -> str:
        return f"<Execution {self._record.name!r} {self.status} {self.id}>"

    def _repr_html_(self) -> str:
        results = cards_of(self._api, self.id)
        return cards.execution_card(self._record, pages=cards.pages_of(self._api), results=results)

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        return {"text/plain": cards.execution_text(self._record), "text/html": self._repr_html_()}

    def _ipython_display_(self) -> None:
        """Display nothing in the cell that displayed the progress; called by IPython.

        Otherwise IPython goes on to the methods above.
        """
        if self._displayed_in is None or self._displayed_in != cards.current_cell():
            raise NotImplementedError

    def _row(self) -> dict[str, str]:
        record, pages, text = self._record, cards.pages_of(self._api), self.id[-8:]
        return {
            "ID": text if pages is None else cards.link(f"{pages}cloudo/executions/{self.id}", text),
            "NAME": record.name,
            "STATUS": cards.status_of(record.status),
            "CREATED": cards.time_of(record.created_at),
            "MESSAGE": cards.short(record.message or ""),
        }


def _other_inputs(inputs: Mapping[str, Any] | None, input_value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the inputs that replace those of an execution, or None to keep them."""
    return None if inputs is None and input_value is None else given_inputs(inputs, input_value)


def flat(executions: Iterable[Execution | Iterable[Execution]]) -> Iterator[Execution]:
    """Yield the executions, including those in nested iterables. Raises `MalformedRequest` for anything else."""
    for one in executions:
        if isinstance(one, Execution):
            yield one
        elif isinstance(one, Iterable) and not isinstance(one, str | bytes | Mapping):
            yield from flat(one)
        else:
            raise MalformedRequest(f"Pass executions, not {one!r}; system.execution(id) returns one.")


class Outputs(dict[str, Any]):
    """A dict of the outputs. Its key `logging` also returns the log, without being one of the outputs.

    Scripts written for the original read the log there. Each line is a dict of `time`, `level` and `text`.
    """

    def __init__(self, record: models.Execution) -> None:
        super().__init__(record.output_value)
        self._log = record.log or ()

    def __missing__(self, key: str) -> Any:
        if key == _LOG:
            return [line.model_dump(mode="json") for line in self._log]
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return an output, or the log for `logging`."""
        return self[key] if key in self or key == _LOG else default


class WebhookInputs(dict[str, Any]):
    """A dict of the inputs from a delivery of a webhook. Without JSON input, its key `json` returns the form, or None.

    Scripts written for the original read `json` for any content type. A repeated field has its first value.
    """

    def __missing__(self, key: str) -> Any:
        if key != _JSON:
            raise KeyError(key)
        form: dict[str, Any] | None = dict.get(self, "form")
        if form is None:
            return None
        return {name: value[0] if isinstance(value, list) else value for name, value in form.items()}

    def get(self, key: str, default: Any = None) -> Any:
        """Return an input. For `json`, return the form if there is no JSON input."""
        found = self[key] if key in self or key == _JSON else default
        return default if found is None and key not in self else found
