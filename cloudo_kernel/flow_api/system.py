"""`system`: flows, executions, settings and files, from inside a flow or from any notebook."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api.calls import message_request, request_of, run_verbs
from cloudo_kernel.flow_api.cards import Rows
from cloudo_kernel.flow_api.execution import Execution, ReturnWhen
from cloudo_kernel.flow_api.file import File
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.message import Message
from cloudo_kernel.flow_api.schedule import WORDS, Schedule, given_trigger, plain_options
from cloudo_kernel.flow_api.setting import UNSET, Setting
from cloudo_kernel.flow_api.values import check_text, to_json

#: Text that `system.message` and `system.schedule` read as an id instead of a subject or a flow.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

_NO_WORKER = (
    "The schedule {!r} is saved, but nothing will start it before a Jupyter server with Cloudo or `cloudo worker` runs "
    "for this workspace."
)


class System:
    """Access to flows, executions, messages, schedules, settings and files."""

    return_when = ReturnWhen

    def __init__(self, api: Any) -> None:
        """Wrap an `Api`, or a `RunApi` inside a run."""
        #: The calls behind this object: outside of a run a whole `Api`.
        self.api = api
        self._calls: AuthorApi = api

    def flow(self, name: str, by: str = "name") -> Flow:
        """Return a flow. Its id is its name, so `by="id"` returns the same one. Raises `ResourceNotFoundError`."""
        if by not in ("name", "id"):
            raise MalformedRequest(f"by takes name or id, not {by!r}.", field="by")
        return Flow(self._calls, self._calls.flow(check_text(name, "A flow's name")))

    def flows(self, q: str | None = None) -> tuple[Flow, ...]:
        """Return the flows whose name, title or tags contain `q`."""
        found = (Flow(self._calls, record) for record in self._calls.flows(q=q))
        return Rows.of(found, empty="No matching flows." if q else "No flows yet.")

    def execution(self, execution_id: str) -> Execution:
        """Return an execution. Raises `ResourceNotFoundError`."""
        return Execution(self._calls, self._calls.execution(check_text(execution_id, "An execution's id")))

    def executions(self, *, limit: int = 100, **where: Any) -> tuple[Execution, ...]:
        """Return the newest executions. Filters are those of `models.ExecutionFilter`.

        `status` is one state or several. Raises `MalformedRequest`.
        """
        if isinstance(where.get("status"), str):
            where["status"] = (where["status"],)
        page = self._calls.executions(request_of(models.ExecutionFilter, where), limit=limit)
        return Rows.of((Execution(self._calls, record) for record in page.items), empty="No matching executions.")

    def message(
        self,
        subject: str,
        body: Mapping[str, Any] | None = None,
        *,
        message: str | None = None,
        request: str | None = None,
        level: models.MessageLevel | str | None = None,
        timeout_seconds: float | None = None,
        message_type: str | None = None,
    ) -> Message:
        """Create a message, or return the one with this id.

        `body` is a form. `request="…"` is short for a form with one question, answered in `response["response"]`, and
        `message="…"` for one with a text and an OK button. Without these the message asks for no answer.
        `timeout_seconds` limits the wait for the answer, 0 for no limit. `message_type` belongs to the original's API
        and is ignored. A subject that looks like an id, as the only argument, always returns an existing message.
        Raises `FormInvalid`, `ResourceNotFoundError`.
        """
        given = {
            "body": None if body is None else to_json(body, name="body"),
            "message": message,
            "request": request,
            "level": level,
            "timeout_seconds": timeout_seconds,
        }
        is_alone = message_type is None and all(value is None for value in given.values())
        if is_alone and isinstance(subject, str) and _ID.fullmatch(subject):
            return Message(self._calls, self._calls.message(subject))
        return Message(self._calls, self._calls.create_message(message_request(subject=subject, **given)))

    def schedule(
        self,
        flow: Flow | str,
        trigger: Mapping[str, Any] | models.ScheduleTrigger | None = None,
        *,
        at: datetime | str | float | None = None,
        delay_seconds: float | timedelta | None = None,
        every_seconds: float | timedelta | None = None,
        daily_at: time | str | None = None,
        cron: str | None = None,
        wait: bool | None = None,
        start: datetime | str | float | None = None,
        max_iterations: int | None = None,
        timezone: str | None = None,
        name: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        overlap: models.Overlap | str | None = None,
        confirmed: bool = False,
        **options: Any,
    ) -> Schedule:
        """Create a schedule of a flow, or return the one with this id: `schedule("report", daily_at="08:30")`.

        The time is one of `at` (a moment), `delay_seconds`, `every_seconds`, `daily_at`, `monthly` and `cron`, or
        a `trigger` with these. With `wait` (the default) an interval counts from the end of the last run, with
        `wait=False` along the grid from `start`. Local times are in `timezone`, an IANA name; default: the user's, or
        the server's.
        `overlap` is skip, queue, cancel or allow: the action if an earlier run has not ended. Further options:
        `catch_up`, `catch_up_window_seconds`, `jitter_seconds`, `pause_on_error_count`, `pin_source`, `enabled`,
        `end_at`, and the follow-ups `on_success`, `on_error` and `on_recovery`, such as `on_error="Notify by email"`.
        A moment in the past, which runs at once, and an interval below one second require `confirmed=True`.
        Raises `FlowNotFound`, `FlowBroken`, `InputsInvalid`, `MalformedRequest`, `NotConfirmed`.
        """
        words: dict[str, Any] = {
            "at": at,
            "delay_seconds": delay_seconds,
            "every_seconds": every_seconds,
            "wait": wait,
            "start": start,
            "daily_at": daily_at,
            "cron": cron,
            "max_iterations": max_iterations,
            **{word: options.pop(word) for word in WORDS if word in options},
        }
        named = {"timezone": timezone, "name": name, "inputs": inputs, "overlap": overlap, **options}
        more = plain_options({option: value for option, value in named.items() if value is not None})
        is_alone = trigger is None and not more and all(word is None for word in words.values())
        if is_alone and isinstance(flow, str) and _ID.fullmatch(flow):
            return Schedule(self._calls, self._calls.schedule(flow))
        flow_name = flow.name if isinstance(flow, Flow) else flow
        timing = given_trigger(trigger, words)
        request = {"flow_name": flow_name, "trigger": timing, "confirmed": confirmed, **more}
        created = self._calls.create_schedule(request_of(models.CreateSchedule, request))
        is_watched = bool(self._calls.health().workers)
        if not is_watched:
            warnings.warn(_NO_WORKER.format(created.name), stacklevel=2)
        return Schedule(self._calls, created, is_watched=is_watched)

    def schedules(
        self, q: str | None = None, *, flow_name: str | None = None, limit: int = 100
    ) -> tuple[Schedule, ...]:
        """Return the newest schedules. `q` selects those with it in their name or the flow's name."""
        page = self._calls.schedules(flow_name=flow_name, q=q, limit=limit)
        return Rows.of((Schedule(self._calls, record) for record in page.items), empty="No matching schedules.")

    def preview(
        self,
        trigger: Mapping[str, Any] | models.ScheduleTrigger | None = None,
        *,
        timezone: str | None = None,
        **words: Any,
    ) -> models.SchedulePreview:
        """Return the next times of a trigger, and notes about unusual ones, without saving anything.

        Give the trigger as in `schedule`. The record has `times`, `notes`, `needs_confirmation`, `timezone` and
        `description`. Raises `MalformedRequest`.
        """
        given: dict[str, Any] = {"trigger": given_trigger(trigger, words)}
        if timezone is not None:
            given["timezone"] = timezone
        return self._calls.preview_schedule(request_of(models.PreviewSchedule, given))

    def get_own_user(self) -> Named:
        """Return the current user. The user's name is `name`, also as `.get("name")`."""
        return Named("user", self._calls.user().name)

    def get_own_client(self) -> Named:
        """Return the workspace of a running flow. Its `name` is the name of the folder."""
        return Named("client", run_verbs(self._calls, "get_own_client").own_client().name)

    def get_env_name(self) -> str:
        """Return the name of a running flow's environment: `CLOUDO_ENV_NAME`, else the machine's name."""
        return run_verbs(self._calls, "get_env_name").own_client().env_name

    def setting(self, name: str, value: Any = UNSET, *, secret: bool | None = None) -> Setting:
        """Return a setting, which need not exist yet. A given value is saved at once.

        With `secret=True`, saving makes it a secret: only running flows can read its value, everyone else gets `•••`.
        It stays a secret until it is saved with `secret=False`.
        """
        setting = Setting(self._calls, check_text(name, "A setting's name"), secret=secret)
        return setting if value is UNSET else setting.save(value)

    def settings(self) -> tuple[Setting, ...]:
        """Return the saved settings, sorted by name."""
        saved = [record for record in self._calls.settings() if record.modified_at is not None]
        return Rows.of((Setting(self._calls, record.name, record) for record in saved), empty="No saved settings.")

    def file(self, path: str, content: str | bytes | None = None) -> File:
        """Return a file of the workspace, which need not exist yet. Given `content` is written at once."""
        file = File(self._calls, check_text(path, "A file's path"))
        return file if content is None else file.save(content)

    def files(self, dir: str = ".", glob: str = "*") -> tuple[File, ...]:  # noqa: A002 -- the original's name
        """Return the files in a folder of the workspace that match a pattern. `**/*` includes all its subfolders."""
        found = (File(self._calls, record.path, record) for record in self._calls.files(dir, glob=glob))
        return Rows.of(found, empty="No matching files.")


class Named:
    """A user, or the client, which is the workspace."""

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    def get(self, field: str) -> str:
        """Return a field. The only one is `name`."""
        if field != "name":
            raise MalformedRequest(f"A {self._kind} has no field {field!r}; it has name.", field=field)
        return self._name

    def __repr__(self) -> str:
        return f"<{self._kind.capitalize()} {self._name!r}>"
