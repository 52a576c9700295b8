"""Renders notebooks in a process of its own, so that a large or hostile one cannot slow or stop the server.

The process is started at the first page, ends when nobody asked it for a while, and with the server.
Run as a module this file is that process.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from cloudo_kernel.errors import Unavailable

_RENDER_SECONDS = 60.0
_IDLE_SECONDS = 300.0
#: Before each message, in both directions: its length in bytes.
_LENGTH = struct.Struct(">Q")


class Renderer:
    """Turns notebooks into pages, one at a time."""

    def __init__(self) -> None:
        # One thread, because there is one process; it blocks while the process works.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cloudo-renderer")
        self._process: subprocess.Popen[bytes] | None = None

    async def render(self, notebook: str) -> str:
        """Return a page for a notebook's JSON text. Raises `Unavailable` when that takes more than a minute."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._render, notebook)

    def close(self) -> None:
        """End the process."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._process is not None:
            _end(self._process)

    def _render(self, notebook: str) -> str:
        message = notebook.encode("utf-8", "replace")
        is_given_up = threading.Event()
        for _ in range(2):  # the process may end of idleness just now
            reply = _ask(self._running(), message, is_given_up)
            if reply is not None:
                return reply.decode()
            if is_given_up.is_set():
                break
        raise Unavailable("This notebook could not be made into a page. Open it in JupyterLab.")

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process, a new one if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            _end(self._process)
            self._process = None
        if self._process is None:
            # -P: the server's folder holds the user's files, none of which may stand in for a module.
            command = [sys.executable, "-P", "-m", "cloudo_extension.rendering"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._process


def _ask(process: subprocess.Popen[bytes], message: bytes, is_given_up: threading.Event) -> bytes | None:
    """Return the reply; None when the process ended before, of itself or, as `is_given_up`, when its time was over."""

    def give_up() -> None:
        is_given_up.set()
        process.kill()

    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(_RENDER_SECONDS, give_up)
    watchdog.start()
    reply = None
    with contextlib.suppress(OSError):
        _send(process.stdin, message)
        reply = _receive(process.stdout)
    watchdog.cancel()
    if reply is None:
        process.kill()
        process.wait()
    return reply


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # what was still to be sent has no reader any more
                stream.close()


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(_LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    """Return the next message, None when the other side has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = stream.read(length)
    return message if len(message) == length else None


def main() -> None:
    """Render what comes on standard input, until it ends or nothing comes."""
    from cloudo_extension.notebook_page import page

    while sys.platform == "win32" or select.select([sys.stdin], [], [], _IDLE_SECONDS)[0]:
        message = _receive(sys.stdin.buffer)
        if message is None:
            return
        _send(sys.stdout.buffer, page(message.decode()).encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
