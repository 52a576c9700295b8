"""Relays the requests of a widget's page to the kernel's own `Api`, and its events back. Knows no verb.

The page sends `{id, method, path, headers?, body?}` and gets `{id, status, headers, body}`; the path is below REST's
root. It sends `{id, events: {after}}` and gets `{id, events: […]}` until it sends `{id, close: true}`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.api.dispatch import Reply, dispatch
from cloudo_kernel.client import Client
from cloudo_kernel.errors import CloudoError, MalformedRequest, Unavailable
from cloudo_kernel.errors.http_status import status_of
from cloudo_kernel.models import JsonObject

_log = logging.getLogger(__name__)

#: Requests that are answered at once; further ones wait.
MAX_REQUESTS: Final = 4
#: Subscriptions of one widget. A page that was reloaded does not close its own, so the oldest one ends.
MAX_SUBSCRIPTIONS: Final = 4
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
#: Headers that pass, of requests and of replies.
_ASKED: Final = frozenset({"accept", "content-type", "idempotency-key", "if-match"})
_TOLD: Final = frozenset({"content-type", "etag", "location", "retry-after"})
#: Duration of one long poll: the longest time in which a thread does not notice that its widget is closed.
_POLL: Final = timedelta(seconds=5)
_BACK_OFF_SECONDS: Final = 1.0


class Relay:
    """Answers the messages of one widget on threads of its own, never on the kernel's main thread."""

    def __init__(self, api: Api, tell: Callable[[JsonObject], None]) -> None:
        """Call `tell` with each reply, from one thread at a time."""
        self._api = api
        self._tell_page = tell
        self._telling = threading.Lock()
        self._pool = ThreadPoolExecutor(MAX_REQUESTS, thread_name_prefix="cloudo-widget")
        #: The flag that ends each subscription, by the id of its request, oldest first.
        self._subscriptions: dict[str, threading.Event] = {}

    def hear(self, message: Any) -> None:
        """Take a message of the page. Returns at once, and ignores anything that is not a request."""
        if not isinstance(message, dict) or not isinstance(key := message.get("id"), str):
            return
        if message.get("close"):
            self._end(key)
        elif isinstance(wanted := message.get("events"), dict):
            self._subscribe(key, wanted.get("after"))
        elif "method" in message:
            self._pool.submit(self._answer, key, message)

    def close(self) -> None:
        """End all subscriptions, and the requests that nothing has answered yet."""
        for key in list(self._subscriptions):
            self._end(key)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, key: str, message: JsonObject) -> None:
        try:
            reply = self._asked(message)
        except CloudoError as error:
            reply = Reply(status_of(error), {}, {"error": error.payload})
        except Exception:  # noqa: BLE001 -- the page waits for a reply
            _log.exception("A widget's request has failed")
            error_body = {"code": "internal", "message": "Internal error. The kernel's log has the reason."}
            reply = Reply(HTTPStatus.INTERNAL_SERVER_ERROR, {}, {"error": error_body})
        self._tell({"id": key, "status": int(reply.status), "headers": reply.headers, "body": reply.body})

    def _asked(self, message: JsonObject) -> Reply:
        method, path = str(message["method"]).upper(), checked_path(message.get("path"))
        given = message.get("headers") or {}
        if method not in _METHODS or not isinstance(given, Mapping):
            raise MalformedRequest("The request has no known method, or no headers that can be read.")
        headers = {str(name).lower(): str(value) for name, value in given.items()}
        headers = {name: value for name, value in headers.items() if name in _ASKED}
        body = message.get("body")
        if not isinstance(self._api, Client):
            return dispatch(self._api, method, path, body, headers)
        if body is not None:
            headers["content-type"] = "application/json"
        sent = self._api.exchange(method, path, None if body is None else json.dumps(body), headers)
        is_json = sent.headers.get("content-type", "").startswith("application/json")
        told = {name: value for name, value in sent.headers.items() if name in _TOLD}
        return Reply(sent.status_code, told, sent.json() if is_json and sent.content else sent.text or None)

    def _subscribe(self, key: str, after: Any) -> None:
        while len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            self._end(next(iter(self._subscriptions)))
        ended = self._subscriptions[key] = threading.Event()
        start = after if isinstance(after, int) else None
        threading.Thread(target=self._follow, args=(key, start, ended), name="cloudo-events", daemon=True).start()

    def _follow(self, key: str, after: int | None, ended: threading.Event) -> None:
        """Send events until the subscription ends. An unreachable server is asked again, from the same place."""
        while not ended.is_set():
            try:
                timeout = timedelta(0) if after is None else _POLL
                page = self._api.events(after=after, limit=PAGE_LIMIT, timeout=timeout)
            except Unavailable:
                ended.wait(_BACK_OFF_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001 -- the thread has no caller
                _log.warning("The events of a widget have ended", extra={"reason": str(error)})
                return
            after = int(page.next or 0)
            if page.items and not ended.is_set():
                self._tell({"id": key, "events": [event.model_dump(mode="json") for event in page.items]})

    def _end(self, key: str) -> None:
        if (ended := self._subscriptions.pop(key, None)) is not None:
            ended.set()

    def _tell(self, message: JsonObject) -> None:
        with self._telling:
            self._tell_page(message)


def checked_path(path: Any) -> str:
    """Return the path if it stays below REST's root. Raises `MalformedRequest`."""
    text = path if isinstance(path, str) else ""
    address = text.partition("?")[0]
    is_outside = any(unquote(part) in ("", ".", "..") for part in address.split("/"))
    if is_outside or not text.isascii() or not text.isprintable() or set(text) & set("\\# "):
        raise MalformedRequest(f"{text[:200]!r} is not a path below cloudo/api/1/.", field="path")
    return text
