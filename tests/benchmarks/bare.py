"""The peer of `starts` and `postgresql`: a bare tornado server whose only handler writes one row, safe on disk.

`python -m tests.benchmarks.bare PORT DATABASE`: the path of an SQLite file, or the URL of a PostgreSQL database.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Any

from tornado import web

#: Connections to PostgreSQL: one for each request that may be on its way.
_CONNECTIONS = 16


class Insert(web.RequestHandler):
    """Writes the body it was sent to SQLite, one transaction each."""

    def initialize(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def post(self) -> None:
        self._connection.execute("INSERT INTO rows (body) VALUES (?)", (self.request.body,))
        self.set_status(201)
        self.finish({})


class InsertInPostgresql(web.RequestHandler):
    """Writes the body it was sent to PostgreSQL, one transaction each, while others wait for theirs."""

    def initialize(self, idle: asyncio.Queue[Any]) -> None:
        self._idle = idle

    async def post(self) -> None:
        connection = await self._idle.get()
        await connection.execute("INSERT INTO rows (body) VALUES (%s)", (self.request.body.decode(),))
        self._idle.put_nowait(connection)
        self.set_status(201)
        await self.finish({})


def in_sqlite(path: str) -> web.Application:
    connection = sqlite3.connect(path, isolation_level=None)  # each statement is a transaction
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
    return web.Application([("/", Insert, {"connection": connection})])


async def in_postgresql(url: str) -> web.Application:
    import psycopg

    idle: asyncio.Queue[Any] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        address = url.replace("+psycopg", "")
        idle.put_nowait(await psycopg.AsyncConnection.connect(address, autocommit=True))
    connection = await idle.get()
    await connection.execute("CREATE TABLE IF NOT EXISTS rows (id BIGSERIAL PRIMARY KEY, body TEXT)")
    idle.put_nowait(connection)
    return web.Application([("/", InsertInPostgresql, {"idle": idle})])


async def main(port: int, database: str) -> None:
    """Serve until killed."""
    application = await in_postgresql(database) if "://" in database else in_sqlite(database)
    application.listen(port, "127.0.0.1")
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
