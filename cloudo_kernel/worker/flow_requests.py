"""Answers the calls of a running flow in its worker: the other end of `flow_api.RunApi`."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cloudo_kernel.api import AuthorApi
from cloudo_kernel.api.run import RUN_VERBS, RunVerbs
from cloudo_kernel.api.verb import Verb, as_json, derived
from cloudo_kernel.errors import (
    Conflict,
    MalformedRequest,
    PermissionDenied,
    ReplayDiffers,
    ResourceNotFoundError,
    StaleAttempt,
    WaitTimeout,
)
from cloudo_kernel.flow_api.calls import from_wire
from cloudo_kernel.flow_api.values import appended
from cloudo_kernel.models import (
    Execution,
    JsonObject,
    LogLine,
    Message,
    Setting,
    Status,
    rfc3339,
)
from cloudo_kernel.models.results import check_result
from cloudo_kernel.service import Service
from cloudo_kernel.service.executions import checked_fields
from cloudo_kernel.service.settings import check_name
from cloudo_kernel.service.webhook_calls import checked_response
from cloudo_kernel.store import Claim, Outcome, Store, Wake
from cloudo_kernel.worker.replay import WAITS, Replay
from cloudo_kernel.worker.run_secrets import MAX_LINE, MAX_MESSAGE, RunSecrets, shortened
from cloudo_kernel.worker.waits import Waits

#: Maximum size of the outputs of one execution, as JSON.
OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
#: Maximum seconds until a waiting run is woken; a longer wait then begins again. A century fits the calendar.
_MAX_SECONDS = 100 * 365 * 86_400.0
#: Number of log lines that are written at once. They are also written after a short silence and before other calls.
_LOG_BATCH = 1000
#: A flow that changes its clock, as tests do, may tell more.
_MAX_LOG_DELAY_SECONDS = 60.0


#: Verbs that change nothing, and do not wait. A flow may still call them after it has declared its end.
READS: Final = frozenset(name for name, verb in RUN_VERBS.items() if not verb.writes) - WAITS


def _by_service(verb: Verb) -> Callable[..., Any]:
    """Return the method of a verb that does the same inside and outside of a run."""

    def method(requests: FlowRequests, *given: Any, **named: Any) -> Any:
        return getattr(requests._service, verb.name)(*given, **named)

    return method


@derived(_by_service)
class FlowRequests(AuthorApi, RunVerbs):
    """Answers the calls of one run: the verbs that are not written here are those of the service.

    `answer` is called on one thread, `flush_log` also after the run.
    """

    def __init__(
        self,
        store: Store,
        service: Service,
        claim: Claim,
        waits: Waits,
        secrets: RunSecrets,
        *,
        output: Mapping[str, Any],
        linger_seconds: float,
        detach: Callable[[], None],
    ) -> None:
        """Use `service`, which acts for the run's user and starts executions as children of the run.

        `output` holds the outputs so far. When a durable run has waited for `linger_seconds`, `detach` is called: the
        processes of the run end without a report.
        """
        self._store = store
        self._service = service
        self._claim = claim
        self._waits = waits
        self._secrets = secrets
        self._output = dict(output)
        self._linger_seconds = linger_seconds
        self._detach = detach
        self._replay = Replay(store, claim) if claim.durable else None
        self._lines: list[LogLine] = []
        self._flushing = threading.Lock()
        #: The outcome that the flow itself declared, as with `this.success(...)`.
        self.declared: Outcome | None = None

    def answer(self, name: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """Answer a call of the flow. Raises the errors of `cloudo_kernel.errors`, which the flow gets.

        A durable flow may call from its main thread only: calls of several threads have no order to replay.
        """
        if self._replay is not None and not is_main:
            raise PermissionDenied("In a durable flow only the main thread may use this and system.")
        if name == "log":
            return self.log(**arguments)
        return self._waits.retry_while_unavailable(lambda: self._answer(name, arguments))

    def flush_log(self) -> None:
        """Write the buffered log lines."""
        with self._flushing:
            if lines := self._lines[:]:
                with self._store.journal.together() if self._replay else nullcontext():
                    self._store.log.append(self._claim.id, self._claim.attempt, lines)
                    if self._replay is not None:
                        self._replay.note_log(len(lines))
                del self._lines[: len(lines)]

    @property
    def obstacle(self) -> ReplayDiffers | None:
        """Why a replay could not continue, even if the flow caught the error."""
        return None if self._replay is None else self._replay.obstacle

    def note_last_cell(self) -> None:
        """Note that the flow has reached its end. If that is too early in a replay, `obstacle` says so."""
        if self._replay is not None:
            with suppress(ReplayDiffers):
                self._replay.check_end()

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.flush_log()
        if self._replay is not None and name == "end":
            self._replay.check_end()
        if self._replay is None or name == "end":
            result = self._perform(name, arguments)
        else:
            # The bundle of a result is stored as such, and would take the same space again in the journal.
            kept = {key: value for key, value in arguments.items() if name != "show" or key == "name"}
            result = self._replay.answer(name, kept, lambda recorded: self._perform(name, {**arguments, **recorded}))
        self._secrets.note(name, arguments, result)
        return result

    def _perform(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call the method of a verb. Arguments and result are JSON."""
        verb = RUN_VERBS[name]
        if self.declared is not None and name not in READS:
            raise Conflict(
                f"The execution {self._claim.id} has said that it ended ({self.declared.status}); "
                f"nothing can be done with it after that, {name!r} neither."
            )
        if verb.writes and verb.action is not None:
            # It changes something other than the run itself. The store fences what changes the run.
            self._store.queue.check_current(self._claim.id, self._claim.attempt)
        return as_json(getattr(self, name)(**from_wire(verb, arguments, now=self.now)))

    # The verbs

    def this(self) -> Execution:
        """See `RunVerbs.this`."""
        return self._secrets.this()

    def now(self) -> float:
        """See `RunVerbs.now`."""
        return self._store.now.timestamp()

    def execution(self, execution_id: str) -> Execution:
        """Return an execution, with protected values if it is the run itself or its child."""
        return self._secrets.seen(self._service.execution(execution_id))

    def message(self, message_id: str) -> Message:
        """Return a message, including protected answers."""
        return self._store.messages.revealed(message_id)

    def setting(self, name: str) -> Setting:
        """Return a setting with its value, even if it is a secret."""
        return self._service.revealed_setting(name)

    def settings(self) -> tuple[Setting, ...]:
        """Return all saved settings, with the values of secrets."""
        return self._service.revealed_settings()

    def log(self, text: str, *, level: str, at: float = 0.0) -> None:
        """Add a line to the log, unless a replay finds it there already."""
        if self._replay is not None and self._replay.skips_log_line():
            return
        delay = time.time() - at  # the flow does not wait: by now the next cell may run
        written = self._store.now - timedelta(seconds=delay if 0 < delay < _MAX_LOG_DELAY_SECONDS else 0)
        line = self._secrets.line(LogLine(time=written, text=text, level=level))
        if len(line.text) > MAX_LINE:
            line = line.model_copy(update={"text": shortened(line.text, MAX_LINE)})
        self._lines.append(line)
        if len(self._lines) >= _LOG_BATCH:
            self.flush_log()

    def save(self, **fields: Any) -> None:
        """See `RunVerbs.save`."""
        unknown = fields.keys() - {"name", "message", "output_value"}
        if unknown:
            raise PermissionDenied(f"A flow can save its name, message and output_value, not {sorted(unknown)[0]}.")
        fields = checked_fields(fields)
        fields |= {name: self._secrets.redaction.mask_value(fields[name]) for name in fields.keys() - {"output_value"}}
        if fields.get("message"):
            fields["message"] = shortened(fields["message"], MAX_MESSAGE)
        if "output_value" in fields:
            self._output = self._checked_output(fields["output_value"])
            fields |= self._secrets.split_outputs(self._output)
        self._store.reports.save(self._claim.id, self._claim.attempt, fields)

    def set_output(self, key: str, value: Any, *, append: bool) -> None:
        """See `RunVerbs.set_output`."""
        changed = {**self._output, key: appended(self._output.get(key), value) if append else value}
        self._checked_output(changed)
        self._store.reports.save(self._claim.id, self._claim.attempt, self._secrets.split_outputs(changed))
        self._output = changed

    def _checked_output(self, output: Any) -> dict[str, Any]:
        _check_output(output)
        if self._secrets.redaction.holds(list(output)):
            raise MalformedRequest("The name of an output holds a secret; name it otherwise.", field="output_value")
        return dict(output)

    def show(self, name: str, data: JsonObject, metadata: JsonObject) -> None:
        """See `RunVerbs.show`."""
        check_result(name, data, metadata)
        if self._secrets.redaction.holds(name):
            raise MalformedRequest("The name of a result holds a secret; name it otherwise.", field="name")
        shown, about = self._secrets.bundle(data), self._secrets.bundle(metadata)
        self._store.results.save(self._claim.id, self._claim.attempt, name, shown, about)

    def webhook_response(self, content: bytes, *, status: int, content_type: str) -> None:
        """See `RunVerbs.webhook_response`."""
        response = checked_response(content, status=status, content_type=content_type)
        is_secret = self._secrets.redaction.holds(response.content.decode(errors="replace"))
        self._store.webhooks.respond(self._claim.id, self._claim.attempt, response, is_secret=is_secret)

    def end(self, status: Status, message: str | None) -> None:
        """See `RunVerbs.end`."""
        self.declared = Outcome(status=status, message=message)

    def step_begin(self, name: str) -> JsonObject:
        """Begin a step of a flow that is not durable. `Replay` records the steps of a durable one."""
        return {"name": name, "is_done": False, "result": None, "error": None, "number": 0}

    def step_done(self, number: int, result: Any) -> Any:
        """See `RunVerbs.step_done`."""
        del number
        return result

    def step_failed(self, number: int, error: JsonObject) -> None:
        """See `RunVerbs.step_failed`."""

    def wait_for(
        self, ids: Sequence[str], *, first: bool = False, timeout: timedelta | None = None
    ) -> tuple[Execution, ...]:
        """See `RunVerbs.wait_for`."""
        wanted, ids = any if first else all, list(dict.fromkeys(ids))
        states = {execution_id: self._store.executions.status(execution_id) for execution_id in ids}
        if not wanted(status.is_ended for status in states.values()):
            names = ", ".join(self._store.executions.get(execution_id).name for execution_id in ids[:3])
            more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
            self._without_slot(
                f"waiting for {names}{more}",
                lambda: wanted(self._store.executions.status(one).is_ended for one in ids),
                seconds=_seconds(timeout),
                # A wait that can end without all of them is not part of a cycle.
                on=ids if timeout is None and (len(ids) == 1 or not first) else (),
                subjects=ids,
                number=1 if first else len(ids),
            )
        records = [self._secrets.seen(self._store.executions.get(execution_id)) for execution_id in ids]
        return tuple(record for record in records if record.is_ended)

    def sleep_until(self, when: float, *, seconds: float | None = None) -> None:
        """See `RunVerbs.sleep_until`."""
        left = when - self.now()
        if left <= 0:
            return
        moment = rfc3339(datetime.fromtimestamp(when, UTC))

        def has_come() -> bool:
            return self.now() >= when

        while not self._without_slot(f"sleeping until {moment}", has_come, seconds=left) and seconds is None:
            left = when - self.now()  # the clock was set back
            if left <= 0:
                return

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """Wait, without a slot, until the message is closed. Return it, including protected answers."""
        messages = self._store.messages
        message = messages.get(message_id)
        if message.is_open:
            limit = _seconds(timeout)
            if message.expires_at is not None:
                # 0.01 s later it has also expired by the store's clock.
                limit = min(limit, (message.expires_at - self._store.now) / timedelta(seconds=1) + 0.01)
            self._without_slot(
                f"waiting for an answer: {message.subject}",
                lambda: not messages.is_open(message_id),
                seconds=limit,
                subjects=[message_id],
                number=1,
            )
            messages.expire()
        return messages.revealed(message_id)

    def acquire_lock(self, name: str, *, timeout: timedelta | None = None, call: str | None = None) -> bool:
        """See `RunVerbs.acquire_lock`. Waiting executions get the lock in order."""
        check_name(name)
        locks, mine = self._store.locks, (name, self._claim.id, self._claim.attempt)
        is_new = locks.acquire(*mine, call=call)
        if is_new is not None:
            return is_new
        message = f"waiting for the lock {name!r}, which {self._holder_of(name)} holds"

        def has_come() -> bool:
            return locks.is_turn(name, self._claim.id) and locks.acquire(*mine, call=call) is not None

        try:
            if self._without_slot(message, has_come, seconds=_seconds(timeout), lock=name, number=1):
                return True
            raise WaitTimeout(f"{self._holder_of(name)} still holds the lock {name!r}.")
        except WaitTimeout:
            locks.leave(*mine)
            raise

    def release_lock(self, name: str) -> bool:
        """See `RunVerbs.release_lock`."""
        return self._store.locks.release(name, self._claim.id, self._claim.attempt)

    def _holder_of(self, name: str) -> str:
        holder = self._store.locks.holder(name)
        return "nobody" if holder is None else f"{self._store.executions.get(holder).name} ({holder})"

    def _without_slot(
        self,
        message: str,
        is_done: Callable[[], bool],
        *,
        seconds: float = math.inf,
        on: Sequence[str] = (),
        subjects: Sequence[str] = (),
        number: int = 0,
        lock: str | None = None,
    ) -> bool:
        """Give the slot back until `is_done`, or for `seconds`; return whether it is done.

        `on` are executions that have to end before the run can continue. A durable run soon gives up its processes.
        It is woken by the time, by the end of `number` of the subjects, or by its turn at the lock.
        """
        wake = None
        if self._replay is not None:
            longest = timedelta(seconds=min(seconds, _MAX_SECONDS))
            at = None if seconds == math.inf else self._store.now + longest
            wake = Wake(subjects, number, at, lock)
        message = self._secrets.redaction.mask(message)
        self._store.reports.wait(self._claim.id, self._claim.attempt, message=message, on=on, wake=wake)
        try:
            is_met = self._wait_or_leave(is_done, seconds, may_leave=wake is not None)
        except ResourceNotFoundError:  # deleted in the meantime: the flow may go on without it
            self._waits.until(self._waits.has_slot_again)
            raise
        self._waits.until(self._waits.has_slot_again)
        return is_met

    def _wait_or_leave(self, is_done: Callable[[], bool], seconds: float, *, may_leave: bool) -> bool:
        end = time.monotonic() + seconds
        if may_leave and self._linger_seconds < seconds:
            if self._waits.until(is_done, seconds=self._linger_seconds):
                return True
            if self._store.reports.detach(self._claim.id, self._claim.attempt):
                self._detach()
                raise StaleAttempt(self._claim.id, self._claim.attempt)
        return self._waits.until(is_done, seconds=end - time.monotonic())


def _seconds(timeout: timedelta | None) -> float:
    return math.inf if timeout is None else timeout.total_seconds()


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
