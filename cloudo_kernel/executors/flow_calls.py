"""What a running flow says and asks, answered in its worker: the other end of `flow_api.RunApi`."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from cloudo_kernel.errors import MalformedRequest, PermissionDenied, WaitTimeout
from cloudo_kernel.executors.waits import Waits
from cloudo_kernel.models import ExecutionFilter, LogLine, Record, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Claim, Held, Outcome, Store
from cloudo_kernel.workspace_files import decoded

#: The most that one execution may put out, as JSON.
OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
#: Log lines are written when so many have come, when none came for a moment, and before anything else is done.
_LOG_BATCH = 1000


class FlowCalls:
    """The calls of one run. `answer` is called on one thread, `flush_log` also when the run is over."""

    def __init__(self, store: Store, service: Service, claim: Claim, waits: Waits) -> None:
        """`service` is that of the run: it acts for its user, and what it starts are its children."""
        self._store = store
        self._service = service
        self._claim = claim
        self._waits = waits
        self._output: dict[str, Any] = {}
        self._lines: list[LogLine] = []
        self._flushing = threading.Lock()
        #: What the flow itself said that its end is: `this.success(...)`.
        self.declared: Outcome | None = None
        self._reads: dict[str, Callable[..., Any]] = {
            "this": lambda: _json(store.executions.get(claim.id)),
            "flow": lambda name: _json(service.flow(name)),
            "flows": lambda q: [_json(flow) for flow in service.flows(q=q)],
            "execution": lambda execution_id: _json(service.execution(execution_id)),
            "executions": self._executions,
            "setting": lambda name: _json(service.setting(name)),
            "settings": lambda: [_json(setting) for setting in service.settings()],
            "file": lambda path, with_content: _json(service.file(path, with_content=with_content)),
            "files": lambda folder, glob: [_json(file) for file in service.files(folder, glob=glob)],
            "user": lambda: _json(service.user()),
        }
        # The store fences what concerns the run itself; others must not feel a run that is over, either.
        self._on_others: dict[str, Callable[..., Record | None]] = {
            "start_child": lambda request: service.start_execution(StartExecution.model_validate(request)),
            "cancel_execution": service.cancel_execution,
            "pause_execution": service.pause_execution,
            "resume_execution": service.resume_execution,
            "retry_execution": service.retry_execution,
            "save_setting": service.save_setting,
            "delete_setting": service.delete_setting,
            "save_file": lambda path, content, encoding: service.save_file(path, decoded(content, encoding)),
            "delete_file": service.delete_file,
        }
        self._on_itself: dict[str, Callable[..., Any]] = {
            "save": self._save,
            "set_output": self._set_output,
            "end": self._end,
            "wait_for": self._wait_for,
            "acquire_lock": self._acquire_lock,
            "release_lock": lambda name: store.locks.release(name, claim.id, claim.attempt),
        }

    def answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Answer the flow. Raises the errors of `cloudo_kernel.errors`, which the flow gets."""
        if verb == "log":
            self._lines.append(LogLine(time=self._store.now, **arguments))
            if len(self._lines) >= _LOG_BATCH:
                self.flush_log()
            return None
        return self._waits.patiently(lambda: self._answer(verb, arguments))

    def flush_log(self) -> None:
        """Write the log lines that have come."""
        with self._flushing:
            if lines := self._lines[:]:
                self._store.log.append(self._claim.id, self._claim.attempt, lines)
                del self._lines[: len(lines)]

    def _answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        self.flush_log()
        if verb in self._on_others:
            self._store.queue.check_current(self._claim.id, self._claim.attempt)
            done = self._on_others[verb](**arguments)
            return None if done is None else _json(done)
        return (self._reads.get(verb) or self._on_itself[verb])(**arguments)

    def _executions(self, *, where: dict[str, Any], limit: int, cursor: str | None) -> dict[str, Any]:
        return _json(self._service.executions(ExecutionFilter.model_validate(where), limit=limit, cursor=cursor))

    def _save(self, **fields: Any) -> None:
        unknown = fields.keys() - {"name", "message", "output_value"}
        if unknown:
            raise PermissionDenied(f"A flow can save its name, message and output_value, not {sorted(unknown)[0]}.")
        if "output_value" in fields:
            _check_output(fields["output_value"])
            self._output = fields["output_value"]
        self._store.runs.save(self._claim.id, self._claim.attempt, fields)

    def _set_output(self, *, key: str, value: Any, append: bool) -> None:
        changed = {**self._output, key: _appended(self._output.get(key), value) if append else value}
        _check_output(changed)
        self._store.runs.save(self._claim.id, self._claim.attempt, {"output_value": changed})
        self._output = changed

    def _end(self, *, status: str, message: str | None) -> None:
        self.declared = Outcome(status=Status(status), message=message)

    def _wait_for(self, *, ids: list[str], first: bool) -> list[dict[str, Any]]:
        """Wait without a slot until all, or with `first` one of them, have ended; return those that have."""
        wanted = any if first else all
        states = {execution_id: self._store.executions.status(execution_id) for execution_id in ids}
        if not wanted(status.is_ended for status in states.values()):
            names = ", ".join(self._store.executions.get(execution_id).name for execution_id in ids[:3])
            more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
            self._without_slot(
                f"waiting for {names}{more}",
                lambda: wanted(self._store.executions.status(one).is_ended for one in ids),
            )
        records = [self._store.executions.get(execution_id) for execution_id in ids]
        return [_json(record) for record in records if record.is_ended]

    def _acquire_lock(self, *, name: str, seconds: float | None) -> bool:
        """Take the lock, if it is held by another one wait without a slot; False: this execution has it already."""
        claim = self._claim

        def try_it() -> bool | None:
            try:
                return self._store.locks.acquire(name, claim.id, claim.attempt)
            except Held:
                return None

        is_new = try_it()
        if is_new is not None:
            return is_new
        message = f"waiting for the lock {name!r}, which {self._holder_of(name)} holds"
        limit = math.inf if seconds is None else seconds
        if not self._without_slot(message, lambda: try_it() is not None, seconds=limit):
            raise WaitTimeout(f"After {seconds:g} s {self._holder_of(name)} still holds the lock {name!r}.")
        return True

    def _holder_of(self, name: str) -> str:
        holder = self._store.locks.holder(name)
        return "nobody" if holder is None else f"{self._store.executions.get(holder).name} ({holder})"

    def _without_slot(self, message: str, is_done: Callable[[], bool], *, seconds: float = math.inf) -> bool:
        """Give the slot back until `is_done` or so many seconds are over; tell whether it is."""
        self._store.runs.wait(self._claim.id, self._claim.attempt, message=message)
        is_met = self._waits.until(is_done, seconds=seconds)
        self._waits.until(self._waits.has_slot_again)
        return is_met


def _json(record: Any) -> dict[str, Any]:
    return dict(record.model_dump(mode="json"))


def _check_output(output: Any) -> None:
    if not isinstance(output, dict):
        raise MalformedRequest("output_value is an object: names and values.", field="output_value")
    size = len(json.dumps(output))
    if size > OUTPUT_LIMIT_BYTES:
        raise MalformedRequest(
            f"The outputs would take {size / 1e6:.0f} MB; at most {OUTPUT_LIMIT_BYTES / 1e6:.0f} MB are kept. "
            "Write large results to a file and put its path out.",
            field="output_value",
        )


def _appended(before: Any, value: Any) -> Any:
    """Append to a list or a text; the first value makes the list."""
    if before is None:
        return [value]
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    return [*(before if isinstance(before, list) else [before]), value]
