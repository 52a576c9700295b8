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
    ExecutionOrder,
    File,
    Flow,
    Health,
    JsonObject,
    Message,
    Occurrence,
    Page,
    PreviewSchedule,
    Result,
    ResultSummary,
    Schedule,
    ScheduleOrder,
    SchedulePreview,
    Setting,
    StartExecution,
    User,
)


class AuthorApi:
    """The verbs of `system`, inside and outside of a run."""

    @verb(Action.READ, "GET flow")
    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """List the flows of the workspace and the library by name. `q` filters by name, title and tags."""

    @verb(Action.READ, "GET flow/{name:path}")
    def flow(self, name: str) -> Flow:
        """Return one flow. Raises `FlowNotFound`, `NameInvalid`."""

    @verb(Action.EXECUTION_START, "POST execution")  # for a script: Action.SCRIPT_RUN
    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """Start an execution, and return once it is stored on disk.

        The same `idempotency_key` of the same user within 24 hours returns the first call's execution.
        A request with source needs the right to `script:run` instead of `execution:start`.
        Raises `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid`, `MalformedRequest`, `IdempotencyConflict`.
        """

    @verb(Action.READ, "GET execution")
    def executions(
        self,
        where: ExecutionFilter | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
        order: ExecutionOrder = ExecutionOrder.NEWEST,
    ) -> Page[Execution]:
        """List executions in order, by default newest first, without log, traceback and values above 4 KiB.

        The orders by duration sort the newest 10,000 matching executions, and leave out those that never started.
        """

    @verb(Action.READ, "GET execution/{execution_id}")
    def execution(self, execution_id: str) -> Execution:
        """Return a whole record, with the last 1,000 log lines. Raises `ExecutionNotFound`."""

    @verb(Action.READ, "GET execution/{execution_id}/results")
    def execution_results(self, execution_id: str) -> tuple[ResultSummary, ...]:
        """List the results of an execution with their names, MIME types and sizes, in the order they were shown.

        An ended execution without results has one, `figure`: the last figure of its notebook, if it has any.
        Raises `ExecutionNotFound`.
        """

    @verb(Action.READ, "GET execution/{execution_id}/results/{name}")
    def execution_result(self, execution_id: str, name: str) -> Result:
        """Return one result with its MIME bundle. Raises `ExecutionNotFound`, `ResultNotFound`."""

    @verb(Action.READ)
    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """Wait until the execution has ended, or for `timeout`. Return the current record."""

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/cancel")
    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """Cancel an execution and its children.

        With `tree` all its descendants are cancelled, also if it has ended itself, or if their parents ended in
        success. Raises `ExecutionNotFound`, and `IllegalTransition` if all of them have ended.
        """

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/pause")
    def pause_execution(self, execution_id: str) -> Execution:
        """Pause an execution: at once if it is waiting, after the current cell if it is running.

        A paused execution holds no slot, and keeps its processes. Pausing a running one twice has no effect.
        Raises `ExecutionNotFound`, `WorkedOnByHand`, and `IllegalTransition` if it is paused already, or has ended.
        """

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/resume")
    def resume_execution(self, execution_id: str) -> Execution:
        """Resume a paused execution, or withdraw a request to pause it.

        Raises `ExecutionNotFound`, `WorkedOnByHand`, and `IllegalTransition` if it is not paused.
        """

    @verb(Action.EXECUTION_WRITE, "POST execution/{execution_id}/retry")
    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Run an ended execution again, as a new execution of the flow's current version, or of the same script.

        Name, tags and time limit stay the same. `inputs` replace all earlier inputs; by default these are used again.
        Raises `ExecutionNotFound`, `ExecutionNotEnded`, `FlowNotFound`, `FlowBroken`, `InputsInvalid`, and
        `WorkedOnByHand` for a notebook that was opened by hand.
        """

    @verb(Action.MESSAGE_WRITE, "POST message", beyond_flows=True)
    def create_message(self, request: CreateMessage) -> Message:
        """Create a message. With a form it is an input request. Raises `FormInvalid`, `MalformedRequest`."""

    @verb(Action.READ, "GET message/{message_id}")
    def message(self, message_id: str) -> Message:
        """Return one message. Protected answers show as `•••`. Raises `MessageNotFound`."""

    @verb(Action.READ)
    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """Wait until the message is closed, or for `timeout`. Return the current record."""

    @verb(Action.SCHEDULE_WRITE, "POST schedule")
    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """Create a schedule: a durable rule that starts executions of one flow, as its creator.

        Raises `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid`, `MalformedRequest` about its trigger,
        `Conflict` if it has no next time, and `NotConfirmed` for a moment in the past, or an interval below one second,
        without `confirmed`.
        """

    @verb(Action.READ, "GET schedule")
    def schedules(
        self,
        *,
        flow_name: str | None = None,
        q: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        order: ScheduleOrder = ScheduleOrder.NEWEST,
    ) -> Page[Schedule]:
        """List schedules, newest first, or by their next time. `q` filters by the schedule's and the flow's name."""

    @verb(Action.READ, "GET schedule/{schedule_id}")
    def schedule(self, schedule_id: str) -> Schedule:
        """Return one schedule with its next ten times. Raises `ScheduleNotFound`."""

    @verb(None, "POST schedule/preview")
    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """Return the next ten times of a trigger, and notes about unusual ones. Nothing is saved.

        Raises `MalformedRequest` about the trigger.
        """

    @verb(Action.SCHEDULE_WRITE, "PATCH schedule/{schedule_id}")
    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """Change a schedule in place. Its executions stay the same.

        Raises what `create_schedule` raises, and `ScheduleNotFound`.
        """

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/pause")
    def pause_schedule(self, schedule_id: str) -> Schedule:
        """Pause a schedule. Times that pass until it is resumed are not occurrences.

        Raises `ScheduleNotFound`.
        """

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/resume")
    def resume_schedule(self, schedule_id: str) -> Schedule:
        """Resume a paused schedule at its next time. Raises `ScheduleNotFound`, and `Conflict` if it has none."""

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/trigger")
    def trigger_schedule(self, schedule_id: str) -> Execution:
        """Start an execution of the schedule now. Its times and its limit of runs do not change.

        Raises `ScheduleNotFound`, `FlowNotFound`, `FlowBroken`, `InputsInvalid`.
        """

    @verb(Action.SCHEDULE_WRITE, "POST schedule/{schedule_id}/backfill")
    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """Run the past times of a range that started no execution, in order, one after another.

        With `dry_run` nothing starts: the occurrences are returned without executions.
        Raises `ScheduleNotFound`, and `MalformedRequest` for more than 1,000 times, or if the schedule has no past
        times.
        """

    @verb(Action.READ, "GET schedule/{schedule_id}/occurrence")
    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """List the past times of a schedule, newest first, each with its outcome.

        Raises `ScheduleNotFound`.
        """

    @verb(Action.SCHEDULE_WRITE, "DELETE schedule/{schedule_id}")
    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule and its occurrences. Its executions stay. Raises `ScheduleNotFound`."""

    @verb(Action.READ, "GET setting", beyond_flows=True)
    def settings(self) -> tuple[Setting, ...]:
        """List the saved settings, and the names of locks that are held."""

    @verb(Action.READ, "GET setting/{name:path}", beyond_flows=True)
    def setting(self, name: str) -> Setting:
        """Return a setting. A documented setting that was not saved has its default, and no `modified_at`.

        A user's own value is a setting of its own, `user.<name>.…`. Raises `SettingNotFound`.
        """

    @verb(Action.SETTING_WRITE, "PUT setting/{name:path}")
    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """Save a setting, any JSON. Raises `SettingInvalid` if the value is invalid for a documented setting.

        Only running flows can read a secret; everyone else gets `•••`. It stays a secret until it is saved with
        `secret=False`. Saving `•••` does not change the value.
        """

    @verb(Action.SETTING_WRITE, "DELETE setting/{name:path}")
    def delete_setting(self, name: str) -> None:
        """Delete a setting. A documented setting has its default again. Raises `SettingNotFound`."""

    @verb(Action.READ, "GET file", beyond_flows=True)
    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """List the files in a folder of the workspace whose paths below it match `glob`, without their content.

        Files of `.cloudo/` are left out. Raises `PathInvalid`, `NoSuchFile`, `TooLarge`.
        """

    @verb(Action.READ, "GET file/{path:path}", beyond_flows=True)
    def file(self, path: str, *, with_content: bool = True) -> File:
        """Return a file of the workspace. Raises `PathInvalid`, `NoSuchFile`, `TooLarge`."""

    @verb(Action.FILE_WRITE, "PUT file/{path:path}")
    def save_file(self, path: str, content: bytes) -> File:
        """Create or replace a file of the workspace. Raises `PathInvalid`, `TooLarge`."""

    @verb(Action.FILE_WRITE, "DELETE file/{path:path}")
    def delete_file(self, path: str) -> None:
        """Delete a file of the workspace. Raises `PathInvalid`, `NoSuchFile`."""

    @verb(None, "GET user/me")
    def user(self) -> User:
        """Return the calling user."""

    @verb(None, "GET health")
    def health(self) -> Health:
        """Return whether executions can start and run, with the reason if not, and the length of the queue."""
