"""What is wrong with the call of a webhook, or with a call of an address outside."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors.base import CloudoError


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


class AddressRefused(CloudoError):
    """An address that may not be called: it is not of the public Internet."""

    code = "address_refused"

    def __init__(self, host: str, address: str) -> None:
        which = f"{host!r}" if host == address else f"{host!r} ({address})"
        super().__init__(
            f"{which} may not be called: it is an address of this machine, of a private network, or of no network. "
            "If that is meant, name its network in c.Cloudo.allowed_private_networks.",
            field="url",
        )
