"""`Api`: every verb of Cloudo, declared and documented once.

`Service` implements it in process, `Client` over HTTP. `RunApi` is its part `AuthorApi` from inside a running flow.
Dashboard, command line and flow authors' objects see nothing else.
"""

# mypy: disable-error-code="empty-body"
# Verbs are declared without a body: classes that inherit them implement or derive them.

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from cloudo_kernel import errors
from cloudo_kernel.api.author import AuthorApi
from cloudo_kernel.api.verb import Verb, verb, verbs_of
from cloudo_kernel.models import (
    Action,
    BulkOutcome,
    BulkRequest,
    ChangeWebhook,
    CreatedToken,
    CreatedWebhook,
    CreateToken,
    CreateWebhook,
    Delivery,
    Event,
    Execution,
    ExecutionActivity,
    ExecutionCells,
    ExecutionCount,
    ExecutionFilter,
    Flow,
    FlowActivity,
    JsonObject,
    Kernel,
    LogKind,
    LogPage,
    Message,
    MessagePreview,
    MessageState,
    OwnDashboard,
    Page,
    QueueState,
    ReadInputs,
    Setting,
    SettingDescription,
    SourceDiff,
    Token,
    Webhook,
    WebhookPreset,
    Worker,
)

__all__ = ["API_ROOT", "PAGE_LIMIT", "VERBS", "Api", "AuthorApi", "errors_of"]

#: The root of REST, below the base URL of the server.
API_ROOT = "cloudo/api/1"
#: Maximum number of items in one page of a list.
PAGE_LIMIT = 500
_QUOTED = re.compile(r"`(\w+)`")


class Api(AuthorApi):
    """All verbs of Cloudo. Every method may raise the errors of `cloudo_kernel.errors`."""

    @verb(Action.READ, "GET kernel")
    def kernels(self) -> tuple[Kernel, ...]:
        """List the kernels that flows can run in: `cloudo`, and the kernelspecs of the server's machine."""

    @verb(Action.READ, "POST inputs/yaml")
    def read_inputs(self, yaml: str) -> ReadInputs:
        """Read inputs of a flow from YAML, up to 16 KiB. Nothing is saved.

        Raises `MalformedRequest`, naming the line.
        """

    @verb(Action.READ, "GET dashboard", beyond_flows=True)
    def dashboards(self) -> tuple[OwnDashboard, ...]:
        """List people's own dashboards: the notebooks below `dashboards/` of the workspace, up to 500."""

    @verb(Action.READ, "GET flow/activity")
    def flow_activity(self, *, recent: int = 12, names: Sequence[str] = ()) -> tuple[FlowActivity, ...]:
        """Return the last executions of each flow, up to 50, their median duration and the next run, by name.

        Of `names` only, up to 500, if any are given; unknown ones are left out.
        """

    @verb(Action.READ, "GET execution/activity")
    def execution_activity(self, *, hours: int = 24) -> ExecutionActivity:
        """Count the executions that ended in each of the last hours, up to 744."""

    @verb(Action.FLOW_WRITE, "POST flow")
    def create_flow(self, name: str, *, source: str | None = None, copy_of: str | None = None) -> Flow:
        """Create a flow of the workspace from a notebook's JSON text, or as a copy of another flow.

        Raises `FlowExists`, `NameInvalid`, `FlowNotFound` or `FlowBroken` (of `copy_of`), `MalformedRequest`.
        """

    @verb(Action.FLOW_WRITE, "PATCH flow/{name:path}")
    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """Replace a flow's source, or move it. A flow of the library cannot be changed: copy it first.

        Raises `FlowNotFound`, `FlowExists`, `NameInvalid`, `MalformedRequest`, and `PermissionDenied` for the library.
        """

    @verb(Action.FLOW_WRITE, "DELETE flow/{name:path}")
    def delete_flow(self, name: str) -> None:
        """Delete a flow of the workspace. Its executions stay.

        Raises `FlowNotFound`, `NameInvalid`, and `PermissionDenied` for the library.
        """

    @verb(Action.READ, "GET execution/count")
    def execution_count(self, where: ExecutionFilter | None = None) -> ExecutionCount:
        """Count executions, in all and by status. The numbers are up to a second old."""

    @verb(Action.READ, "GET execution/{execution_id}/log")
    def execution_log(
        self,
        execution_id: str,
        *,
        limit: int = 500,
        cursor: str | None = None,
        tail: int | None = None,
        streams: bool = False,
        q: str | None = None,
        kind: LogKind | None = None,
    ) -> LogPage:
        """Page through the log from its first line, or return its last lines with `tail`, up to 5,000.

        With `streams` it also has the lines that the cells printed, each at the start of its cell.
        With `tail`, `q` and `kind` search the whole log: the last lines that contain the text and are of the kind.
        Raises `ExecutionNotFound`, `MalformedRequest`.
        """

    @verb(Action.READ, "GET execution/{execution_id}/cells")
    def execution_cells(self, execution_id: str, *, after: str | None = None, first: int = 0) -> ExecutionCells:
        """Return the cells of the executed notebook, from the index `first` on, as of its last save.

        If the version is still `after`, there are no cells in the reply.
        Raises `ExecutionNotFound`, and `NotebookNotFound` for a file that is not a notebook.
        """

    @verb(Action.READ, "GET execution/{execution_id}/notebook")
    def execution_notebook(self, execution_id: str) -> str:
        """Return the executed notebook as JSON text. During a run it holds the cells so far.

        Raises `ExecutionNotFound`, `NotebookNotFound`.
        """

    @verb(Action.READ, "GET execution/{execution_id}/source")
    def execution_source(self, execution_id: str) -> str:
        """Return the exact source that the execution ran. Raises `ExecutionNotFound`."""

    @verb(Action.READ, "GET execution/{execution_id}/source/diff")
    def source_diff(self, execution_id: str, against: str) -> SourceDiff:
        """Return the changes from the source of the execution `against` to that of this one, by cell.

        Raises `ExecutionNotFound`.
        """

    @verb(Action.EXECUTION_WRITE, "DELETE execution/{execution_id}")
    def delete_execution(self, execution_id: str) -> None:
        """Delete an ended execution with its log and its executed notebook.

        Raises `ExecutionNotFound`, `ExecutionNotEnded`.
        """

    @verb(None, "POST execution/bulk", writes=True)  # each item requires the action of its own verb
    def bulk_executions(self, request: BulkRequest) -> BulkOutcome:
        """Start up to 500 flows, or apply one action to up to 500 executions. Return the result of each, in order.

        `cancel`, `retry` and `delete` also take a filter, for up to 10,000 executions; the reply has the first 500.

        Items fail independently: the error of an item does not affect the others. Starts are one commit.
        """

    @verb(Action.READ, "GET message")
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

        `unanswered` selects open input requests; `states` selects messages in these states, by default in all.
        """

    @verb(Action.MESSAGE_WRITE, "POST message/{message_id}/response")
    def answer_message(self, message_id: str, response: JsonObject) -> Message:
        """Answer an input request: values by the keys of its form. The first answer wins.

        Raises `ResponseInvalid`, naming the field, `MessageClosed` if it is answered, expired, withdrawn or has no
        form, and `MessageNotFound`.
        """

    @verb(Action.READ, "POST message/{message_id}/preview")
    def preview_message(self, message_id: str, answers: JsonObject) -> MessagePreview:
        """Return the next times of the schedule that these answers would create. Nothing is saved.

        Raises `MessageNotFound`, and `MalformedRequest` about the trigger.
        """

    @verb(Action.MESSAGE_WRITE, "DELETE message/{message_id}")
    def delete_message(self, message_id: str) -> None:
        """Delete a message. Flows that wait for its answer get `MessageNotFound`. Raises `MessageNotFound`."""

    @verb(Action.READ, "GET event")
    def events(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        timeout: timedelta = timedelta(0),
        subject_id: str | None = None,
    ) -> Page[Event]:
        """Return events with an id above `after`, oldest first. Without any, wait for `timeout`.

        `after=None` selects future events. `next` of the page is the `after` of the next call.
        """

    @verb(Action.WEBHOOK_WRITE, "POST webhook")
    def create_webhook(self, request: CreateWebhook) -> CreatedWebhook:
        """Create a webhook: a public name at which an HTTP request starts a flow, as the webhook's creator.

        With `generate_key` this reply, and no other, holds its new `key`.
        Raises `WebhookExists`, `FlowNotFound`, `FlowBroken`, `NameInvalid`, `InputsInvalid` about the fixed inputs,
        and `MalformedRequest` about its signature, or if a key is to be generated that the sender issues.
        """

    @verb(Action.READ, "GET webhook")
    def webhooks(self, *, flow_name: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[Webhook]:
        """List webhooks by name. Records never hold keys."""

    @verb(Action.READ, "GET webhook/preset")
    def webhook_presets(self) -> tuple[WebhookPreset, ...]:
        """List the senders whose signatures Cloudo knows, with the defaults for their webhooks."""

    @verb(Action.READ, "GET webhook/{name}")
    def webhook(self, name: str) -> Webhook:
        """Return one webhook. Raises `WebhookNotFound`."""

    @verb(Action.WEBHOOK_WRITE, "PATCH webhook/{name}")
    def change_webhook(self, name: str, request: ChangeWebhook) -> CreatedWebhook:
        """Change a webhook in place. From then on it acts as the user who changed it.

        With `generate_key` this reply, and no other, holds its new `key`.

        Raises what `create_webhook` raises, and `WebhookNotFound`.
        """

    @verb(Action.WEBHOOK_WRITE, "DELETE webhook/{name}")
    def delete_webhook(self, name: str) -> None:
        """Delete a webhook and its deliveries. Its executions stay. Raises `WebhookNotFound`."""

    @verb(Action.READ, "GET webhook/{name}/delivery")
    def deliveries(self, name: str, *, limit: int = 100, cursor: str | None = None) -> Page[Delivery]:
        """List the deliveries of a webhook, newest first, each with its outcome. Raises `WebhookNotFound`."""

    @verb(Action.WEBHOOK_WRITE, "POST webhook/{name}/delivery/{delivery_id}/replay")
    def replay_delivery(self, name: str, delivery_id: str) -> Execution:
        """Start the execution of a delivery again, with the same inputs, as a new delivery.

        Raises `WebhookNotFound`, `DeliveryNotFound`, what `start_execution` raises, and `Conflict` if it started no
        execution, or its execution was deleted.
        """

    @verb(Action.READ, "GET setting/documented", beyond_flows=True)
    def documented_settings(self) -> tuple[SettingDescription, ...]:
        """List the settings that Cloudo reads, with their meaning, default, valid values and current value."""

    @verb(Action.READ, "GET worker", beyond_flows=True)
    def workers(self) -> tuple[Worker, ...]:
        """List the workers with a live lease."""

    @verb(Action.READ, "GET queue")
    def queue(self) -> QueueState:
        """Return the number of pending executions, and whether the queue is paused."""

    @verb(Action.SETTING_WRITE, "POST queue/pause")
    def pause_queue(self) -> QueueState:
        """Pause the queue: nothing starts until it is resumed, also after a restart. Running executions go on.

        Executions of a process without a server are not affected.
        """

    @verb(Action.SETTING_WRITE, "POST queue/resume")
    def resume_queue(self) -> QueueState:
        """Resume the queue."""

    @verb(Action.SETTING_WRITE, "POST setting")
    def create_setting(self, name: str, value: Any, *, secret: bool = False) -> Setting:
        """Save a new setting. Raises `SettingExists`, `SettingInvalid`."""

    @verb(Action.TOKEN_WRITE, "POST token")
    def create_token(self, request: CreateToken) -> CreatedToken:
        """Create an API token that acts as the caller. Only this reply holds its `secret`.

        Raises `MalformedRequest`, and `PermissionDenied` if it would have more rights than the caller.
        """

    @verb(Action.TOKEN_WRITE, "GET token")
    def tokens(self, *, user_name: str | None = None) -> tuple[Token, ...]:
        """List the caller's tokens, newest first, including recently expired ones.

        Administrators may name another user, or `*` for all.
        """

    @verb(Action.TOKEN_WRITE, "DELETE token/{token_id}")
    def revoke_token(self, token_id: str) -> None:
        """Revoke a token of the caller, and all tokens that were created with it. Raises `TokenNotFound`.

        Administrators can revoke tokens of other users, too.
        """


#: The verbs of `Api` by name.
VERBS: Final[Mapping[str, Verb]] = verbs_of(Api)


def errors_of(name: str) -> frozenset[type[errors.CloudoError]]:
    """Return the errors that a verb raises: those that its docstring names after the word "Raises".

    Where that names another verb, as in "what `create_schedule` raises", they include the errors of that one.
    """
    _, _, raises = VERBS[name].documentation.partition("Raises")
    found: set[type[errors.CloudoError]] = set()
    for word in _QUOTED.findall(raises):
        if word in VERBS and word != name:
            found |= errors_of(word)
        elif isinstance(kind := getattr(errors, word, None), type) and issubclass(kind, errors.CloudoError):
            found.add(kind)
    return frozenset(found)
