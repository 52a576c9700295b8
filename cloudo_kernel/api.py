"""`Api`: every verb of Cloudo, documented once.

`Service` implements it in process, `Client` over HTTP and `Channel` from inside a running flow.
Dashboard, command line and flow authors' objects see nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

from cloudo_kernel.models import (
    Backfill,
    BulkOutcome,
    BulkRequest,
    ChangeSchedule,
    ChangeWebhook,
    CreatedToken,
    CreateMessage,
    CreateSchedule,
    CreateToken,
    CreateWebhook,
    Delivery,
    Event,
    Execution,
    ExecutionFilter,
    File,
    Flow,
    Health,
    JsonObject,
    Kernel,
    LogLine,
    Message,
    MessageState,
    Occurrence,
    Page,
    PreviewSchedule,
    Schedule,
    SchedulePreview,
    Setting,
    StartExecution,
    Token,
    User,
    Webhook,
)

#: The most items that one page of a list holds.
PAGE_LIMIT = 500


class Api(Protocol):
    """What can be asked of Cloudo. Every method may raise the errors of `cloudo_kernel.errors`."""

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """List the flows of the workspace and the library by name; `q` must be part of name, title or a tag."""

    def flow(self, name: str) -> Flow:
        """Return one flow. Raises `FlowNotFound`, `NameInvalid`."""

    def kernels(self) -> tuple[Kernel, ...]:
        """List the kernels that flows can run in: `cloudo`, and the kernelspecs of the server's machine."""

    def create_flow(self, name: str, *, source: str | None = None, copy_of: str | None = None) -> Flow:
        """Create a flow of the workspace from a notebook's JSON text, or as a copy of another flow.

        Raises `FlowExists`, `NameInvalid`, `FlowNotFound` or `FlowBroken` (of `copy_of`), `MalformedRequest`.
        """

    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """Replace a flow's source, or move it. A flow of the library cannot be changed: copy it first.

        Raises `FlowNotFound`, `FlowExists`, `NameInvalid`, `MalformedRequest`, and `PermissionDenied` for the library.
        """

    def delete_flow(self, name: str) -> None:
        """Delete a flow of the workspace; its executions stay.

        Raises `FlowNotFound`, `NameInvalid`, and `PermissionDenied` for the library.
        """

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """Start an execution and return once it is safe on disk.

        The same `idempotency_key` of the same user within 24 hours returns the first call's execution.
        Source that is sent with the request takes the right to `script:run` in place of `execution:start`.
        Raises `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid`, `MalformedRequest`, `IdempotencyConflict`.
        """

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """List executions, newest first, without log, traceback and values above 4 KiB."""

    def execution(self, execution_id: str) -> Execution:
        """Return one whole record with the last 1,000 log lines. Raises `ExecutionNotFound`."""

    def execution_log(self, execution_id: str, *, limit: int = 500, cursor: str | None = None) -> Page[LogLine]:
        """Page through the log from its first line. Raises `ExecutionNotFound`."""

    def execution_notebook(self, execution_id: str) -> str:
        """Return the executed notebook, as far as it is, as JSON text.

        Raises `ExecutionNotFound`, `NotebookNotFound`.
        """

    def execution_source(self, execution_id: str) -> str:
        """Return exactly the source that the execution ran. Raises `ExecutionNotFound`."""

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """Block until the execution has ended, or `timeout` is over, and return its record as it is then."""

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """End an execution and its children.

        With `tree` all executions below it end, also those whose parents have ended in success, and it may have ended
        itself. Raises `ExecutionNotFound`, and `IllegalTransition` when there is nothing to end.
        """

    def pause_execution(self, execution_id: str) -> Execution:
        """Pause an execution: at once if it waits for something, before its next cell if it runs.

        A paused one holds no slot, and keeps its processes. Asking a running one twice changes nothing.
        Raises `ExecutionNotFound`, `WorkedOnByHand`, and `IllegalTransition` when it is paused already, or has ended.
        """

    def resume_execution(self, execution_id: str) -> Execution:
        """Let a paused execution go on where it was, or take the wish to pause it back.

        Raises `ExecutionNotFound`, `WorkedOnByHand`, and `IllegalTransition` when nobody has paused it.
        """

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Start an ended execution anew, as a new one: its flow as it is now, or the same script.

        Name, tags and time limit are kept; so are the inputs, unless others are given, which replace all of them.
        Raises `ExecutionNotFound`, `ExecutionNotEnded`, `FlowNotFound`, `FlowBroken`, `InputsInvalid`, and
        `WorkedOnByHand` for a notebook that was worked on by hand.
        """

    def delete_execution(self, execution_id: str) -> None:
        """Delete an ended execution with its log and its executed notebook.

        Raises `ExecutionNotFound`, `ExecutionNotEnded`.
        """

    def bulk_executions(self, request: BulkRequest) -> BulkOutcome:
        """Start many flows, or do the same to many executions, up to 500; return what became of each, in their order.

        Each is as if it were asked for alone: what one may not, or what cannot be, is in its item, and the others are
        done all the same. Starts are one commit.
        """

    def create_message(self, request: CreateMessage) -> Message:
        """Make a message; with a form it is an input request. Raises `FormInvalid`, `MalformedRequest`."""

    def messages(
        self,
        *,
        unanswered: bool = False,
        states: Sequence[MessageState] = (),
        execution_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Message]:
        """List messages, newest first, without forms and answers above 4 KiB.

        `unanswered` ones wait for an answer; `states` keeps those in one of them, none for all.
        """

    def message(self, message_id: str) -> Message:
        """Return one message. Protected answers show as `•••`. Raises `MessageNotFound`."""

    def answer_message(self, message_id: str, response: JsonObject) -> Message:
        """Answer an input request: values by the keys of its form. The first answer wins.

        Raises `ResponseInvalid`, naming the field, `MessageClosed` when it is answered, expired, withdrawn or asks
        for nothing, and `MessageNotFound`.
        """

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """Block until the message takes no answer any more, or `timeout` is over, and return it as it is then."""

    def delete_message(self, message_id: str) -> None:
        """Delete a message, open or not. Raises `MessageNotFound`, as who waits for its answer then gets, too."""

    def events(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        timeout: timedelta = timedelta(0),
        subject_id: str | None = None,
    ) -> Page[Event]:
        """Return events with an id above `after`, oldest first; with none there, wait for `timeout`.

        `after=None` means from now on. `next` of the page is the `after` of the next call.
        """

    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """Make a schedule: a durable rule that starts executions of one flow, as its maker.

        Raises `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid`, `MalformedRequest` about its times,
        `Conflict` when no time is left, and `NotConfirmed`
        for a moment in the past, or an interval below one second, that is not `confirmed`.
        """

    def schedules(
        self, *, flow_name: str | None = None, q: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[Schedule]:
        """List schedules, newest first; `q` must be part of the name, or of the flow's."""

    def schedule(self, schedule_id: str) -> Schedule:
        """Return one schedule with its next ten times. Raises `ScheduleNotFound`."""

    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """Return the next ten times of a trigger, and what is unusual about it. Nothing is saved.

        Raises `MalformedRequest` about its times.
        """

    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """Change a schedule in place; what has run and what runs is as it was.

        Raises what `create_schedule` raises, and `ScheduleNotFound`.
        """

    def pause_schedule(self, schedule_id: str) -> Schedule:
        """Let a schedule start nothing until it is resumed. Times that pass meanwhile are no occurrences.

        Raises `ScheduleNotFound`.
        """

    def resume_schedule(self, schedule_id: str) -> Schedule:
        """Let a paused schedule go on with its next time. Raises `ScheduleNotFound`, `Conflict` when none is left."""

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """Start an execution of the schedule now, out of turn: neither its times nor its limit change.

        Raises `ScheduleNotFound`, `FlowNotFound`, `FlowBroken`, `InputsInvalid`.
        """

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """Run the past times of a range for which nothing was started, in order, one after another.

        With `dry_run` nothing is started: the occurrences, without executions, are those that would be.
        Raises `ScheduleNotFound`, and `MalformedRequest` when they are more than 1,000, or the schedule has no past
        times.
        """

    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """List the times of a schedule that have come, newest first, each with what became of it.

        Raises `ScheduleNotFound`.
        """

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule and its occurrences; its executions stay. Raises `ScheduleNotFound`."""

    def create_webhook(self, request: CreateWebhook) -> Webhook:
        """Make a webhook: a public name under which an HTTP call starts a flow, as its maker.

        Raises `WebhookExists`, `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid` about the fixed inputs,
        and `MalformedRequest` about its signature.
        """

    def webhooks(self, *, flow_name: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[Webhook]:
        """List webhooks by name; keys are in no record."""

    def webhook(self, name: str) -> Webhook:
        """Return one webhook. Raises `WebhookNotFound`."""

    def change_webhook(self, name: str, request: ChangeWebhook) -> Webhook:
        """Change a webhook in place; from then on it acts for whoever changed it.

        Raises what `create_webhook` raises, and `WebhookNotFound`.
        """

    def delete_webhook(self, name: str) -> None:
        """Delete a webhook and its deliveries; its executions stay. Raises `WebhookNotFound`."""

    def deliveries(self, name: str, *, limit: int = 100, cursor: str | None = None) -> Page[Delivery]:
        """List the calls of a webhook, newest first, each with what became of it. Raises `WebhookNotFound`."""

    def replay_delivery(self, name: str, delivery_id: str) -> Execution:
        """Start again what a delivery started, with the same inputs, as a delivery of its own.

        Raises `WebhookNotFound`, `DeliveryNotFound`, what `start_execution` raises, and `Conflict` when it started
        nothing, or its execution was deleted.
        """

    def settings(self) -> tuple[Setting, ...]:
        """List the settings that were saved, and the names that are locked."""

    def setting(self, name: str) -> Setting:
        """Return a setting; a documented one that was not saved has its default, and no `modified_at`.

        What one user has otherwise is a setting of another name, `user.<name>.…`. Raises `SettingNotFound`.
        """

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """Save a setting, any JSON. Raises `SettingInvalid` when a documented one takes something else.

        The value of a secret is told to flows that run and to nobody else: others get `•••`. It stays a secret until
        it is saved with `secret=False`; saving `•••` leaves its value as it was.
        """

    def create_setting(self, name: str, value: Any, *, secret: bool = False) -> Setting:
        """Save a setting that is not there yet. Raises `SettingExists`, `SettingInvalid`."""

    def delete_setting(self, name: str) -> None:
        """Forget a setting: a documented one has its default again. Raises `SettingNotFound`."""

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """List the files in a folder of the workspace whose paths below it fit `glob`, without their content.

        `.cloudo/` is never among them. Raises `PathInvalid`, `NoSuchFile`, `TooLarge`.
        """

    def file(self, path: str, *, with_content: bool = True) -> File:
        """Return a file of the workspace. Raises `PathInvalid`, `NoSuchFile`, `TooLarge`."""

    def save_file(self, path: str, content: bytes) -> File:
        """Make a file of the workspace, or replace it as a whole. Raises `PathInvalid`, `TooLarge`."""

    def delete_file(self, path: str) -> None:
        """Delete a file of the workspace. Raises `PathInvalid`, `NoSuchFile`."""

    def create_token(self, request: CreateToken) -> CreatedToken:
        """Make an API token that acts as the caller; its `secret` is in this reply and nowhere else.

        Raises `MalformedRequest`, and `PermissionDenied` when it would have more rights than the caller.
        """

    def tokens(self, *, user_name: str | None = None) -> tuple[Token, ...]:
        """List the caller's tokens, newest first; those that have expired lately are among them.

        Administrators may name another user, or `*` for all.
        """

    def revoke_token(self, token_id: str) -> None:
        """Let a token of the caller open nothing any more, nor those that were made with it. Raises `TokenNotFound`.

        Administrators revoke those of others, too.
        """

    def user(self) -> User:
        """Return who is calling."""

    def health(self) -> Health:
        """Tell whether executions can be started and run, why not, and how many wait."""
