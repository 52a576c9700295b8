"""The part of Cloudo that lives in one server process: store, catalog, worker, event feed, thread pool.

It imports them when it opens. SQLAlchemy alone takes 0.6 s, which would delay every start of a Jupyter server.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cloudo_extension.backend.batching import Batcher, Start, start_all
from cloudo_extension.backend.event_feed import EventFeed
from cloudo_extension.backend.metrics import Metrics
from cloudo_extension.backend.opening import build, check_key, with_loops
from cloudo_extension.backend.rate_limit import RateLimiter, Refusals, network
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import CloudoError, TooManyCalls, Unavailable
from cloudo_kernel.models import Execution, Health, Origin, Token, Webhook, event_types
from cloudo_kernel.processes.loop import Failures
from cloudo_kernel.security.permissions import Rights
from cloudo_kernel.workspace.layout import Workspace

if TYPE_CHECKING:
    from cloudo_kernel.service import Service
    from cloudo_kernel.service.webhook_calls import Answered, Note, Received, WebhookDeliveries
    from cloudo_kernel.store import Inserted, Store
    from cloudo_kernel.webhooks.request import DeliveryRequest
    from cloudo_kernel.worker.interactive_sessions import Sessions
    from cloudo_kernel.worker.worker import Worker
    from cloudo_kernel.workspace.catalog import Catalog

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Threads for store and catalog calls. More would only queue for the same disk.
_THREADS = 8
#: Delay between attempts to open a store that was unreachable when the server started.
_REOPEN_SECONDS = 2.0
#: Delay between opening the backend and calling `prepare`.
PREPARE_SECONDS = 5.0
#: How long the store may take to answer a health check.
_HEALTH_SECONDS = 10.0
_DENIAL_SECONDS = 60.0
_MAX_DENIALS = 1000
_MAX_ANONYMOUS_A_MINUTE = 30
_STOPPING = "The server is stopping. Try again when it is back."
_OPENING = "The store is being opened. Try again in a moment."


@dataclass(frozen=True)
class _Parts:
    """The parts of an open backend."""

    store: Store
    catalog: Catalog
    worker: Worker | None
    feed: EventFeed
    starts: Batcher[Start, Inserted]
    webhook_calls: WebhookDeliveries
    received: Batcher[DeliveryRequest, Received | Answered]
    healths: Batcher[None, Health]
    metrics: Metrics
    sessions: Sessions
    unlisten: Callable[[], None]


class Backend:
    """Opens on first use, so that a server leaves no trace in a folder where Cloudo is not used.

    All coroutines run on the server's event loop; blocking calls run on the backend's own threads.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        has_worker: bool,
        prepare: Callable[[], object] | None = None,
        **worker_options: Any,
    ) -> None:
        """Call `prepare` once on a thread, `PREPARE_SECONDS` after opening; pass `worker_options` to `Worker`."""
        self.workspace = workspace
        self.rate_limiter = RateLimiter()
        #: Limits the recorded refusals of anonymous callers, which could otherwise fill the store.
        self._anonymous = RateLimiter()
        #: Refused webhook calls.
        self.refusals = Refusals(self._record_refusals)
        self._has_worker = has_worker
        self._prepare = prepare
        self._worker_options = worker_options
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="cloudo")
        self._opening = asyncio.Lock()
        self._parts: _Parts | None = None
        self._is_closed = False
        #: The error of the last attempt to open the backend, if it failed.
        self._open_error: Exception | None = None
        self.health_failures = Failures("The health check")
        #: Retries opening a store that was unreachable when the server started.
        self._later: asyncio.Task[None] | None = None
        #: (subject id, route) → time from which a refusal is recorded again.
        self._denials: dict[tuple[str, str], float] = {}
        self._spawned: set[asyncio.Task[None]] = set()

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short blocking call on one of the backend's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))

    async def token(self, secret: str) -> Token | None:
        """Return the API token with this secret, or None if it is invalid. Raises `Unavailable`.

        A token found recently is not looked up again: the thread call would cost as much as starting an execution.
        """
        if self._parts is None and not self.workspace.state.is_dir():
            return None  # an anonymous caller must not open an unused workspace
        tokens = (await self.open()).store.tokens
        found = tokens.known(secret) or await self.call(tokens.find, secret)
        if found is not None and tokens.is_use_worth_noting(found):
            self.spawn(self.call(tokens.note_use, found.id))
        return found

    def note_denial(self, subject_type: str, subject_id: str, *, route: str, **details: Any) -> None:
        """Record that a known caller was refused, once a minute per subject and route."""
        now, key = time.monotonic(), (subject_id, route)
        if self._parts is None or now < self._denials.get(key, 0.0):
            return
        if len(self._denials) >= _MAX_DENIALS:
            self._denials.clear()
        self._denials[key] = now + _DENIAL_SECONDS
        self._add_event(event_types.PERMISSION_DENIED, subject_type, subject_id, **details)

    def note_anonymous(self, address: str, *, route: str, **details: Any) -> None:
        """Record that an unknown caller was refused, once a minute per network and route.

        Up to `_MAX_ANONYMOUS_A_MINUTE` are recorded in all, so that anonymous callers cannot fill the store. The
        server's log has every refusal.
        """
        if self._parts is None:
            return
        try:
            self._anonymous.check(route, network(address, ipv4_bits=24), 1)
            self._anonymous.check("", "", _MAX_ANONYMOUS_A_MINUTE)
        except TooManyCalls:
            return
        self._add_event(event_types.ACCESS_REFUSED, event_types.ADDRESS, address, user_name=None, **details)

    def _add_event(self, *event: str, **details: Any) -> None:
        if self._parts is not None:
            self.spawn(self.call(partial(self._parts.store.events.add, *event, **details)))

    async def service(self, user_name: str, trigger: Origin, rights: Rights) -> Service:
        """Return the service for one request. Opens the backend on the first. Raises `Unavailable`."""
        parts = await self.open()
        from cloudo_kernel.service import Service

        return Service(parts.store, parts.catalog, user_name=user_name, trigger=trigger, rights=rights)

    def service_of_parent(self, user_name: str, parent_id: str) -> Service:
        """Return the service for an interactive notebook. Executions it starts are children of `parent_id`."""
        from cloudo_kernel.service import Service

        if self._parts is None:
            raise Unavailable(_STOPPING)
        parts = self._parts
        return Service(parts.store, parts.catalog, user_name=user_name, trigger=Origin.FLOW, parent_id=parent_id)

    @property
    def is_used(self) -> bool:
        """Whether Cloudo has been used in this workspace."""
        return self._parts is not None or self.workspace.state.is_dir()

    async def webhook_calls(self) -> WebhookDeliveries:
        """Return the receiver of webhook calls."""
        return (await self.open()).webhook_calls

    async def receive(self, call: DeliveryRequest) -> Received | Answered:
        """Receive a webhook call, in one commit with concurrent calls."""
        return await (await self.open()).received.add(call)

    def _record_refusals(self, notes: Sequence[Note]) -> None:
        if self._parts is not None:
            self.spawn(self.call(self._parts.webhook_calls.note_all, notes))

    def _check_rate(self, webhook: Webhook, caller: str) -> None:
        if webhook.rate_limit is not None:
            self.rate_limiter.check(webhook.name, network(caller), webhook.rate_limit)

    async def sessions(self) -> Sessions:
        """Return the sessions of interactive notebooks."""
        return (await self.open()).sessions

    async def feed(self) -> EventFeed:
        """Return the process's event feed."""
        return (await self.open()).feed

    async def until_ended(self, read: Callable[[str], Execution], execution_id: str, seconds: float) -> Execution:
        """Return `read(execution_id)` once the execution has ended, `seconds` have passed or the server stops."""
        with (await self.feed()).subscribe(execution_id) as news:
            try:
                async with asyncio.timeout(seconds):
                    execution = await self.call(read, execution_id)
                    while not execution.is_ended and not news.is_closed:
                        event = await news.next()
                        if event is None or event.type in (event_types.EXECUTION_ENDED, event_types.EXECUTION_DELETED):
                            news.catch_up()
                            execution = await self.call(read, execution_id)
                    return execution
            except TimeoutError:
                return await self.call(read, execution_id)

    async def start(self, start: Start) -> Inserted:
        """Start an execution, in one commit with concurrent starts."""
        return await (await self.open()).starts.add(start)

    async def health(self) -> Health | None:
        """Return the service's health, or None while Cloudo is unused. Never opens the backend.

        Raises `Unavailable`.
        """
        if self._is_closed:
            raise _passing(_STOPPING, reason="the server is stopping")
        if self._parts is None and self._open_error is not None:
            raise self._open_error
        if self._parts is None and self._opening.locked():
            raise _passing(_OPENING, reason="the store is being opened")
        if self._parts is None:
            return None
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._parts.healths.add(None)
        except TimeoutError:
            silence = "the store does not answer"
            raise Unavailable(f"{silence.capitalize()}.", reason=silence) from None

    async def metrics(self) -> bytes:
        """Return the metrics as text, empty while Cloudo is unused. Never opens the backend. Raises `Unavailable`."""
        health = await self.health()
        if health is None or self._parts is None:
            return b""
        return await self.call(self._parts.metrics.text, health)

    async def is_needed(self) -> bool:
        """Return whether executions run here or a schedule is waiting for its next occurrence."""
        parts = self._parts
        if parts is None:
            return False
        return self.is_busy or await self.call(parts.store.schedules.next_look) is not None

    @property
    def is_busy(self) -> bool:
        """Whether executions run in this server."""
        return self._parts is not None and self._parts.worker is not None and not self._parts.worker.is_idle

    async def open(self) -> _Parts:
        """Create the workspace's folders, open the store and start the worker, once. Raises `Unavailable`."""
        if self._parts is None:
            async with self._opening:
                if self._is_closed:
                    raise Unavailable(_STOPPING)
                if self._parts is None:
                    try:
                        self._parts = await self._assemble()
                    except Exception as error:
                        self._open_error = error
                        raise
                    self._open_error = None
                    asyncio.get_running_loop().call_later(PREPARE_SECONDS, self._after_opening)
        return self._parts

    async def resume(self) -> None:
        """Open a previously used store without waiting for a request, so that its schedules run.

        Retries an unreachable store in the background until it opens.
        """
        try:
            await self.open()
        except Exception as error:  # noqa: BLE001 -- nothing else would retry
            _log.warning("Cannot open the store yet, retrying: %s", error)
            self._later = asyncio.create_task(self._open_later())

    async def _open_later(self) -> None:
        failures = Failures("Opening the store")
        while self._parts is None and not self._is_closed:
            await asyncio.sleep(_REOPEN_SECONDS)
            try:
                await self.open()
            except Exception as error:  # noqa: BLE001 -- nothing else would retry
                failures.note(error)
        failures.clear()

    def _after_opening(self) -> None:
        """Call `prepare`, check for the key and read the flows, when the first request is likely answered."""
        if self._prepare is not None and not self._is_closed:
            self._threads.submit(self._prepare)
        if self._parts is not None:
            self._threads.submit(check_key, self._parts.store)
            self._threads.submit(self._parts.catalog.listing)  # reading 5,000 flows the first time takes 2 s
        # Objects that exist by now are long-lived. Now and then, collecting them took a fifth of a second.
        gc.freeze()

    async def close(self) -> None:
        """End the waits, stop the worker, and close the store, in this order."""
        if self._later is not None:
            self._later.cancel()
        self.refusals.flush()
        async with self._opening:
            self._is_closed = True
            parts, self._parts = self._parts, None
        async with contextlib.AsyncExitStack() as steps:  # run in reverse order, each even if others raise
            steps.callback(self._threads.shutdown, wait=False)
            if parts is None:
                return
            steps.push_async_callback(self.call, parts.store.close)
            if parts.worker is not None:
                steps.push_async_callback(self.call, parts.worker.stop)
            steps.push_async_callback(self.call, parts.sessions.close)
            steps.callback(parts.unlisten)
            steps.callback(parts.feed.close)
            await asyncio.gather(*self._spawned, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background. Logs a failure and does not retry."""

        async def run() -> None:
            try:
                await work
            except CloudoError as error:
                _log.warning("A background task has failed", extra={"reason": str(error)})
            except Exception:  # noqa: BLE001 -- a background task has no caller
                _log.exception("A background task has failed")

        task = asyncio.create_task(run())
        self._spawned.add(task)  # the event loop keeps only a weak reference
        task.add_done_callback(self._spawned.discard)

    async def _assemble(self) -> _Parts:
        opening = partial(build, self.workspace, has_worker=self._has_worker, **self._worker_options)
        store, catalog, worker = await self.call(opening)

        from cloudo_kernel.service import Service
        from cloudo_kernel.service.webhook_calls import WebhookDeliveries
        from cloudo_kernel.worker.interactive_sessions import Sessions

        try:
            oldest = await self.call(store.events.newest_id)
            if worker is not None:
                await self.call(worker.start)
        except BaseException:
            await self.call(store.close)
            raise
        read = partial(store.events.after, limit=PAGE_LIMIT)
        feed = EventFeed(read, newest=lambda: max(oldest, store.tail.newest))
        calls = WebhookDeliveries(store, catalog, check_rate=self._check_rate)
        health = Service(store, catalog, user_name="").health
        sessions = Sessions(store, self.workspace.state)
        others = (sessions.loop, store.tail.loop)
        return _Parts(
            store,
            catalog,
            worker,
            feed,
            starts=Batcher(self.call, partial(start_all, store, catalog)),
            webhook_calls=calls,
            received=Batcher(self.call, calls.receive_all),
            # Health is public and has no rate limit, so concurrent requests share one check.
            healths=Batcher(self.call, lambda asking: [with_loops(health(), worker, others)] * len(asking)),
            metrics=await self.call(Metrics, store, worker),
            sessions=sessions,
            unlisten=store.tail.add_listener(feed.wake),
        )


def _passing(message: str, *, reason: str) -> Unavailable:
    """Return an error for a short phase of every server in which it cannot answer. It is not logged."""
    error = Unavailable(message, reason=reason)
    error.is_logged = True
    return error
