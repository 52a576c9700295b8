"""Rate limits per caller, and the refused calls of webhooks."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudo_kernel.errors import CloudoError, TooManyCalls

if TYPE_CHECKING:
    from cloudo_kernel.service.webhook_calls import Note
    from cloudo_kernel.webhooks.request import DeliveryRequest

#: Maximum number of buckets. The least recently used one is dropped first.
_MAX_CALLERS = 10_000
#: More than a webhook's name may have.
_MAX_LETTERS = 120
#: Failures a minute of one caller at one name. Further ones get 429.
_MAX_FAILURES = 20
#: Maximum recorded calls of one webhook a minute that started nothing.
_MAX_NOTES_A_MINUTE = 60
_MAX_NOTES = 1000
_BATCH_SECONDS = 0.5


class RateLimiter:
    """Limits the calls of this process by webhook and caller. Thread-safe.

    Each caller has a token bucket, which refills evenly and from which each call takes one token.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: (name, caller) → (tokens left, time of that count).
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def check(self, name: str, caller: str, per_minute: int) -> None:
        """Count a call. Raises `TooManyCalls` if the caller exceeds `per_minute`."""
        now = self._clock()
        name = name[:_MAX_LETTERS]  # an unknown name can be as long as a URL
        with self._lock:
            left, since = self._buckets.pop((name, caller), (float(per_minute), now))
            left = min(float(per_minute), left + (now - since) * per_minute / 60)
            is_allowed = left >= 1
            self._buckets[name, caller] = (left - is_allowed, now)
            if len(self._buckets) > _MAX_CALLERS:
                self._buckets.popitem(last=False)
        if not is_allowed:
            raise TooManyCalls(math.ceil((1 - left) * 60 / per_minute))


class Refusals:
    """Refused webhook calls, counted by caller and name, and recorded in batches. Lives on the server's event loop.

    A wrong key costs no commit of its own, and callers cannot tell whether a webhook of the name exists.
    """

    def __init__(self, record: Callable[[Sequence[Note]], None]) -> None:
        """`record` is called with each batch."""
        self._record = record
        self._failures = RateLimiter()
        self._noted = RateLimiter()
        self._notes: list[Note] = []
        self._timer: asyncio.TimerHandle | None = None

    def count(self, name: str, address: str) -> int | None:
        """Count a failure. Return the seconds to wait if its caller has too many, else None."""
        try:
            self._failures.check(name, network(address), _MAX_FAILURES)
        except TooManyCalls as error:
            return error.retry_after_seconds
        return None

    def note(self, call: DeliveryRequest, reason: CloudoError | str, status_code: int) -> None:
        """Queue a call that started nothing for recording. Drops calls beyond the limits."""
        from cloudo_kernel.service.webhook_calls import Note

        if len(self._notes) >= _MAX_NOTES:
            return
        try:
            self._noted.check(call.webhook_name, "", _MAX_NOTES_A_MINUTE)
        except TooManyCalls:
            return
        bare = replace(call, path="", query=(), headers={}, url="", body=b"")
        self._notes.append(Note(bare, datetime.now(UTC), status_code, reason))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """Record the queued calls."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        notes, self._notes = self._notes, []
        if notes:
            self._record(notes)


def network(address: str, *, ipv4_bits: int = 32) -> str:
    """Return the network of an address that one caller may own, or `address` itself if it is not an IP address.

    Anyone who owns an IPv6 address owns at least 2**64 of them.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has no IP address
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return network(str(found.ipv4_mapped), ipv4_bits=ipv4_bits)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(ipaddress.ip_network((found, ipv4_bits), strict=False))
