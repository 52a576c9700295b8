"""Errors of runs, waits, the store and the server."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors.base import CloudoError


class StaleAttempt(CloudoError):
    """The report's attempt is no longer the current one. Nothing was changed."""

    code = "stale_attempt"

    def __init__(self, execution_id: str, attempt: int) -> None:
        super().__init__(
            f"Attempt {attempt} of the execution {execution_id} is not the current one; its report was ignored."
        )


class Unavailable(CloudoError):
    """The store or the server cannot be reached."""

    code = "unavailable"
    #: Whether the store has logged it. If so, callers that retry do not log it again.
    is_logged = False
    #: When a client should try again.
    retry_after_seconds = 5

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        #: The cause, without paths and values, so that anyone may read it.
        self.reason = reason


class SecretLost(CloudoError):
    """The key file is missing, or is not the one that the secret was sealed with."""

    code = "secret_lost"

    def __init__(self, key_file: object, *, is_missing: bool = False) -> None:
        super().__init__(
            f"The key file {key_file} is missing, and the store holds secrets that were sealed with it, such as secret "
            "settings, hidden inputs and outputs, and keys of webhooks. Put the file back from its backup. "
            'Without one these secrets are lost: see "A lost key" in docs/operations.md.'
            if is_missing
            else f"A secret of the store was sealed with another key than that in {key_file}. "
            "Put the key file of this store back, or save the secret again."
        )


class DependencyFailedError(CloudoError):
    """A child did not succeed."""

    code = "dependency_failed"


class ReplayDiffers(CloudoError):
    """The replay of a durable flow made another call than the recorded one."""

    code = "replay_differs"

    def __init__(self, position: int, *, now: str, recorded: str) -> None:
        super().__init__(
            f"Call {position} of this replay is {now}; the record has {recorded}. A durable flow has to make the same "
            "calls each time: put code that depends on time, randomness or the outside world into this.step."
        )


class StepFailed(CloudoError):
    """A step raised an error in an earlier attempt of this durable flow, and its type cannot be recreated."""

    code = "step_failed"

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"The step raised {name} in an earlier attempt: {text}")


class WaitTimeout(CloudoError):
    """A wait timed out or was interrupted."""

    code = "wait_timeout"


class DependencyTimeoutError(WaitTimeout):
    """A wait for other executions timed out."""

    code = "dependency_timeout"


class WaitInterrupted(KeyboardInterrupt):
    """An interrupt ended the wait for executions of a flow, which continue."""

    def __init__(self, name: str, execution_ids: Sequence[str], *, system: str) -> None:
        """`system` is the expression for a `System` where the error is read."""
        if len(execution_ids) == 1:
            text = f"{name!r} continues. To cancel it: {system}.execution({execution_ids[0]!r}).cancel()"
        else:
            runs = f"{system}.executions(ids={list(execution_ids)})"
            text = (
                f"{len(execution_ids)} executions of {name!r} continue. To cancel them: for run in {runs}: run.cancel()"
            )
        super().__init__(f"Interrupted. {text}")


class MessageResponseTimeoutError(WaitTimeout):
    """An input request was not answered in time."""

    code = "message_response_timeout"


class ExecutionEnded(BaseException):
    """Stops the notebook. Raised by `this.success`, `this.error` and `this.end`."""
