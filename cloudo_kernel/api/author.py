"""The verbs behind the objects of flow authors: those of `Api` that work inside a run, too."""

# mypy: disable-error-code="empty-body"
# Verbs are declared without a body: classes that inherit them implement or derive them.

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cloudo_kernel.api.verb import verb
from cloudo_kernel.models import (
    Action,
    Backfill,
    ChangeSchedule,
    CreateMessage,
    CreateSchedule,
    Execution,
    ExecutionFilter,
    File,
    Flow,
    Health,
    JsonObject,
    Message,
    Occurrence,
    Page,
    PreviewSchedule,
    Schedule,
    SchedulePreview,
    Setting,
    StartExecution,
    User,
)


class AuthorApi:
    """What `system` asks of Cloudo, inside and outside of a run."""

    @verb(Action.READ, "GET flow")
    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """List the flows of the workspace and the library by name; `q` must be part of name, title or a tag."""

    @verb(Action.READ, "GET flow/{name:path}")
    def flow(self, name: str) -> Flow:
        """Return one flow. Raises `FlowNotFound`, `NameInvalid`."""

    @verb(Action.EXECUTION_START, "POST execution")  # for a script: Action.SCRIPT_RUN
    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """Start an execution and return once it is safe on disk.

        The same `idempotency_key` of the same user within 24 hours returns the first call's execution.
        Source that is sent with the request takes the right to `script:run` in place of `execution:start`.
        Raises `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid`, `MalformedRequest`, `IdempotencyConflict`.
        """

    @verb(Action.READ, "GET execution")
    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """List executions, newest first, without log, traceback and values above 4 KiB."""

    @verb(Action.READ, "GET execution/{execution_id}")
    def execution(self, execution_id: str) -> Execution:
        """Return one whole record with the last 1,000 log lines. Raises `ExecutionNotFound`."""

    @verb(Action.READ)
    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """Block until the execution has ended, or `timeout` is over, and return its record as it is then."""

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/cancel")
    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """End an execution and its children.

        With `tree` all executions below it end, also those whose parents have ended in success, and it may have ended
        itself. Raises `ExecutionNotFound`, and `IllegalTransition` when there is nothing to end.
        """

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/pause")
    def pause_execution(self, execution_id: str) -> Execution:
        """Pause an execution: at once if it waits for something, before its next cell if it runs.

        A paused one holds no slot, and keeps its processes. Asking a running one twice changes nothing.
        Raises `ExecutionNotFound`, `WorkedOnByHand`, and `IllegalTransition` when it is paused already, or has ended.
        """

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/resume")
    def resume_execution(self, execution_id: str) -> Execution:
        """Let a paused execution go on where it was, or take the wish to pause it back.

        Raises `ExecutionNotFound`, `WorkedOnByHand`, and `IllegalTransition` when nobody has paused it.
        """

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/retry")
    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Start an ended execution anew, as a new one: its flow as it is now, or the same script.

        Name, tags and time limit are kept; so are the inputs, unless others are given, which replace all of them.
        Raises `ExecutionNotFound`, `ExecutionNotEnded`, `FlowNotFound`, `FlowBroken`, `InputsInvalid`, and
        `WorkedOnByHand` for a notebook that was worked on by hand.
        """

    @verb(Action.MESSAGE_WRITE, "POST message", beyond_flows=True)
    def create_message(self, request: CreateMessage) -> Message:
        """Make a message; with a form it is an input request. Raises `FormInvalid`, `MalformedRequest`."""

    @verb(Action.READ, "GET message/{message_id}")
    def message(self, message_id: str) -> Message:
        """Return one message. Protected answers show as `•••`. Raises `MessageNotFound`."""

    @verb(Action.READ)
    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """Block until the message takes no answer any more, or `timeout` is over, and return it as it is then."""

    @verb(Action.SCHEDULE_WRITE, "POST schedule")
    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """Make a schedule: a durable rule that starts executions of one flow, as its maker.

        Raises `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid`, `MalformedRequest` about its times,
        `Conflict` when no time is left, and `NotConfirmed`
        for a moment in the past, or an interval below one second, that is not `confirmed`.
        """

    @verb(Action.READ, "GET schedule")
    def schedules(
        self, *, flow_name: str | None = None, q: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[Schedule]:
        """List schedules, newest first; `q` must be part of the name, or of the flow's."""

    @verb(Action.READ, "GET schedule/{schedule_id}")
    def schedule(self, schedule_id: str) -> Schedule:
        """Return one schedule with its next ten times. Raises `ScheduleNotFound`."""

    @verb(None, "POST schedule/preview")
    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """Return the next ten times of a trigger, and what is unusual about it. Nothing is saved.

        Raises `MalformedRequest` about its times.
        """

    @verb(Action.SCHEDULE_WRITE, "PATCH schedule/{schedule_id}")
    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """Change a schedule in place; what has run and what runs is as it was.

        Raises what `create_schedule` raises, and `ScheduleNotFound`.
        """

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/pause")
    def pause_schedule(self, schedule_id: str) -> Schedule:
        """Let a schedule start nothing until it is resumed. Times that pass meanwhile are no occurrences.

        Raises `ScheduleNotFound`.
        """

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/resume")
    def resume_schedule(self, schedule_id: str) -> Schedule:
        """Let a paused schedule go on with its next time. Raises `ScheduleNotFound`, `Conflict` when none is left."""

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/trigger")
    def trigger_schedule(self, schedule_id: str) -> Execution:
        """Start an execution of the schedule now, out of turn: neither its times nor its limit change.

        Raises `ScheduleNotFound`, `FlowNotFound`, `FlowBroken`, `InputsInvalid`.
        """

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/backfill")
    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """Run the past times of a range for which nothing was started, in order, one after another.

        With `dry_run` nothing is started: the occurrences, without executions, are those that would be.
        Raises `ScheduleNotFound`, and `MalformedRequest` when they are more than 1,000, or the schedule has no past
        times.
        """

    @verb(Action.READ, "GET schedule/{schedule_id}/occurrence")
    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """List the times of a schedule that have come, newest first, each with what became of it.

        Raises `ScheduleNotFound`.
        """

    @verb(Action.SCHEDULE_WRITE, "DELETE schedule/{schedule_id}")
    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule and its occurrences; its executions stay. Raises `ScheduleNotFound`."""

    @verb(Action.READ, "GET setting", beyond_flows=True)
    def settings(self) -> tuple[Setting, ...]:
        """List the settings that were saved, and the names that are locked."""

    @verb(Action.READ, "GET setting/{name:path}", beyond_flows=True)
    def setting(self, name: str) -> Setting:
        """Return a setting; a documented one that was not saved has its default, and no `modified_at`.

        What one user has otherwise is a setting of another name, `user.<name>.…`. Raises `SettingNotFound`.
        """

    @verb(Action.SETTING_WRITE, "PUT setting/{name:path}")
    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """Save a setting, any JSON. Raises `SettingInvalid` when a documented one takes something else.

        The value of a secret is told to flows that run and to nobody else: others get `•••`. It stays a secret until
        it is saved with `secret=False`; saving `•••` leaves its value as it was.
        """

    @verb(Action.SETTING_WRITE, "DELETE setting/{name:path}")
    def delete_setting(self, name: str) -> None:
        """Forget a setting: a documented one has its default again. Raises `SettingNotFound`."""

    @verb(Action.READ, "GET file", beyond_flows=True)
    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """List the files in a folder of the workspace whose paths below it fit `glob`, without their content.

        `.cloudo/` is never among them. Raises `PathInvalid`, `NoSuchFile`, `TooLarge`.
        """

    @verb(Action.READ, "GET file/{path:path}", beyond_flows=True)
    def file(self, path: str, *, with_content: bool = True) -> File:
        """Return a file of the workspace. Raises `PathInvalid`, `NoSuchFile`, `TooLarge`."""

    @verb(Action.FILE_WRITE, "PUT file/{path:path}")
    def save_file(self, path: str, content: bytes) -> File:
        """Make a file of the workspace, or replace it as a whole. Raises `PathInvalid`, `TooLarge`."""

    @verb(Action.FILE_WRITE, "DELETE file/{path:path}")
    def delete_file(self, path: str) -> None:
        """Delete a file of the workspace. Raises `PathInvalid`, `NoSuchFile`."""

    @verb(None, "GET user/me")
    def user(self) -> User:
        """Return who is calling."""

    @verb(None, "GET health")
    def health(self) -> Health:
        """Tell whether executions can be started and run, why not, and how many wait."""
