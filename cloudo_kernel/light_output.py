"""What a run's kernel puts out: ipykernel's streams and the thread that sends, without an event loop for it."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import zmq
from ipykernel.iostream import BackgroundSocket, IOPubThread, OutStream

_log = logging.getLogger(__name__)


class LightStream(OutStream):
    """ipykernel's, except that it wakes the thread that sends only when there is something to send."""

    def flush(self) -> None:
        """Send what was written."""
        if self._buffers:
            super().flush()


class LightPublisher(IOPubThread):
    """ipykernel's, with a poller in place of an event loop; the socket for forked children is made for the first one.

    It is its own `io_loop`, as far as the streams use one. Linux only.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, session: Any) -> None:
        self.socket = socket
        self.session = session
        self.background_socket = BackgroundSocket(self)
        self.io_loop = self
        self._context = socket.context
        self._master_pid = os.getpid()
        self._pipe_flag = self._stopped = False
        self._events: deque[Callable[[], object]] = deque()
        self._wake = os.eventfd(0)
        #: When what is to be called, in the order of time; a number keeps two at the same time apart.
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._wake, zmq.POLLIN)
        self.thread = threading.Thread(target=self._serve, name="IOPub", daemon=True)
        os.register_at_fork(before=self._expect_child)

    def schedule(self, call: Callable[[], object]) -> None:
        """Call something in the thread that sends, or here where there is none, as in a forked child."""
        if self.thread.is_alive():
            self._events.append(call)
            os.eventfd_write(self._wake, 1)
        else:
            call()

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        """Call something later; to be used in the thread that sends."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), call))

    def stop(self) -> None:
        """Send what there is, and end."""
        self._stopped = True
        if self.thread.is_alive():
            os.eventfd_write(self._wake, 1)
            self.thread.join()

    def _serve(self) -> None:
        while not self._stopped:
            seconds = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else math.inf
            for source, _ in self._poller.poll(None if math.isinf(seconds) else math.ceil(seconds * 1000)):
                self._attend(source)
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._call(heapq.heappop(self._timers)[2])

    def _attend(self, source: Any) -> None:
        if source == self._wake:
            os.eventfd_read(self._wake)
            while self._events:
                self._call(self._events.popleft())
        elif source is self.socket:
            self._call(partial(self._handle_subscription, source.recv_multipart()))
        else:
            self._call(partial(self._handle_pipe_msg, source.recv_multipart()))

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 -- the thread has to go on with the next one
            _log.exception("An output could not be sent.")

    def _expect_child(self) -> None:
        """Have a socket for what forked children put out; called before each fork."""
        if self._pipe_flag or not self._is_master_process() or not self.thread.is_alive():
            return
        self._pipe_uuid = os.urandom(16)
        pipe = self._context.socket(zmq.PULL)
        pipe.linger = 0
        self._pipe_port = pipe.bind_to_random_port("tcp://127.0.0.1")
        self._pipe_flag = True
        self.schedule(partial(self._poller.register, pipe, zmq.POLLIN))
