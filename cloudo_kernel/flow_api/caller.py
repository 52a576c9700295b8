"""The end of a channel from which a flow calls its worker."""

from __future__ import annotations

from typing import Any, Protocol


class Caller(Protocol):
    """The end of a channel from which the flow calls."""

    def call(self, verb: str, **arguments: Any) -> Any:
        """See `channel.Channel.call`."""

    def tell(self, verb: str, **arguments: Any) -> None:
        """See `channel.Channel.tell`."""
