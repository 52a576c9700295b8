"""New databases for tests, as copies of templates: creating the tables takes ten times as long."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cloudo_kernel.store import Store
from tests.postgresql import Cluster

Prepare = Callable[[Store], None]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def nothing(store: Store) -> None:
    """Prepare an empty store."""


class Databases:
    """Creates databases of one kind: in PostgreSQL if there is a cluster, else SQLite files."""

    def __init__(self, folder: Path, cluster: Cluster | None = None) -> None:
        self._folder = folder
        self._cluster = cluster
        self._templates: dict[Prepare, str] = {}

    @property
    def is_postgresql(self) -> bool:
        return self._cluster is not None

    @contextmanager
    def copy(self, path: Path, prepare: Prepare = nothing, *, clock: Clock = utc_now) -> Iterator[str]:
        """Create a database with the content that `prepare` writes, and yield its URL; SQLite's file is `path`."""
        if prepare not in self._templates:
            self._templates[prepare] = self._template(prepare, clock)
        template = self._templates[prepare]
        if self._cluster is None:
            shutil.copy(template, path)
            yield f"sqlite:///{path}"
        else:
            with self._cluster.database(template) as url:
                yield url

    def run(self, statement: str) -> None:
        """Run a statement that administers the PostgreSQL server."""
        assert self._cluster is not None
        self._cluster.run(statement)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Create a PostgreSQL database without tables, and yield its URL."""
        assert self._cluster is not None
        with self._cluster.database() as url:
            yield url

    def _template(self, prepare: Prepare, clock: Clock) -> str:
        name = f"template_{uuid.uuid4().hex}"
        path = self._folder / f"{name}.sqlite"
        url = f"sqlite:///{path}"
        if self._cluster is not None:
            self._cluster.run(f"CREATE DATABASE {name}")
            url = self._cluster.url(name)
        with closing(Store.open(url, clock=clock)) as store:
            prepare(store)
        return str(path) if self._cluster is None else name
