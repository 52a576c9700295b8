"""An execution as flow authors hold it: a cached record and what can be done with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from cloudo_kernel import models
from cloudo_kernel.errors import DependencyFailedError, MalformedRequest
from cloudo_kernel.flow_api import show
from cloudo_kernel.flow_api.calls import Calls


class Execution:
    """One run of a flow. `get` reads the copy at hand, `load` fetches it anew."""

    def __init__(self, api: Calls, record: models.Execution) -> None:
        self._api = api
        self._record = record

    @property
    def id(self) -> str:
        """The execution's id."""
        return self._record.id

    @property
    def record(self) -> models.Execution:
        """The whole record, as it was when it was last fetched."""
        return self._record

    @property
    def status(self) -> models.Status:
        """The state, as it was when it was last fetched."""
        return self._record.status

    @property
    def outputs(self) -> dict[str, Any]:
        """What the execution put out, as it was when it was last fetched."""
        return self._record.output_value

    def get(self, *fields: str) -> Any:
        """Return a field of the record at hand, or a tuple of several."""
        return self._pick(fields)

    def load(self, *fields: str) -> Any:
        """Fetch the record and return a field, or a tuple of several."""
        self._record = self._api.execution(self.id)
        return self._pick(fields)

    def wait(self, timeout_seconds: float | None = None) -> Self:
        """Wait for the end, whatever it is, or until the time is over.

        In a notebook cell the progress is shown meanwhile; an interrupt of the cell leaves the execution running.
        """
        timeout = None if timeout_seconds is None else timedelta(seconds=timeout_seconds)
        with show.progress(self._api, self._record):
            self._record = self._api.wait(self.id, timeout=timeout)
        return self

    def run(self) -> Self:
        """Wait for the end; an interrupt cancels it. Raises `DependencyFailedError` unless it is a success."""
        try:
            self.wait()
        except KeyboardInterrupt:
            self.cancel()
            raise
        return self.check()

    def check(self) -> Self:
        """Raise `DependencyFailedError` if the execution has ended otherwise than in success."""
        if self._record.is_ended and self.status is not models.Status.ENDED_SUCCESS:
            why = f": {self._record.message}" if self._record.message else ""
            raise DependencyFailedError(f"{self._record.name} ({self.id}) ended in {self.status}{why}")
        return self

    def cancel(self) -> Self:
        """End the execution and its children. Raises `IllegalTransition` when it has ended."""
        self._record = self._api.cancel_execution(self.id)
        return self

    def pause(self) -> Self:
        """Pause the execution, before its next cell if it runs. Raises `IllegalTransition` where that cannot be."""
        self._record = self._api.pause_execution(self.id)
        return self

    def resume(self) -> Self:
        """Let the paused execution go on. Raises `IllegalTransition` when it is not paused."""
        self._record = self._api.resume_execution(self.id)
        return self

    def retry(self, inputs: dict[str, Any] | None = None) -> Execution:
        """Start the ended execution anew, with the same inputs or others, and return the new one."""
        return Execution(self._api, self._api.retry_execution(self.id, inputs))

    def _pick(self, fields: tuple[str, ...]) -> Any:
        known = type(self._record).model_fields
        unknown = [field for field in fields if field not in known]
        if unknown or not fields:
            raise MalformedRequest(
                f"An execution has no field {', '.join(map(repr, unknown))}; it has {', '.join(known)}.",
                field=unknown[0] if unknown else None,
            )
        values = tuple(getattr(self._record, field) for field in fields)
        return values[0] if len(fields) == 1 else values

    def __repr__(self) -> str:
        return f"<Execution {self._record.name!r} {self.status} {self.id}>"

    def _repr_html_(self) -> str:
        return show.html(self._record)
