"""Answers the calls of a running flow in its worker: the other end of `flow_api.RunApi`."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudo_kernel.errors import (
    Conflict,
    MalformedRequest,
    PermissionDenied,
    ReplayDiffers,
    ResourceNotFoundError,
    StaleAttempt,
    WaitTimeout,
)
from cloudo_kernel.flow_api.values import appended
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    CreateMessage,
    CreateSchedule,
    Execution,
    ExecutionFilter,
    LogLine,
    Occurrence,
    Page,
    PreviewSchedule,
    Record,
    StartExecution,
    Status,
    rfc3339,
)
from cloudo_kernel.service import Service
from cloudo_kernel.service.executions import checked_fields
from cloudo_kernel.service.settings import check_name
from cloudo_kernel.service.webhook_calls import checked_response
from cloudo_kernel.store import Claim, Outcome, Store, Wake
from cloudo_kernel.worker.replay import Replay
from cloudo_kernel.worker.run_secrets import MAX_LINE, MAX_MESSAGE, RunSecrets, shortened
from cloudo_kernel.worker.waits import Waits
from cloudo_kernel.workspace.files import decoded

#: Maximum size of the outputs of one execution, as JSON.
OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
#: Maximum seconds until a waiting run is woken; a longer wait then begins again. A century fits the calendar.
_MAX_SECONDS = 100 * 365 * 86_400.0
#: Number of log lines that are written at once. They are also written after a short silence and before other calls.
_LOG_BATCH = 1000


class FlowRequests:
    """Answers the calls of one run. `answer` is called on one thread, `flush_log` also after the run."""

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
        self._reads: dict[str, Callable[..., Any]] = {
            "this": lambda: _json(secrets.this()),
            "flow": lambda name: _json(service.flow(name)),
            "flow_source": service.flow_source,
            "flows": lambda q: [_json(flow) for flow in service.flows(q=q)],
            "execution": lambda execution_id: _json(secrets.seen(service.execution(execution_id))),
            "executions": self._executions,
            "message": lambda message_id: _json(store.messages.revealed(message_id)),
            "setting": lambda name: _json(service.revealed_setting(name)),
            "settings": lambda: [_json(setting) for setting in service.revealed_settings()],
            "file": lambda path, with_content: _json(service.file(path, with_content=with_content)),
            "files": lambda folder, glob: [_json(file) for file in service.files(folder, glob=glob)],
            "user": lambda: _json(service.user()),
            "own_client": lambda: _json(service.own_client()),
            "schedule": lambda schedule_id: _json(service.schedule(schedule_id)),
            "schedules": lambda **where: _json(service.schedules(**where)),
            "preview_schedule": lambda request: _json(
                service.preview_schedule(PreviewSchedule.model_validate(request))
            ),
            "occurrences": lambda schedule_id, **page: _json(service.occurrences(schedule_id, **page)),
            "health": lambda: _json(service.health()),
            "now": self._now,
        }
        # The store fences calls about the run itself. `_perform` fences these, which change other things.
        self._on_others: dict[str, Callable[..., Record | None]] = {
            "start_child": self._start_child,
            "clone_execution": service.clone_execution,
            "release_execution": service.release_execution,
            "save_execution": service.save_execution,
            "cancel_execution": service.cancel_execution,
            "pause_execution": service.pause_execution,
            "resume_execution": service.resume_execution,
            "retry_execution": service.retry_execution,
            "create_message": lambda request: service.create_message(CreateMessage.model_validate(request)),
            "save_setting": service.save_setting,
            "delete_setting": service.delete_setting,
            "save_file": lambda path, content, encoding: service.save_file(path, decoded(content, encoding)),
            "delete_file": service.delete_file,
            "create_schedule": lambda request: service.create_schedule(CreateSchedule.model_validate(request)),
            "change_schedule": lambda schedule_id, request: service.change_schedule(
                schedule_id, ChangeSchedule.model_validate(request)
            ),
            "pause_schedule": service.pause_schedule,
            "resume_schedule": service.resume_schedule,
            "trigger_schedule": service.trigger_schedule,
            "backfill_schedule": lambda schedule_id, request: Page[Occurrence](
                items=service.backfill_schedule(schedule_id, Backfill.model_validate(request))
            ),
            "delete_schedule": service.delete_schedule,
        }
        self._on_itself: dict[str, Callable[..., Any]] = {
            "save": self._save,
            "set_output": self._set_output,
            "webhook_response": self._webhook_response,
            "end": self._end,
            "wait_for": self._wait_for,
            "sleep_until": self._sleep_until,
            "step_begin": lambda name: {"name": name, "is_done": False, "result": None, "error": None, "number": 0},
            "step_done": lambda result, **_number: result,
            "step_failed": lambda **_error: None,
            "wait_message": self._wait_message,
            "acquire_lock": self._acquire_lock,
            "release_lock": lambda name: store.locks.release(name, claim.id, claim.attempt),
        }

    def answer(self, verb: str, arguments: Mapping[str, Any], *, is_main: bool) -> Any:
        """Answer a call of the flow. Raises the errors of `cloudo_kernel.errors`, which the flow gets.

        A durable flow may call from its main thread only: calls of several threads have no order to replay.
        """
        if self._replay is not None and not is_main:
            raise PermissionDenied("In a durable flow only the main thread may use this and system.")
        if verb == "log":
            if self._replay is not None and self._replay.skips_log_line():
                return None
            line = self._secrets.line(LogLine(time=self._store.now, **arguments))
            if len(line.text) > MAX_LINE:
                line = line.model_copy(update={"text": shortened(line.text, MAX_LINE)})
            self._lines.append(line)
            if len(self._lines) >= _LOG_BATCH:
                self.flush_log()
            return None
        return self._waits.retry_while_unavailable(lambda: self._answer(verb, arguments))

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

    def _answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        self.flush_log()
        if self._replay is not None and verb == "end":
            self._replay.check_end()
        if self._replay is None or verb == "end":
            result = self._perform(verb, arguments)
        else:
            result = self._replay.answer(verb, dict(arguments), lambda recorded: self._perform(verb, recorded))
        self._secrets.note(verb, arguments, result)
        return result

    def _perform(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        if self.declared is not None and verb not in self._reads:
            raise Conflict(
                f"The execution {self._claim.id} has said that it ended ({self.declared.status}); "
                f"nothing can be done with it after that, {verb!r} neither."
            )
        if verb in self._on_others:
            self._store.queue.check_current(self._claim.id, self._claim.attempt)
            done = self._on_others[verb](**arguments)
            return None if done is None else _json(done)
        return (self._reads.get(verb) or self._on_itself[verb])(**arguments)

    def _now(self) -> float:
        return self._store.now.timestamp()

    def _start_child(self, *, request: dict[str, Any], **more: Any) -> Execution:
        return self._service.start_child(StartExecution.model_validate(request), **more)

    def _executions(self, *, where: dict[str, Any], limit: int, cursor: str | None) -> dict[str, Any]:
        return _json(self._service.executions(ExecutionFilter.model_validate(where), limit=limit, cursor=cursor))

    def _save(self, **fields: Any) -> None:
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

    def _set_output(self, *, key: str, value: Any, append: bool) -> None:
        changed = {**self._output, key: appended(self._output.get(key), value) if append else value}
        self._checked_output(changed)
        self._store.reports.save(self._claim.id, self._claim.attempt, self._secrets.split_outputs(changed))
        self._output = changed

    def _checked_output(self, output: Any) -> dict[str, Any]:
        _check_output(output)
        if self._secrets.redaction.holds(list(output)):
            raise MalformedRequest("The name of an output holds a secret; name it otherwise.", field="output_value")
        return dict(output)

    def _webhook_response(self, *, content: str, encoding: str, status: int, content_type: str) -> None:
        response = checked_response(decoded(content, encoding), status=status, content_type=content_type)
        is_secret = self._secrets.redaction.holds(response.content.decode(errors="replace"))
        self._store.webhooks.respond(self._claim.id, self._claim.attempt, response, is_secret=is_secret)

    def _end(self, *, status: str, message: str | None) -> None:
        self.declared = Outcome(status=Status(status), message=message)

    def _wait_for(self, *, ids: list[str], first: bool, until: float | None = None) -> list[dict[str, Any]]:
        """Wait without a slot until all, or with `first` one of the executions, have ended; return the ended ones.

        `until` is the latest end of the wait, in seconds since 1970.
        """
        wanted, ids = any if first else all, list(dict.fromkeys(ids))
        states = {execution_id: self._store.executions.status(execution_id) for execution_id in ids}
        if not wanted(status.is_ended for status in states.values()):
            names = ", ".join(self._store.executions.get(execution_id).name for execution_id in ids[:3])
            more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
            self._without_slot(
                f"waiting for {names}{more}",
                lambda: wanted(self._store.executions.status(one).is_ended for one in ids),
                seconds=math.inf if until is None else until - self._now(),
                # A wait that can end without all of them is not part of a cycle.
                on=ids if until is None and (len(ids) == 1 or not first) else (),
                subjects=ids,
                number=1 if first else len(ids),
            )
        records = [self._secrets.seen(self._store.executions.get(execution_id)) for execution_id in ids]
        return [_json(record) for record in records if record.is_ended]

    def _sleep_until(self, *, when: float, seconds: float | None = None) -> None:
        """Sleep without a slot until `when` (seconds since 1970). With `seconds`, no clock change prolongs it."""
        left = when - self._now()
        if left <= 0:
            return
        moment = rfc3339(datetime.fromtimestamp(when, UTC))

        def has_come() -> bool:
            return self._now() >= when

        while not self._without_slot(f"sleeping until {moment}", has_come, seconds=left) and seconds is None:
            left = when - self._now()  # the clock was set back
            if left <= 0:
                return

    def _wait_message(self, *, message_id: str, until: float | None) -> dict[str, Any]:
        """Wait without a slot until the message no longer takes an answer, or `until` (seconds since 1970)."""
        messages = self._store.messages
        message = messages.get(message_id)
        if message.is_open:
            limit = math.inf if until is None else until - self._now()
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
        return _json(messages.revealed(message_id))

    def _acquire_lock(self, *, name: str, until: float | None, call: str | None = None) -> bool:
        """Take the lock, waiting in line without a slot; return False if this execution already has it."""
        check_name(name)
        locks, mine = self._store.locks, (name, self._claim.id, self._claim.attempt)
        is_new = locks.acquire(*mine, call=call)
        if is_new is not None:
            return is_new
        message = f"waiting for the lock {name!r}, which {self._holder_of(name)} holds"
        limit = math.inf if until is None else until - self._now()

        def has_come() -> bool:
            return locks.is_turn(name, self._claim.id) and locks.acquire(*mine, call=call) is not None

        try:
            if self._without_slot(message, has_come, seconds=limit, lock=name, number=1):
                return True
            raise WaitTimeout(f"{self._holder_of(name)} still holds the lock {name!r}.")
        except WaitTimeout:
            locks.leave(*mine)
            raise

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
