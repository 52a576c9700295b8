"""Deletes expired records, and keeps the index of texts up to date, on threads of the worker."""

from __future__ import annotations

import time
from collections.abc import Callable

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Store

#: Interval between deletions of expired records.
_HOUSEKEEPING_SECONDS = 60.0
#: Interval between updates of the index of texts.
_TEXTS_SECONDS = 5.0


class Housekeeping:
    """The housekeeping of one worker. Any number of workers may do it at the same time."""

    def __init__(self, store: Store, delete_expired: Callable[[], None], *, private: bool) -> None:
        """Prepare the threads. A private worker leaves the index of texts to others, because it is short-lived."""
        self._store = store
        self._delete_expired = delete_expired
        deleting = Loop("housekeeping", self._delete, first_wait_seconds=_HOUSEKEEPING_SECONDS)
        indexing = Loop("text-index", self._update_texts, first_wait_seconds=_TEXTS_SECONDS)
        #: Its background threads.
        self.loops = (deleting,) if private else (deleting, indexing)

    def start(self) -> None:
        """Start the threads."""
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Let the current steps end, and wait for the threads."""
        for loop in self.loops:
            loop.stop()

    def _delete(self) -> float:
        self._delete_expired()
        return _HOUSEKEEPING_SECONDS

    def _update_texts(self) -> float:
        """Update the index of texts. While it is behind, updates take half of the time at most."""
        began = time.monotonic()
        is_behind = self._store.texts.update()
        return time.monotonic() - began if is_behind else _TEXTS_SECONDS
