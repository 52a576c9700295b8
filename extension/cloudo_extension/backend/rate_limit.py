"""How often a caller may call: a bucket for each, which fills evenly and from which each call takes one."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from cloudo_kernel.errors import TooManyCalls

#: Callers that are remembered; the one that has been quiet for longest is forgotten first.
_MAX_CALLERS = 10_000
#: More than the name of a webhook has.
_MAX_LETTERS = 120


class RateLimiter:
    """Counts the calls of this process by webhook and caller. May be used from several threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: Who calls what → what is in the bucket, and when that was so.
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def check(self, name: str, caller: str, per_minute: int) -> None:
        """Count a call. Raises `TooManyCalls` when its caller has made as many as it may."""
        now = self._clock()
        name = name[:_MAX_LETTERS]  # an unknown name can be as long as an address
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
    """Return the network of an address that one caller may have to themselves, the address itself if it is none.

    Whoever has one address of IPv6 has at least 2 to the power of 64.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return network(str(found.ipv4_mapped), ipv4_bits=ipv4_bits)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(ipaddress.ip_network((found, ipv4_bits), strict=False))
