"""`this`: the running execution, as its own flow sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from cloudo_kernel import models
from cloudo_kernel.errors import ExecutionEnded, MalformedRequest
from cloudo_kernel.flow_api.calls import RunApi, start_request
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.system import ReturnWhen
from cloudo_kernel.flow_api.values import to_json
from cloudo_kernel.models import Status

_STATUSES = {"success": Status.ENDED_SUCCESS, "error": Status.ENDED_ERROR, "cancelled": Status.ENDED_CANCELLED}
_LEVELS = ("debug", "info", "warning", "error")


class This(Execution):
    """The running execution."""

    _api: RunApi

    def __init__(self, api: RunApi) -> None:
        # The record is fetched when it is first used: a kernel may be there before there is anything to run.
        self._api = api
        self._fetched: models.Execution | None = None

    @property
    def _record(self) -> models.Execution:
        if self._fetched is None:
            self._fetched = self._api.this()
        return self._fetched

    @_record.setter
    def _record(self, record: models.Execution) -> None:
        self._fetched = record

    def save(self, **fields: Any) -> None:
        """Save `name`, `message` or the whole `output_value`."""
        if "output_value" in fields:
            fields["output_value"] = to_json(fields["output_value"], name="output_value")
        self._api.save(**fields)
        self._record = self._record.model_copy(update=fields)

    def set_output(self, key: str, value: Any, append: bool = False) -> None:
        """Save one output; with `append` it is added to the list (or text) that is there."""
        self._api.set_output(key, to_json(value, name=key), append=append)

    def log(self, *values: Any, level: str = "info", **named: Any) -> None:
        """Add one line to the log."""
        if level not in _LEVELS:
            raise MalformedRequest(f"level is one of {', '.join(_LEVELS)}.", field="level")
        parts = [str(value) for value in values] + [f"{name}={value!r}" for name, value in named.items()]
        self._api.log(" ".join(parts), level=level)

    def flow(
        self,
        flow_name: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        wait: bool = True,
        **more_inputs: Any,
    ) -> Execution:
        """Start a flow as a child, and unless `wait` is false wait for its success, meanwhile without a slot.

        `name` names the child; an input that is itself called `name` goes into `inputs`.
        Raises `DependencyFailedError` when the child does not succeed, `ResourceNotFoundError`, `InputsInvalid`.
        """
        given = to_json({**(inputs or {}), **more_inputs}, name="inputs")
        record = self._api.start_execution(start_request(flow_name=flow_name, inputs=given, name=name))
        child = Execution(self._api, record)
        return child.run() if wait else child

    def wait_for(
        self, *executions: Execution, return_when: ReturnWhen | str = ReturnWhen.ALL_SUCCEEDED
    ) -> Execution | tuple[Execution, ...]:
        """Wait for executions, meanwhile without a slot.

        Returns them, or for `FIRST_ENDED` the one that ended first. For `ALL_SUCCEEDED` raises
        `DependencyFailedError` if one of them did not.
        """
        when = ReturnWhen(return_when)
        if not executions:
            return ()
        ended = self._api.wait_for([one.id for one in executions], first=when is ReturnWhen.FIRST_ENDED)
        records: dict[str, models.Execution] = {record.id: record for record in ended}
        for one in executions:
            one._record = records.get(one.id, one._record)
        if when is ReturnWhen.FIRST_ENDED:
            earliest = min(ended, key=lambda record: record.ended_at or record.created_at)
            return next(one for one in executions if one.id == earliest.id)
        if when is ReturnWhen.ALL_SUCCEEDED:
            for one in executions:
                one.check()
        return executions

    def step(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function whose effects or result depend on the world outside, and return its result, as JSON.

        In a durable flow the result is recorded, and a replay returns it without calling the function again.
        """
        name = getattr(function, "__name__", type(function).__name__)
        recorded = self._api.begin_step(name)
        if recorded is not None:
            return recorded["value"]
        result = to_json(function(*args, **kwargs), name=f"the result of {name}")
        self._api.end_step(result)
        return result

    def success(self, message: str | None = None) -> NoReturn:
        """End the execution here, in success."""
        self.end(Status.ENDED_SUCCESS, message)

    def error(self, message: str | None = None) -> NoReturn:
        """End the execution here, in error."""
        self.end(Status.ENDED_ERROR, message)

    def end(self, status: Status | str, message: str | None = None) -> NoReturn:
        """End the execution here; later cells do not run."""
        wanted = _STATUSES.get(str(status).lower()) or Status(status)
        if not wanted.is_ended:
            raise MalformedRequest(f"An execution does not end in {wanted}.", field="status")
        self._api.end(wanted, None if message is None else str(message))
        word = {Status.ENDED_SUCCESS: "success", Status.ENDED_ERROR: "error"}.get(wanted, "cancelled")
        raise ExecutionEnded(f"Ended in {word}" + (f": {message}" if message else "."))
