"""The store: the database of executions, schedules and all other records. The only place with SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from cloudo_kernel.models.lifecycle import Outcome
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store.events import EventListener, Events
from cloudo_kernel.store.executions.activity import Activity
from cloudo_kernel.store.executions.control import Control
from cloudo_kernel.store.executions.counts import Counts
from cloudo_kernel.store.executions.journal import Call, Journal
from cloudo_kernel.store.executions.log import Log
from cloudo_kernel.store.executions.new_execution import IdempotencyKey, Inserted, NewExecution, Protected
from cloudo_kernel.store.executions.queue import Claim, Queue
from cloudo_kernel.store.executions.records import Executions
from cloudo_kernel.store.executions.reports import Assignment, Reports
from cloudo_kernel.store.executions.results import Results
from cloudo_kernel.store.executions.text_index import TextIndex
from cloudo_kernel.store.executions.wakeups import Wake
from cloudo_kernel.store.locks import Locks
from cloudo_kernel.store.measures import Distribution, Measures
from cloudo_kernel.store.messages import Messages, NewMessage, why_closed
from cloudo_kernel.store.owners import Owners
from cloudo_kernel.store.schedules.follow_ups import Due as DueFollowUp
from cloudo_kernel.store.schedules.follow_ups import FollowUps
from cloudo_kernel.store.schedules.occurrences import CatchingUp, Firing, NewOccurrence, Occurrences
from cloudo_kernel.store.schedules.records import Due, Hidden, Schedules
from cloudo_kernel.store.sealed import has_sealed
from cloudo_kernel.store.settings import Settings
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tokens import Tokens
from cloudo_kernel.store.webhooks import KeptWebhook, Webhooks
from cloudo_kernel.store.workers import HEARTBEAT_SECONDS, LEASE_SECONDS, WorkerRow, Workers


class Store:
    """One workspace's executions, logs, messages, events, settings, tokens and workers."""

    def __init__(self, database: Database, *, key_file: Path | None = None) -> None:
        self._database = database
        self.encryption = Encryption(key_file, has_sealed=partial(has_sealed, database))
        self.texts = TextIndex(database)
        self.executions = Executions(database, self.encryption, self.texts)
        self.counts = Counts(database)
        self.activity = Activity(database)
        self.measures = Measures(database)
        self.queue = Queue(database)
        self.reports = Reports(database, self.encryption)
        self.control = Control(database)
        self.follow_ups = FollowUps(database)
        self.owners = Owners(database)
        self.log = Log(database)
        self.results = Results(database)
        self.journal = Journal(database, self.encryption)
        self.messages = Messages(database, self.encryption)
        self.schedules = Schedules(database)
        self.occurrences = Occurrences(database)
        self.webhooks = Webhooks(database, self.encryption)
        self.events = Events(database)
        self.settings = Settings(database, self.encryption)
        self.locks = Locks(database)
        self.tokens = Tokens(database)
        self.workers = Workers(database)
        self.tail = EventListener(database, self.events)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Callable[[], datetime] | None = None,
        key_file: Path | None = None,
    ) -> Store:
        """Open the store at an SQLAlchemy URL and bring its tables up to date. Raises `Unavailable`.

        `clock` is this machine's by default, and for PostgreSQL the server's.
        `key_file` holds the key that seals secrets. By default it is the file `key` beside an SQLite database.
        """
        database = Database(url, clock=clock)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return cls(database, key_file=key_file or database.sibling("key"))

    @property
    def now(self) -> datetime:
        """The time by the store's clock, in UTC."""
        return self._database.clock()

    @property
    def trouble(self) -> str | None:
        """Why the store cannot be used, in text that is safe to show to anyone; None while it works."""
        return self._database.trouble

    def close(self) -> None:
        """Stop the event listener and close every connection."""
        self.tail.close()
        self._database.close()
