"""`this`: the running execution, for its own flow."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from cloudo_kernel import models
from cloudo_kernel.errors import (
    Conflict,
    DependencyTimeoutError,
    ExecutionEnded,
    MalformedRequest,
    ReplayDiffers,
    StaleAttempt,
    Unavailable,
)
from cloudo_kernel.flow_api.calls import RunApi, start_request
from cloudo_kernel.flow_api.execution import Execution, ReturnWhen, flat, to_return_when
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.results import to_bundle
from cloudo_kernel.flow_api.values import (
    appended,
    check_text,
    encoded_body,
    error_from_json,
    error_to_json,
    given_inputs,
    mapping,
    to_epoch,
    to_json,
    to_limit,
    to_seconds,
)
from cloudo_kernel.models import Status
from cloudo_kernel.models.results import check_result

_STATUSES = {"success": Status.ENDED_SUCCESS, "error": Status.ENDED_ERROR, "cancelled": Status.ENDED_CANCELLED}
_LEVELS = ("debug", "info", "warning", "error")


class This(Execution):
    """The running execution."""

    _api: RunApi

    def __init__(self, api: RunApi) -> None:
        # The record is fetched on first use: a kernel can start before it has an execution.
        self._api = api
        self._fetched: models.Execution | None = None
        self._wanted: dict[str, Any] = {}
        #: Whether the flow has ended its execution with `end`.
        self._has_ended = False

    @property
    def _record(self) -> models.Execution:
        if self._fetched is None:
            self._fetched = self._api.this()
        return self._fetched

    @_record.setter
    def _record(self, record: models.Execution) -> None:
        self._fetched = record

    def save(self, **fields: Any) -> None:
        """Save `name`, `message` or the whole `output_value` in the store. Without arguments, save the `set` fields."""
        given = self._to_save(fields)
        self._api.save(**given)
        self._record = self._record.model_copy(update=given)

    def set_output(self, key: str, value: Any, append: bool = False) -> None:
        """Save one output. With `append`, add the value to the existing list or text."""
        value = to_json(value, name=check_text(key, "An output's key"))
        self._api.set_output(key, value, append=append)
        if self._fetched is not None:
            before = self._fetched.output_value
            changed = {**before, key: appended(before.get(key), value) if append else value}
            self._fetched = self._fetched.model_copy(update={"output_value": changed})

    def show(self, name: str, value: Any) -> None:
        """Keep a rich result: a figure, a DataFrame, Markdown, HTML, or any other value that a notebook can display.

        The same name replaces an earlier result. The execution's page shows its results first.
        Raises `TooLarge` above 2 MiB, and `MalformedRequest` for the 21st result.
        """
        data, metadata = to_bundle(value)
        check_result(check_text(name, "A result's name"), data, metadata)
        self._api.show(name, data, metadata)

    def log(self, *values: Any, level: str = "info", **named: Any) -> None:
        """Add one line to the log. Levels are `debug`, `info`, `warning` and `error`."""
        if level not in _LEVELS:
            raise MalformedRequest(f"level is one of {', '.join(_LEVELS)}.", field="level")
        if self._has_ended:  # log calls get no reply, so the worker could not refuse one
            raise Conflict(f"The execution {self.id} has ended itself; nothing can be logged after that.")
        parts = [str(value) for value in values] + [f"{name}={value!r}" for name, value in named.items()]
        self._api.log(" ".join(parts), level=level, at=time.time())

    def flow(
        self,
        flow_name: str | Flow | None = None,
        /,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        run: bool = True,
        wait: bool | ReturnWhen = True,
        init: Mapping[str, Any] | None = None,
        input_value: Mapping[str, Any] | None = None,
        **more_inputs: Any,
    ) -> Execution:
        """Run a flow as a child, and wait until it has succeeded. The wait releases the slot.

        `wait=False` starts the child without waiting, and `wait=system.return_when.ALL_ENDED` accepts any end.
        `run=False` only creates the child; its `run()` or `run_async()` starts it.
        `more_inputs` are added to `inputs`; `input_value` is another name for `inputs`. `name` names the child, and
        `init` sets fields that it has from the beginning, such as `message`. Inputs with the name of a parameter must
        be in `inputs`.
        Raises `DependencyFailedError` if the child does not succeed, `ResourceNotFoundError`, `InputsInvalid`.
        """
        if flow_name is None:  # given by keyword
            flow_name = more_inputs.pop("flow_name", None)
        if isinstance(flow_name, Flow):
            flow_name = flow_name.name
        given = given_inputs(inputs, input_value, more_inputs)
        request = start_request(flow_name=flow_name, inputs=given, name=name)
        return self._start(request, run=run, wait=wait, init=init)

    def script(
        self,
        source: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        run: bool = True,
        wait: bool | ReturnWhen = True,
        init: Mapping[str, Any] | None = None,
        input_value: Mapping[str, Any] | None = None,
        **more_inputs: Any,
    ) -> Execution:
        """Run Python source, indented or not, or a notebook's JSON text as a child. The rest is as in `flow`."""
        given = given_inputs(inputs, input_value, more_inputs)
        request = start_request(script=_flush_left(source), inputs=given, name=name)
        return self._start(request, run=run, wait=wait, init=init)

    def wait_for(
        self,
        *executions: Execution | Iterable[Execution],
        return_when: ReturnWhen | str = ReturnWhen.ALL_SUCCEEDED,
        timeout_seconds: float | None = None,
    ) -> Execution | tuple[Execution, ...]:
        """Wait for executions. The wait releases the slot.

        Returns the executions, or with `system.return_when.FIRST_ENDED` the one that ended first. Raises
        `DependencyFailedError` with `ALL_SUCCEEDED` if one of them does not succeed, and `DependencyTimeoutError`
        after `timeout_seconds`.
        """
        when, awaited = to_return_when(return_when), tuple(flat(executions))
        if not awaited:
            return ()
        timeout = to_limit(timeout_seconds)
        is_first = when is ReturnWhen.FIRST_ENDED
        ended = self._api.wait_for([one.id for one in awaited], first=is_first, timeout=timeout)
        records: dict[str, models.Execution] = {record.id: record for record in ended}
        for one in awaited:
            one._record = records.get(one.id, one._record)
        if late := [one for one in awaited if one.id not in records][: 0 if is_first and ended else None]:
            names = ", ".join(one.record.name for one in late[:3])
            raise DependencyTimeoutError(f"Not ended within {to_seconds(timeout_seconds):g} s: {names}.")
        if is_first:
            earliest = min(ended, key=lambda record: record.ended_at or record.created_at)
            return next(one for one in awaited if one.id == earliest.id)
        if when is ReturnWhen.ALL_SUCCEEDED:
            for one in awaited:
                one.check()
        return awaited

    def sleep(self, seconds: float | str) -> None:
        """Wait for a number of seconds, also given as text. The wait releases the slot."""
        period = to_seconds(seconds)
        if period > 0:
            self._api.sleep_until(to_epoch(self._api.now() + period, field="seconds"), seconds=period)

    def sleep_until(self, when: float | str | datetime) -> None:
        """Wait until a moment, or return at once if it has passed. The wait releases the slot.

        `when` is seconds since 1970, also as text, a time with its zone, or ISO 8601 text with a zone.
        """
        self._api.sleep_until(to_epoch(when))

    def step(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Call a function that has side effects, and return its result, converted to JSON.

        A flow that runs again from its first cell does not call the function again. It gets the recorded result, or an
        error like the one that was raised.
        """
        name = str(getattr(function, "__name__", type(function).__name__))
        begun = self._api.step_begin(name)
        if begun["is_done"]:
            if begun["error"] is not None:
                raise error_from_json(begun["error"])
            return begun["result"]
        try:
            result = to_json(function(*arguments, **named), name=f"the result of {name}")
        except (StaleAttempt, Unavailable, ReplayDiffers):  # the step was interrupted and has no outcome
            raise
        except Exception as error:
            self._api.step_failed(begun["number"], error_to_json(error))
            raise
        return self._api.step_done(begun["number"], result)

    def webhook_response(self, body: Any = "", status: int = 200, content_type: str | None = None) -> None:
        """Set the response to the webhook call that started this execution. The last one is sent when it has ended.

        `body` is text, bytes or JSON. The default content type is `text/plain`, `application/octet-stream` or
        `application/json`, respectively. No effect if no webhook started the execution.
        """
        content, usual = encoded_body(body)
        self._api.webhook_response(content, status=status, content_type=usual if content_type is None else content_type)

    def webhook_html_response(self, html: str, status: int = 200) -> None:
        """Respond to the webhook call with a page: `webhook_response` with the content type of HTML."""
        self.webhook_response(html, status, "text/html; charset=utf-8")

    def success(self, message: str | None = None) -> NoReturn:
        """End the execution here, in success."""
        self.end(Status.ENDED_SUCCESS, message)

    def error(self, message: str | None = None) -> NoReturn:
        """End the execution here, in error."""
        self.end(Status.ENDED_ERROR, message)

    def end(self, status: Status | str, message: str | None = None) -> NoReturn:
        """End the execution here, in `status`. Later cells do not run."""
        wanted = _STATUSES.get(str(status).lower().removeprefix("ended_"))
        if wanted is None:
            raise MalformedRequest(
                f"An execution ends in success, error or cancelled, not in {status!r}.", field="status"
            )
        message = None if message is None else _printable(str(message))
        self._api.end(wanted, message)
        self._has_ended = True
        word = {Status.ENDED_SUCCESS: "success", Status.ENDED_ERROR: "error"}.get(wanted, "cancelled")
        raise ExecutionEnded(f"Ended in {word}" + (f": {message}" if message else "."))

    def _start(
        self, request: models.StartExecution, *, run: bool, wait: bool | ReturnWhen, init: Mapping[str, Any] | None
    ) -> Execution:
        fields = to_json(mapping(init, "init"), name="init")
        child = Execution(self._api, self._api.start_child(request, is_held=not run, init=fields))
        if not (run and wait):
            return child
        return child._finish(to_return_when(wait) if isinstance(wait, str) else ReturnWhen.ALL_SUCCEEDED)


def _flush_left(source: str) -> str:
    """Return the source dedented if its first line is indented, such as source written inside a function."""
    is_indented = isinstance(source, str) and source.lstrip("\r\n")[:1] in (" ", "\t")
    return textwrap.dedent(source) if is_indented else source


def _printable(text: str) -> str:
    """Return the text with a `?` for each lone surrogate, which can neither be printed nor stored."""
    return text.encode(errors="replace").decode()
