"""The base class of every part of the service: the store, the catalog, the caller and the caller's rights."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from cloudo_kernel import settings
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import (
    ExecutionNotFound,
    MalformedRequest,
    MessageNotFound,
    Outdated,
    ResourceNotFoundError,
    ScheduleNotFound,
    WebhookNotFound,
)
from cloudo_kernel.models import Execution, Flow, FlowSource, Origin
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.models.versions import ANY_VERSION, version_of
from cloudo_kernel.scheduling import zones
from cloudo_kernel.security.permissions import EVERYTHING, Rights
from cloudo_kernel.security.redaction import Redaction
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import executed_notebook

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: Databases limit the length of a search text.
MAX_QUERY = 1_000
#: Poll interval of a wait, in case the event listener misses an event.
_POLL_INTERVAL_SECONDS = 5.0


class Base:
    """Hold the store, the catalog and the caller for all verbs."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        *,
        user_name: str,
        trigger: Origin = Origin.API,
        parent_id: str | None = None,
        reserved_for: str | None = None,
        depth: int = 0,
        rights: Rights = EVERYTHING,
        redaction: Redaction | None = None,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._user_name = user_name
        self._trigger = trigger
        #: The parent of the executions started here.
        self._parent_id = parent_id
        #: The private worker that runs the executions started here.
        self._reserved_for = reserved_for
        #: The number of ancestors of the executions started here.
        self._depth = depth
        #: Each verb of `Api` checks them once. They do not limit the flow that then runs in the caller's name.
        self._rights = rights
        #: The secrets of the calling run. They are masked in everything that it starts, asks or saves.
        self.redaction = redaction or Redaction()

    # If the rights do not cover a flow, its executions, schedules, messages and webhooks raise a "not found" error.
    # The flow itself raises `PermissionDenied`: people choose the names of flows, so a name is no secret.

    def _ask(self, verb: str) -> None:
        """Raise `PermissionDenied` unless the caller may use this verb of `Api`."""
        self._rights.check_verb(verb)

    def _ask_flow(self, verb: str, flow_name: str) -> None:
        """Raise `PermissionDenied` unless the caller may use this verb on the flow."""
        self._rights.check_verb(verb)
        self._rights.check_flow(flow_name)

    def _ask_execution(self, verb: str, execution_id: str) -> None:
        """Raise `PermissionDenied`, or `ExecutionNotFound`, unless the caller may use this verb on the execution."""
        self._rights.check_verb(verb)
        if self._rights.flows is not None and not self._rights.fits(self._store.owners.of_execution(execution_id)):
            raise ExecutionNotFound(execution_id)

    def _ask_schedule(self, verb: str, schedule_id: str) -> None:
        """Raise `PermissionDenied`, or `ScheduleNotFound`, unless the caller may use this verb on the schedule."""
        self._rights.check_verb(verb)
        if self._rights.flows is not None and not self._rights.fits(self._store.owners.of_schedule(schedule_id)):
            raise ScheduleNotFound(schedule_id)

    def _ask_message(self, verb: str, message_id: str) -> None:
        """Raise `PermissionDenied`, or `MessageNotFound`, unless the caller may use this verb on the message."""
        self._rights.check_verb(verb)
        if self._rights.flows is not None and not self._rights.fits(self._store.owners.of_message(message_id)):
            raise MessageNotFound(message_id)

    def _ask_webhook(self, verb: str, name: str) -> None:
        """Raise `PermissionDenied`, or `WebhookNotFound`, unless the caller may use this verb on the webhook."""
        self._rights.check_verb(verb)
        if self._rights.flows is not None and not self._rights.fits(self._store.webhooks.get(name).webhook.flow_name):
            raise WebhookNotFound(name)

    def _executed(self, execution: Execution) -> Path:
        """Return the path of the executed notebook, which may not exist.

        A killed worker may have written a notebook that the record does not name.
        """
        path = execution.notebook or executed_notebook(execution.flow_name, execution.id)
        return self._catalog.workspace.root / path

    def unless_changed(
        self,
        versions: Collection[str],
        look: Callable[..., BaseModel],
        verb: Callable[..., T],
        name: str,
        *more: Any,
        **named: Any,
    ) -> T:
        """Call `verb(name, …)` if the record that `look(name)` returns has one of these versions. Raises `Outdated`.

        The check and the change share one transaction, so no other change gets in between. Flows are files: this
        covers changes made through any server of the store, but not an editor that saves the file at the same moment.
        """
        with self._store.journal.together():
            try:
                version = version_of(look(name))
            except ResourceNotFoundError as error:
                raise Outdated from error
            if version not in versions and ANY_VERSION not in versions:
                raise Outdated
            return verb(name, *more, **named)

    def _is_offered(self, flow: Flow) -> bool:
        return flow.source is FlowSource.WORKSPACE or bool(self._setting(settings.LIBRARY_FALLBACK))

    def _setting(self, name: str) -> Any:
        """Return the caller's value of a documented setting."""
        return self._store.settings.value(name, user_name=self._user_name)

    def _zone(self) -> ZoneInfo:
        """Return the caller's time zone, else the server's."""
        return zones.zone(self._setting(settings.TIMEZONE) or zones.local_zone_name())

    def _until(self, is_done: Callable[[], bool], timeout: timedelta | None) -> None:
        """Block until `is_done()` is true or the timeout expires. Check again whenever events are committed."""
        woken = threading.Event()
        remove = self._store.tail.add_listener(woken.set)
        try:
            end = None if timeout is None else time.monotonic() + timeout.total_seconds()
            while not is_done():
                left = _POLL_INTERVAL_SECONDS if end is None else min(_POLL_INTERVAL_SECONDS, end - time.monotonic())
                if left <= 0:
                    return
                woken.wait(left)
                woken.clear()
        finally:
            remove()


def page_limit(limit: int) -> int:
    """Return the page size for `limit`. Raises `MalformedRequest` unless it is from 1 to `PAGE_LIMIT`."""
    try:
        size = int(canonical("integer", limit))
    except ValueError:
        size = 0
    if not 1 <= size <= PAGE_LIMIT:
        raise MalformedRequest(f"limit is a number from 1 to {PAGE_LIMIT}.", field="limit")
    return size


def id_cursor(cursor: str | None) -> str | None:
    """Return a cursor that is the id of the last item of a page. Raises `MalformedRequest` if it is not an id."""
    if cursor is not None and not _ID.fullmatch(cursor):
        raise not_a_cursor()
    return cursor


def not_a_cursor() -> MalformedRequest:
    """Return the error for an invalid cursor."""
    return MalformedRequest("cursor is what an earlier page gave as next.", field="cursor")
