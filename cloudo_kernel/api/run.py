"""The verbs that only a running flow has: about itself, and about its children."""

# mypy: disable-error-code="empty-body"
# Verbs are declared without a body: classes that inherit them implement or derive them.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from cloudo_kernel.api.author import AuthorApi
from cloudo_kernel.api.verb import Verb, verb, verbs_of
from cloudo_kernel.models import Action, Execution, JsonObject, OwnClient, StartExecution, Status


class RunVerbs:
    """What a running flow asks of its worker, besides `AuthorApi`. A verb without an action is about the run itself."""

    @verb(Action.READ)
    def this(self) -> Execution:
        """Return the running execution's own record."""

    @verb(Action.READ)
    def now(self) -> float:
        """Return the time by the store's clock, in seconds since 1970."""

    @verb(Action.READ)
    def flow_source(self, name: str) -> str:
        """Return a flow's current source."""

    @verb(Action.READ)
    def own_client(self) -> OwnClient:
        """Return the names of the workspace and of the environment in which the flow runs."""

    @verb(Action.EXECUTION_START)
    def start_child(
        self, request: StartExecution, *, is_held: bool = False, init: JsonObject | None = None
    ) -> Execution:
        """Start a child, or with `is_held` only create it. `init` sets fields of it from the beginning."""

    @verb(Action.EXECUTION_START)
    def clone_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Create a held child that copies an execution, with the same inputs or with `inputs`."""

    @verb(Action.EXECUTION_WRITE)
    def release_execution(self, execution_id: str, after: Sequence[str] = ()) -> Execution:
        """Release a held execution: it runs now, or once all of `after` have succeeded. No effect if it is not held."""

    @verb(Action.EXECUTION_WRITE)
    def save_execution(self, execution_id: str, fields: JsonObject) -> Execution:
        """Change fields of a child."""

    @verb(writes=True)
    def log(self, text: str, *, level: str, at: float = 0.0) -> None:
        """Add a line to the log. It is in the socket to the worker when this returns.

        `at` is when the flow wrote it, in seconds since 1970 by this machine's clock. Without it, the worker's time
        counts.
        """

    @verb(writes=True)
    def save(self, **fields: Any) -> None:
        """Save `name`, `message` or `output_value` of the running execution."""

    @verb(writes=True)
    def set_output(self, key: str, value: Any, *, append: bool) -> None:
        """Save one output. With `append`, add the value to the existing list or text."""

    @verb(writes=True)
    def show(self, name: str, data: JsonObject, metadata: JsonObject) -> None:
        """Save a MIME bundle as the result `name`. It replaces an earlier result of the same name."""

    @verb(writes=True)
    def webhook_response(self, content: bytes, *, status: int, content_type: str) -> None:
        """Set the response to the webhook call that started this execution."""

    @verb(writes=True)
    def end(self, status: Status, message: str | None) -> None:
        """Set how the execution ends. The caller must stop the notebook then."""

    @verb(writes=True)
    def wait_for(
        self, ids: Sequence[str], *, first: bool = False, timeout: timedelta | None = None
    ) -> tuple[Execution, ...]:
        """Wait, without a slot, until all of `ids`, or with `first` one of them, have ended. Return the ended ones."""

    @verb(writes=True)
    def sleep_until(self, when: float, *, seconds: float | None = None) -> None:
        """Wait, without a slot, until `when`, in seconds since 1970. With `seconds`, no clock change prolongs it."""

    @verb(writes=True)
    def step_begin(self, name: str) -> JsonObject:
        """Begin a step. Return its `number`, whether it is done already (`is_done`), and its `result` or `error`."""

    @verb(writes=True)
    def step_done(self, number: int, result: Any) -> Any:
        """Record the result of the step, and return it."""

    @verb(writes=True)
    def step_failed(self, number: int, error: JsonObject) -> None:
        """Record the error that the step raised; see `flow_api.raised`."""

    @verb(writes=True)
    def acquire_lock(self, name: str, *, timeout: timedelta | None = None, call: str | None = None) -> bool:
        """Acquire the lock `name`, waiting without a slot. Return False if this execution holds it already.

        `call` identifies the call if the flow dies during it and repeats it.
        """

    @verb(writes=True)
    def release_lock(self, name: str) -> bool:
        """Release the lock `name`. Return False if this execution does not hold it."""


#: The verbs that a flow calls over its channel. It starts children with `start_child`, and waits with `wait_for`.
RUN_VERBS: Final[Mapping[str, Verb]] = {
    **{name: one for name, one in verbs_of(AuthorApi).items() if name not in ("start_execution", "wait")},
    **verbs_of(RunVerbs),
}
