"""The peer of `starts`: a bare tornado server whose only handler writes one row to SQLite, safe on disk.

`python -m tests.benchmarks.bare PORT DATABASE`
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys

from tornado import web


class Insert(web.RequestHandler):
    """Writes the body it was sent, one transaction each."""

    def initialize(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def post(self) -> None:
        self._connection.execute("INSERT INTO rows (body) VALUES (?)", (self.request.body,))
        self.set_status(201)
        self.finish({})


async def main(port: int, database: str) -> None:
    """Serve until killed."""
    connection = sqlite3.connect(database, isolation_level=None)  # each statement is a transaction
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
    web.Application([("/", Insert, {"connection": connection})]).listen(port, "127.0.0.1")
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
