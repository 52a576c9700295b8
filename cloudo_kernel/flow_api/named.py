"""The user and the client (the workspace), for flow authors."""

from __future__ import annotations

from cloudo_kernel.errors import MalformedRequest


class Named:
    """A user, or the client, which is the workspace."""

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    def get(self, field: str) -> str:
        """Return a field. The only one is `name`."""
        if field != "name":
            raise MalformedRequest(f"A {self._kind} has no field {field!r}; it has name.", field=field)
        return self._name

    def __repr__(self) -> str:
        return f"<{self._kind.capitalize()} {self._name!r}>"
