"""Errors of webhook calls, and of calls to outside addresses."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors.base import CloudoError

#: Delay before a caller may retry. A fixed number, because the end of an execution cannot be predicted.
_RETRY_AFTER_SECONDS = 10


class SignatureInvalid(CloudoError):
    """The call is not signed as the webhook wants it."""

    code = "signature_invalid"


class MethodNotAllowed(CloudoError):
    """The webhook does not take this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"This webhook takes {' and '.join(allowed)}, not {method}.")
        self.allowed = tuple(allowed)


class ContentTypeRefused(CloudoError):
    """The body is of a kind that is not taken."""

    code = "unsupported_media_type"


class TooManyCalls(CloudoError):
    """The caller has to wait before it calls again."""

    code = "too_many_calls"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Too many calls. Try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class TooManyUnended(TooManyCalls):
    """The tree or the webhook already has as many unended executions as the setting allows."""

    code = "too_many_unended"

    def __init__(self, setting: str, most: int) -> None:
        which = "started by this webhook" if "webhook" in setting else "below the same root"
        CloudoError.__init__(
            self,
            f"{most:,} executions {which} have not ended, which is the most. Does a flow start itself without end? "
            f"If not, try again when some have ended, or raise the setting {setting}.",
        )
        self.retry_after_seconds = _RETRY_AFTER_SECONDS


class AddressRefused(CloudoError):
    """The address may not be called, because it is not on the public Internet."""

    code = "address_refused"

    def __init__(self, host: str, address: str) -> None:
        which = f"{host!r}" if host == address else f"{host!r} ({address})"
        super().__init__(
            f"{which} may not be called: it is an address of this machine, of a private network, or of no network. "
            "If that is meant, name its network in c.Cloudo.allowed_private_networks.",
            field="url",
        )
