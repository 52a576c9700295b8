"""What every part of the service has: the store, the catalog, who is calling, and what they may."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
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
from cloudo_kernel.models import Flow, FlowSource, Trigger
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.models.versions import ANY_VERSION, version_of
from cloudo_kernel.scheduling import triggers
from cloudo_kernel.security.permissions import EVERYTHING, Rights
from cloudo_kernel.security.redaction import Redaction
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: A wait looks at the store at least this often, should the event tail miss something.
_POLL_INTERVAL_SECONDS = 5.0


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
        rights: Rights = EVERYTHING,
        redaction: Redaction | None = None,
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
        #: Each verb of `Api` asks them, once; what runs in the name of the caller then is the flow's business.
        self._rights = rights
        #: The secrets of the run that calls: what it starts, asks and saves does not show them.
        self.redaction = redaction or Redaction()

    # What belongs to a flow with which the caller has nothing to do is as if it were not there. Flows themselves are
    # refused by name: people choose the names, and know them.

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

    def unless_changed(
        self,
        versions: Collection[str],
        look: Callable[..., BaseModel],
        verb: Callable[..., T],
        name: str,
        *more: Any,
        **named: Any,
    ) -> T:
        """Call a verb about `name` if what `look` finds there has one of these versions. Raises `Outdated`.

        Looking and changing are one transaction: nobody comes in between. Flows are files, and so it goes for those
        who change them here, in any server of the store; an editor that saves one in this moment is not kept from it.
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
        """Return the value of a documented setting, as it is for the caller."""
        return self._store.settings.value(name, user_name=self._user_name)

    def _zone(self) -> ZoneInfo:
        """Return the caller's time zone, else the server's."""
        return triggers.zone(self._setting(settings.TIMEZONE) or triggers.local_zone_name())

    def _until(self, is_done: Callable[[], bool], timeout: timedelta | None) -> None:
        """Block until `is_done` or the timeout is over; it is asked again whenever events were committed."""
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
    """Return the limit of a page. Raises `MalformedRequest`."""
    try:
        size = int(canonical("integer", limit))
    except ValueError:
        size = 0
    if not 1 <= size <= PAGE_LIMIT:
        raise MalformedRequest(f"limit is a number from 1 to {PAGE_LIMIT}.", field="limit")
    return size


def id_cursor(cursor: str | None) -> str | None:
    """Return the cursor of a list of which it is the id of the last one. Raises `MalformedRequest`."""
    if cursor is not None and not _ID.fullmatch(cursor):
        raise not_a_cursor()
    return cursor


def not_a_cursor() -> MalformedRequest:
    """Return the error for a cursor that no page gave."""
    return MalformedRequest("cursor is what an earlier page gave as next.", field="cursor")
