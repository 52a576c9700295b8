"""Rate limits per caller: a token bucket each, which refills evenly and from which each call takes one token."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from cloudo_kernel.errors import TooManyCalls

#: Maximum number of buckets. The least recently used one is dropped first.
_MAX_CALLERS = 10_000
#: More than a webhook's name may have.
_MAX_LETTERS = 120


class RateLimiter:
    """Limits the calls of this process by webhook and caller. Thread-safe."""

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
