"""Sends one request again and again over several connections, and prints how long the replies took, as JSON.

It is a process of its own and knows just enough HTTP: a client with all comforts would take more of the machine
than the server that is measured. Standard input gives the request as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Final

#: Where a header has it, the number of the request.
NUMBER: Final = b"{number}"


class Caller(asyncio.Protocol):
    """One connection, which sends the next request when it has the reply to the last one."""

    def __init__(self, request: bytes, numbers: Iterator[int], *, until: float, status: bytes) -> None:
        self._request = request
        self._numbers = numbers
        self._until = until
        self._status = status
        self._received = b""
        #: How long each reply took, in seconds.
        self.times: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, received: bytes) -> None:
        self._received += received
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        now = time.perf_counter()
        self.times.append(now - self._sent_at)
        if head.split(b" ", 2)[1] != self._status:
            self.done.set_exception(RuntimeError(self._received.decode()))
        elif now < self._until:
            self._received = b""
            self._send()
        else:
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("The server closed the connection."))

    def _send(self) -> None:
        request = self._request.replace(NUMBER, b"%d" % next(self._numbers), 1)
        self._sent_at = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


async def load(
    port: int,
    *,
    method: str,
    path: str,
    headers: dict[str, str],
    body: str,
    status: int,
    connections: int,
    seconds: float,
) -> dict[str, float]:
    """Return requests per second, and the median and the 99th percentile of the times in milliseconds."""
    lines = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body.encode())), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    request = f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode()
    loop, begun, numbers = asyncio.get_running_loop(), time.perf_counter(), itertools.count()

    def caller() -> Caller:
        return Caller(request, numbers, until=begun + seconds, status=str(status).encode())

    callers = [(await loop.create_connection(caller, "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.gather(*(caller.done for caller in callers))
    took = time.perf_counter() - begun
    times = [1000 * each for caller in callers for each in caller.times]
    return {
        "per_second": len(times) / took,
        "p50_ms": statistics.median(times),
        "p99_ms": statistics.quantiles(times, n=100)[98],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(**json.load(sys.stdin)))))
