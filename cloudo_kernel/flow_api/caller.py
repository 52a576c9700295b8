"""Protocol for the channel over which a flow calls its worker."""

from __future__ import annotations

from typing import Any, Protocol


class Caller(Protocol):
    """The flow's end of a channel."""

    def call(self, verb: str, **arguments: Any) -> Any:
        """See `channel.Channel.call`."""

    def tell(self, verb: str, **arguments: Any) -> None:
        """See `channel.Channel.tell`."""
