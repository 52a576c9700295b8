"""Records the calls of a durable flow, and answers from the record during a replay.

A replay makes the same calls in the same order. A recorded call is not performed again: its recorded result is
returned, or its recorded error raised. A call matches a recorded one if it is the same verb on the same thing. Other
values may differ; the recorded ones count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cloudo_kernel.errors import CloudoError, ReplayDiffers, StaleAttempt, Unavailable, from_code
from cloudo_kernel.models import JsonObject
from cloudo_kernel.store import Call, Claim, Store

_log = logging.getLogger(__name__)

#: Arguments that identify the thing that a call is about; the others are values.
_THINGS = (
    "key",
    "name",
    "flow_name",
    "execution_id",
    "ids",
    "first",
    "path",
    "subject",
    "message_id",
    "schedule_id",
    "folder",
    "glob",
)
#: Calls that take long. They are also recorded when they begin.
WAITS = frozenset({"wait_for", "sleep_until", "wait_message", "acquire_lock"})


class Replay:
    """The calls of one durable execution: first those of earlier attempts, then new ones."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self._position = 0
        self._recorded: dict[int, Call] = {}
        for call in store.journal.calls(claim.id):
            for position in range(call.position, call.position + _length(call)):
                self._recorded[position] = call
        #: The steps that this attempt has begun, by position.
        self._steps: dict[int, Call] = {}
        #: Why this attempt cannot continue.
        self.obstacle: ReplayDiffers | None = None

    def skips_log_line(self) -> bool:
        """Count a log line; return whether it is already in the log."""
        self._position += 1
        found = self._recorded.get(self._position)
        if found is not None and found.verb != "log":
            self._differs(found, "log", {})
        return found is not None

    def note_log(self, number: int) -> None:
        """Record that the last `number` counted log lines were written."""
        first = self._position - number + 1
        self._add(Call(position=first, verb="log", arguments={"lines": number}))

    def answer(self, verb: str, arguments: JsonObject, perform: Callable[[JsonObject], Any]) -> Any:
        """Return the recorded result, or perform and record the call. Raises `ReplayDiffers`, or the call's error."""
        if self.obstacle is not None:
            raise self.obstacle
        if verb in ("step_done", "step_failed"):
            return self._end_step(**arguments)
        position = self._position + 1
        call = self._recorded.get(position)
        if call is not None and _thing(call.verb, call.arguments) != _thing(verb, arguments):
            raise self._differs(call, verb, arguments)
        if call is None or not call.is_done:
            call = self._perform(
                call or Call(position=position, verb=verb, arguments=arguments, is_done=False), perform
            )
        self._position = position
        return self._result(call)

    def check_end(self) -> None:
        """Raise `ReplayDiffers` if the flow ends before it has made all recorded calls."""
        call = self._recorded.get(self._position + 1)
        if self.obstacle is None and call is not None:
            self._differs(call, "end", {})
        if self.obstacle is not None:
            raise self.obstacle

    def _perform(self, call: Call, perform: Callable[[JsonObject], Any]) -> Call:
        if call.verb in WAITS or call.verb == "step_begin":
            if call.position not in self._recorded:
                self._add(call)
            if call.verb == "step_begin":
                self._steps[call.position] = call
                return call
            done = _outcome(call, perform)
            self._store.journal.finish(self._claim.id, self._claim.attempt, done)
            return done
        with self._store.journal.together():
            done = _outcome(call, perform)
            self._store.journal.add(self._claim.id, self._claim.attempt, done)
        return done

    def _result(self, call: Call) -> Any:
        if call.error is not None:
            raise from_code(**call.error)
        if call.verb != "step_begin":
            return call.result
        if not call.is_done:
            return {"is_done": False, "result": None, "error": None, "number": call.position}
        self._position = call.result["end"]  # past the calls within the step
        return {"is_done": True, "result": call.result["value"], "error": call.result.get("error")}

    def _end_step(self, number: int, result: Any = None, error: JsonObject | None = None) -> Any:
        ended = {"end": self._position, "value": result, "error": error}
        done = replace(self._steps[number], is_done=True, result=ended)
        self._store.journal.finish(self._claim.id, self._claim.attempt, done)
        return result

    def _add(self, call: Call) -> None:
        self._store.journal.add(self._claim.id, self._claim.attempt, call)
        self._recorded[call.position] = call

    def _differs(self, recorded: Call, verb: str, arguments: Mapping[str, Any]) -> ReplayDiffers:
        now, before = _shown(verb, arguments), _shown(recorded.verb, recorded.arguments)
        self.obstacle = ReplayDiffers(recorded.position, now=now, recorded=before)
        return self.obstacle


def _outcome(call: Call, perform: Callable[[JsonObject], Any]) -> Call:
    """Perform the call with the arguments recorded when it began."""
    try:
        return replace(call, is_done=True, result=perform(call.arguments))
    except (StaleAttempt, Unavailable):
        raise  # the call was not performed
    except CloudoError as error:
        return replace(call, is_done=True, error=error.payload)
    except Exception as error:  # noqa: BLE001 -- a bug of ours, recorded for replays, too
        _log.exception("A call of a run failed unexpectedly.")
        unexpected = {"code": CloudoError.code, "message": f"{type(error).__name__}: {error}", "field": None}
        return replace(call, is_done=True, error=unexpected)


def _length(call: Call) -> int:
    return int(call.arguments["lines"]) if call.verb == "log" else 1


def _thing(verb: str, arguments: Mapping[str, Any]) -> tuple[str, JsonObject]:
    if verb == "save":
        return verb, {"fields": sorted(arguments)}
    given = {**arguments, **(arguments.get("request") or {})}
    return verb, {name: given[name] for name in _THINGS if given.get(name) is not None}


def _shown(verb: str, arguments: Mapping[str, Any]) -> str:
    about = ", ".join(f"{name}={value!r}" for name, value in _thing(verb, arguments)[1].items())
    return f"{verb}({about})"
