"""Makes ids: UUIDv7 (RFC 9562), which sort by the time at which they were made."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a UUIDv7 as text; within one process each is greater than the one before, even if the clock goes back."""
    global _last  # noqa: PLW0603 -- the last one given out is what makes the next one greater
    with _lock:
        # Method 3 of RFC 9562, 6.2: 12 bits of a sub-millisecond fraction follow the milliseconds.
        _last = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        stamp = _last
    digits = f"{stamp:015x}{1 << 63 | int.from_bytes(os.urandom(8)) >> 2:016x}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[12:15]}-{digits[15:19]}-{digits[19:]}"
