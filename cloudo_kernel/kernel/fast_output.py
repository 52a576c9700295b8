"""The output of a forked kernel: its streams, and its sending thread without an event loop."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import queue
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import zmq
from ipykernel.iostream import BackgroundSocket, IOPubThread

from cloudo_kernel.kernel.app import PIPE_BYTES, WholeStream

_log = logging.getLogger(__name__)
#: Maximum number of queued outputs. A cell that writes faster than the runner receives has to wait.
_MAX_CALLS = 10_000
_WAIT_SECONDS = 0.01
#: How long to wait for the last outputs when the kernel ends.
_STOP_SECONDS = 30.0
#: Updates of a line are sent at this interval, or before anything else is sent. With one message each,
#: `tqdm(range(3_000_000), mininterval=0)` took more than 100 s.
_UPDATE_SECONDS = 0.05
#: Up to this many updates in that time are sent unchanged.
_MAX_SEPARATE_UPDATES = 10
#: Control sequences that do more than set the colour.
_MOVE = re.compile(r"\x1b\[[0-9;?]*[^0-9;?m]")


class FastStream(WholeStream):
    """A stream that wakes the sending thread only when there is output to send.

    That includes the output that other processes wrote to the descriptor. Without it, the end of their cell came first
    in one of six runs, and the output was lost.
    Updates of a line that are flushed one by one are joined; `FastPublisher` keeps their order among other messages.
    """

    #: Whether the text since the last message is known to have a carriage return.
    _is_update = False
    #: The number of deferred flushes since then.
    _put_off = 0
    _sent_at = 0.0

    def flush(self) -> None:
        """Send the output, including that of the descriptor; defer an update of a line, to join it with later ones."""
        is_master = self._is_master_process()
        if is_master and time.monotonic() - self._sent_at < _UPDATE_SECONDS and self._has_update():
            self._put_off += 1
            self.pub_thread.put_off.add(self)
            return
        if self._should_watch and is_master:
            self._take()
        if self._buffers:
            super().flush()

    def _has_update(self) -> bool:
        # Not in `write`: one more Python function made 100,000 prints 10 % slower.
        if not self._is_update:
            with self._buffer_lock:
                self._is_update = any("\r" in buffer.getvalue() for buffer in self._buffers.values())
        return self._is_update

    def flush_now(self) -> None:
        """Send deferred output."""
        super().flush()

    def _flush(self) -> None:
        self.pub_thread.put_off.discard(self)
        self._sent_at = time.monotonic()
        super()._flush()

    def _flush_buffers(self) -> Iterator[tuple[dict[str, Any], str]]:
        is_joined, self._put_off, self._is_update = self._put_off > _MAX_SEPARATE_UPDATES, 0, False
        for parent, text in super()._flush_buffers():
            yield parent, without_overwritten(text) if is_joined else text

    def _setup_stream_redirects(self, name: str) -> None:
        self._reading = threading.Lock()
        super()._setup_stream_redirects(name)

    def _watch_pipe_fd(self) -> None:
        """Read from the descriptor, on its own thread."""
        poller = select.poll()
        poller.register(self._fid, select.POLLIN)
        with suppress(OSError):
            while self._should_watch:
                poller.poll()
                if self._should_watch and self._take() == b"":  # no process can write there any more
                    return

    def _take(self) -> bytes | None:
        """Write the bytes that the descriptor has to this stream; return them, or None without any.

        The lock makes sure that bytes read by another thread are written when this returns.
        """
        with self._reading:
            if not select.select([self._fid], [], [], 0)[0]:
                return None
            taken = os.read(self._fid, PIPE_BYTES)
            self._write_bytes(taken)
            return taken


def without_overwritten(text: str) -> str:
    """Return the text without updates of a line that a later one covers, as JupyterLab would show it."""
    if _MOVE.search(text):
        return text
    return "\n".join(map(_last_updates, text.split("\n")))


def _last_updates(line: str) -> str:
    first, *updates = line.split("\r")  # the first one continues the text sent before
    kept: list[str] = []
    for update in reversed(updates):
        if not kept or len(update) > len(kept[-1]):
            kept.append(update)
    return "\r".join([first, *reversed(kept)])


class FastPublisher(IOPubThread):
    """ipykernel's publisher with a queue instead of an event loop, and a socket for forked children once there are any.

    The cell does not wait for it: messages of a short cell are sent together while the kernel waits for the next cell.
    It is its own `io_loop`, with the methods that the streams use.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, session: Any) -> None:
        self.socket = socket
        self.session = session
        self.background_socket = BackgroundSocket(self)
        self.io_loop = self
        self._context = socket.context
        self._master_pid = os.getpid()
        self._pipe_flag = False
        #: The calls for the thread to make; None ends it.
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        #: Streams with deferred updates.
        self.put_off: set[FastStream] = set()
        #: A heap of the later calls with their times; a number orders calls of the same time.
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self.thread = threading.Thread(target=self._send, name="IOPub", daemon=True)
        os.register_at_fork(before=self._expect_child)

    def schedule(self, call: Callable[[], object]) -> None:
        """Run `call` on the sending thread, or here if it is not alive, as in a forked child."""
        if not self.thread.is_alive():
            call()
            return
        while self._calls.qsize() > _MAX_CALLS and threading.current_thread() is not self.thread:
            time.sleep(_WAIT_SECONDS)
        self._calls.put(call)

    def send_multipart(self, *args: Any, **kwargs: Any) -> None:
        """Send a message after the deferred output of streams; `_flush` also calls this, on the sending thread."""
        if self.put_off and threading.current_thread() is not self.thread:
            self._send_put_off()
        super().send_multipart(*args, **kwargs)

    def _send_put_off(self) -> None:
        for stream in tuple(self.put_off):
            stream.flush_now()

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        """Run `call` after `seconds`; may only be used on the sending thread."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), call))

    def stop(self) -> None:
        """Send all queued output and end, waiting up to 30 s."""
        self._calls.put(None)
        self.thread.join(_STOP_SECONDS)

    def _send(self) -> None:
        # The runner is the only subscriber. Output before its subscription would be lost.
        self._handle_subscription(self.socket.recv_multipart())
        while (call := self._next()) is not None:
            try:
                call()
            except Exception:  # noqa: BLE001 -- the next output must still be sent
                _log.exception("An output could not be sent.")

    def _next(self) -> Callable[[], object] | None:
        if not self._timers:
            return self._calls.get()
        seconds = self._timers[0][0] - time.monotonic()
        if seconds > 0:
            with suppress(queue.Empty):
                return self._calls.get(timeout=seconds)
        return heapq.heappop(self._timers)[2]

    def _expect_child(self) -> None:
        """Send deferred output and open a socket for the output of forked children; called before each fork."""
        if not self._is_master_process():
            return
        self._send_put_off()
        if self._pipe_flag:
            return
        self._pipe_uuid = os.urandom(16)
        pipe = self._context.socket(zmq.PULL)
        self._pipe_port = pipe.bind_to_random_port("tcp://127.0.0.1")
        self._pipe_flag = True
        threading.Thread(target=self._listen, args=(pipe,), name="cloudo-children", daemon=True).start()

    def _listen(self, pipe: zmq.Socket[bytes]) -> None:
        while True:
            self._handle_pipe_msg(pipe.recv_multipart())
