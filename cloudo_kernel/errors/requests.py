"""Errors of invalid requests, and of callers without the permission."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors.base import CloudoError


class MalformedRequest(CloudoError):
    """A request that makes no sense as such: not JSON, a wrong type, an unknown or contradictory field."""

    code = "malformed"


class NotConfirmed(CloudoError):
    """What was asked for is unusual, and takes `confirmed` to say that it is meant."""

    code = "not_confirmed"

    def __init__(self, notes: Sequence[str]) -> None:
        super().__init__(f"{' '.join(notes)} If that is meant, say so with confirmed: true.", field="confirmed")


class InputsInvalid(CloudoError):
    """The inputs do not fit the schema of the flow."""

    code = "inputs_invalid"


class FormInvalid(CloudoError):
    """The body of a message is no form; `field` is the place in it."""

    code = "form_invalid"

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"The form cannot be used: {place!r} {what}.", field=place)


class ResponseInvalid(CloudoError):
    """An answer does not fit the form of the input request; `field` is the element's key."""

    code = "response_invalid"

    def __init__(self, key: str | None, what: str) -> None:
        super().__init__(f"The answer {what}." if key is None else f"{key!r} {what}.", field=key or "response")


class NameInvalid(CloudoError):
    """A name that cannot be the name of a flow."""

    code = "name_invalid"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} cannot be the name of a flow: {reason}.", field="name")


class PathInvalid(CloudoError):
    """A path that cannot be the path of a file in the workspace."""

    code = "path_invalid"

    def __init__(self, path: str, reason: str, *, field: str = "path") -> None:
        super().__init__(f"{path!r} cannot be the path of a file in the workspace: {reason}.", field=field)


class TooLarge(CloudoError):
    """More than is taken at once."""

    code = "too_large"


class BodyTooSlow(CloudoError):
    """A body that did not come as a whole in the time that it is waited for."""

    code = "too_slow"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The body has not come as a whole within {seconds:g} seconds. Send it again.")


class FlowBroken(CloudoError):
    """The flow exists but cannot be read as a notebook."""

    code = "flow_broken"

    def __init__(self, flow_name: str, reason: str) -> None:
        super().__init__(f"The flow {flow_name!r} is broken: {reason}. Open it, repair it, and start it again.")


class PermissionDenied(CloudoError):
    """The caller is known, but not allowed to do this."""

    code = "permission_denied"


class SettingInvalid(CloudoError):
    """A value that does not fit a documented setting."""

    code = "setting_invalid"

    def __init__(self, name: str, fits: str) -> None:
        super().__init__(f"The setting {name!r} takes {fits}.", field=name)
