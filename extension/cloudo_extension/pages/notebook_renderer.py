"""Renders notebooks in separate processes, so that a large or hostile one cannot slow or stop the server.

One process has everything imported. It forks a child for each page, which writes the page into a socket as fast as its
reader takes it. Run as a module, this file is that process: it starts with the first page, and ends when it is idle for
a while or the server ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NoReturn

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.processes import iri_grammar

#: Pages that are rendered at once. Others wait up to `_PART_SECONDS`, the timeout for a part of a page.
_MAX_PAGES = 4
_PART_SECONDS = 60.0
#: Maximum time to read a page, regardless of its size and the speed of its reader.
_PAGE_SECONDS = 600.0
_CPU_SECONDS = 300
_IDLE_SECONDS = 300.0
_PIECE_BYTES = 1 << 16

#: The end of a complete page. Any other page was cut off.
_END = b"</html>\n"
_REMAINDER_MISSING = (
    "<p class='note'>The rest of this notebook cannot be shown. Open it in JupyterLab.</p></main></body></html>\n"
)


class Renderer:
    """Renders notebooks as pages."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_MAX_PAGES)
        #: Guards the process and the socket to it.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    async def render(self, notebook: str, *, lab_url: str = "") -> AsyncGenerator[bytes, None]:
        """Yield a page for a notebook's JSON text, part by part as the caller takes them.

        Raises `Unavailable` if nothing can be rendered within a minute. If rendering fails later, a note ends the
        page.
        """
        try:
            await asyncio.wait_for(self._slots.acquire(), _PART_SECONDS)
        except TimeoutError:
            raise Unavailable("Too many notebooks are being rendered. Try again in a minute.") from None
        try:
            async with aclosing(self._parts(f"{lab_url}\n{notebook}".encode("utf-8", "replace"))) as parts:
                async for part in parts:
                    yield part
        finally:
            self._slots.release()

    def close(self) -> None:
        """End the process; its children end with their sockets."""
        with self._lock:
            self._end()

    async def _parts(self, message: bytes) -> AsyncGenerator[bytes, None]:
        end, deadline = b"", asyncio.get_running_loop().time() + _PAGE_SECONDS
        for _ in range(2):  # retry if the idle process ends just now
            ours = await asyncio.to_thread(self._child)
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                with contextlib.suppress(OSError):  # it died; the read below notices
                    writer.write(message)
                    writer.write_eof()
                while part := await _next(reader, deadline):
                    yield part
                    end = (end + part)[-len(_END) :]
            except TimeoutError:
                break
            finally:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            if end:
                break
        if not end:
            raise Unavailable("This notebook cannot be shown as a page. Open it in JupyterLab.")
        if end != _END:
            yield _REMAINDER_MISSING.encode()

    def _child(self) -> socket.socket:
        """Let the process fork a child, and return the socket to the child."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            for _ in range(2):
                with contextlib.suppress(OSError):  # it has ended
                    socket.send_fds(self._running(), [b"."], [theirs.fileno()])
                    return ours
                self._end()
        ours.close()
        raise Unavailable("The process that renders notebooks cannot be started.")

    def _running(self) -> socket.socket:
        """Return the socket to the process. Starts a new process if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._socket is None:
            self._socket, theirs = socket.socketpair()
            with theirs:
                # -P: the server's folder holds the user's files, which must not shadow modules.
                command = [sys.executable, "-P", "-m", "cloudo_extension.pages.notebook_renderer"]
                self._process = subprocess.Popen(command, stdin=theirs.fileno())
        return self._socket

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def _next(reader: asyncio.StreamReader, deadline: float) -> bytes:
    """Return the available bytes of the page, empty at its end. Raises `TimeoutError` if none arrive in time."""
    left = deadline - asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(_PIECE_BYTES), min(left, _PART_SECONDS))
    return b""


def main() -> None:
    """Fork a child for each socket received on standard input, until that closes or is idle."""
    iri_grammar.leave_out()
    from cloudo_extension.pages.notebook_html import page

    page('{"cells": [{"cell_type": "code", "source": "1", "outputs": [], "metadata": {}}], "metadata": {}}')
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need not be reaped
    with socket.socket(fileno=os.dup(0)) as server:
        while select.select([server], [], [], _IDLE_SECONDS)[0]:
            word, descriptors, _flags, _address = socket.recv_fds(server, 1, 1)
            if not word:
                return
            for descriptor in descriptors:
                if os.fork() == 0:
                    server.close()
                    _serve(descriptor)
                os.close(descriptor)


def _serve(descriptor: int) -> NoReturn:
    """Read a notebook from the socket, write its page to the socket, and exit."""
    from cloudo_extension.pages.notebook_html import parts

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # an open copy would hide the end of the main process from the server
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()
    try:
        with socket.socket(fileno=descriptor) as client, client.makefile("rb") as stream:
            lab_url, _, notebook = stream.read().decode().partition("\n")
            for part in parts(notebook, lab_url=lab_url):
                client.sendall(part.encode("utf-8", "replace"))
    finally:
        os._exit(0)


def _end_with(descriptor: int) -> None:
    """Exit this process when the reader disconnects, whatever it is doing."""
    poll = select.poll()
    poll.register(descriptor, 0)  # poll always reports a hang-up
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main()
