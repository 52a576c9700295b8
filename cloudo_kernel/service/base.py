"""What every part of the service has: the store, the catalog, and who is calling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cloudo_kernel import settings
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.catalog import Catalog
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import Flow, FlowSource, Trigger
from cloudo_kernel.store import Store

#: A wait looks at the store at least this often, should the event tail miss something.
_LOOK_SECONDS = 5.0


class Base:
    """Over a store and a catalog, for one caller."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        *,
        user_name: str,
        trigger: Trigger = Trigger.API,
        parent_id: str | None = None,
        reserved_for: str | None = None,
        depth: int = 0,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._user_name = user_name
        self._trigger = trigger
        #: The execution whose children are started here.
        self._parent_id = parent_id
        #: The private worker that is to run what is started here.
        self._reserved_for = reserved_for
        #: How many executions are above what is started here.
        self._depth = depth

    def _is_offered(self, flow: Flow) -> bool:
        return flow.source is FlowSource.WORKSPACE or bool(self._setting(settings.LIBRARY_FALLBACK))

    def _setting(self, name: str) -> Any:
        """Return the value of a documented setting, as it is for the caller."""
        return self._store.settings.value(name, user_name=self._user_name)

    def _until(self, is_done: Callable[[], bool], timeout: timedelta | None) -> None:
        """Block until `is_done` or the timeout is over; it is asked again whenever events were committed."""
        woken = threading.Event()
        remove = self._store.tail.add_listener(woken.set)
        try:
            end = None if timeout is None else time.monotonic() + timeout.total_seconds()
            while not is_done():
                left = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
                if left <= 0:
                    return
                woken.wait(left)
                woken.clear()
        finally:
            remove()


def page_limit(limit: int) -> int:
    """Return the limit of a page. Raises `MalformedRequest`."""
    if not 1 <= limit <= PAGE_LIMIT:
        raise MalformedRequest(f"limit is a number from 1 to {PAGE_LIMIT}.", field="limit")
    return limit
