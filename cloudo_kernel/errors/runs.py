"""What happens to runs, waits and the store."""

from __future__ import annotations

from cloudo_kernel.errors.base import CloudoError


class StaleAttempt(CloudoError):
    """A report of an attempt that is no longer the current one. Nothing was changed."""

    code = "stale_attempt"

    def __init__(self, execution_id: str, attempt: int) -> None:
        super().__init__(
            f"Attempt {attempt} of the execution {execution_id} is not the current one; its report was ignored."
        )


class Unavailable(CloudoError):
    """The store or the server cannot be reached."""

    code = "unavailable"
    #: Whether the store has logged it: callers that retry log nothing.
    is_logged = False

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        #: Why, in words that anyone may read: without paths and values.
        self.reason = reason


class SecretLost(CloudoError):
    """A secret was sealed with another key than the one that is there, or the key is missing."""

    code = "secret_lost"

    def __init__(self, key_file: object, *, is_missing: bool = False) -> None:
        super().__init__(
            f"The key file {key_file} is missing, and the store holds secrets that were sealed with it. Put the file "
            'back from its backup. Without one these secrets are lost: see "A lost key" in docs/operations.md.'
            if is_missing
            else f"A secret of the store was sealed with another key than that in {key_file}. "
            "Put the key file back that belongs to this store, or save the secret anew."
        )


class DependencyFailedError(CloudoError):
    """A child did not succeed."""

    code = "dependency_failed"


class ReplayDiffers(CloudoError):
    """A durable flow was replayed, and made another call than the one that is recorded."""

    code = "replay_differs"

    def __init__(self, position: int, *, now: str, recorded: str) -> None:
        super().__init__(
            f"Call {position} of this replay is {now}; the record has {recorded}. A durable flow has to make the same "
            "calls each time: put what depends on time, chance or the world outside into this.step."
        )


class StepFailed(CloudoError):
    """A step raised, in an earlier attempt of this durable flow, an error whose type is not to be had any more."""

    code = "step_failed"

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"The step raised {name} in an earlier attempt: {text}")


class WaitTimeout(CloudoError):
    """A wait was over before what it waited for."""

    code = "wait_timeout"


class DependencyTimeoutError(WaitTimeout):
    """A wait for other executions was over before they had ended."""

    code = "dependency_timeout"


class MessageResponseTimeoutError(WaitTimeout):
    """An input request was not answered in time."""

    code = "message_response_timeout"


class ExecutionEnded(BaseException):
    """Stop the notebook here; raised by `this.success`, `this.error` and `this.end`."""
