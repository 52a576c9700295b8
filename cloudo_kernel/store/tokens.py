"""Create API tokens, find them by their secret, and revoke them. Only the digest of a secret is stored.

A token has 256 random bits, so a plain SHA-256 of it cannot be reversed. Tokens are looked up by that digest, so the
time of a lookup reveals nothing about any token.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update

from cloudo_kernel.errors import TokenNotFound
from cloudo_kernel.models import Token
from cloudo_kernel.models.event_types import TOKEN, TOKEN_CREATED, TOKEN_REVOKED
from cloudo_kernel.store.events import event_row, record, record_all
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import tokens

_c = tokens.c
_RECORD_COLUMNS = [column for column in _c if column.name in Token.model_fields]
# Built once: every request with a token may run it.
_FIND = select(*_RECORD_COLUMNS).where(_c.sha256 == bindparam("digest"))

#: Seconds until a token is looked up in the database again: another process may have revoked it.
_KNOWN_SECONDS = 1.0
_MAX_KNOWN = 1000
#: The precision of `last_used_at`.
_USE = timedelta(minutes=1)
#: How long an expired token stays listed.
_EXPIRED = timedelta(days=30)


class Tokens:
    """Reads and writes tokens. May be used from several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Digest → the token, and until when it is trusted.
        self._known: dict[str, tuple[Token, float]] = {}
        #: Counts revocations: a token read before one is not cached after it.
        self._revision = 0
        #: Token id → when its use should be recorded again.
        self._noted: dict[str, float] = {}

    def insert(self, token: Token, secret: str, *, made_by: str | None) -> None:
        """Add a token."""
        shown = {column.name: getattr(token, column.name) for column in _RECORD_COLUMNS}
        with self._database.write() as connection:
            connection.execute(insert(tokens).values(**shown, sha256=_digest(secret), made_by=made_by))
            details: dict[str, Any] = {"name": token.name, "prefix": token.prefix}
            details |= {"actions": token.actions, "flows": token.flows, "made_by": made_by}
            record(
                connection, TOKEN_CREATED, TOKEN, token.id, time=token.created_at, user_name=token.user_name, **details
            )

    def all(self, user_name: str | None) -> tuple[Token, ...]:
        """Return the tokens of a user, or of all users for None, newest first."""
        query = select(*_RECORD_COLUMNS).order_by(_c.id.desc())
        if user_name is not None:
            query = query.where(_c.user_name == user_name)
        with self._database.read() as connection:
            return tuple(_record(row) for row in connection.execute(query))

    def known(self, secret: str) -> Token | None:
        """Return a valid token that was found a moment ago, from memory. None does not mean that it is invalid."""
        token, until = self._known.get(_digest(secret), (None, 0.0))
        return token if token is not None and time.monotonic() < until and self._is_valid(token) else None

    def find(self, secret: str) -> Token | None:
        """Return the token with this secret; None if it is unknown, revoked or expired."""
        digest, revision = _digest(secret), self._revision
        with self._database.read() as connection:
            row = connection.execute(_FIND, {"digest": digest}).one_or_none()
        token = None if row is None else _record(row)
        if token is None or not self._is_valid(token):
            return None
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[digest] = token, time.monotonic() + _KNOWN_SECONDS
        if revision != self._revision:  # the token just read may be one just revoked
            self._known.pop(digest, None)
        return token

    def is_use_worth_noting(self, token: Token) -> bool:
        """Return whether `note_use` has something to write: about once a minute for each token."""
        now = time.monotonic()
        if now < self._noted.get(token.id, 0.0):
            return False
        if len(self._noted) >= _MAX_KNOWN:
            self._noted.clear()
        self._noted[token.id] = now + _USE.total_seconds()
        return token.last_used_at is None or token.last_used_at <= self._database.clock() - _USE

    def note_use(self, token_id: str) -> None:
        """Record that the token was used now."""
        now = self._database.clock()
        is_older = or_(_c.last_used_at.is_(None), _c.last_used_at <= now - _USE)
        with self._database.write() as connection:
            connection.execute(update(tokens).where(_c.id == token_id, is_older).values(last_used_at=now))

    def revoke(self, token_id: str, *, user_name: str, whose: str | None) -> None:
        """Delete a token and those created with it. Raises `TokenNotFound`.

        `whose` is the user it must belong to, None for any user.
        """
        now, shown = self._database.clock(), (_c.id, _c.name, _c.prefix, _c.user_name)
        mine = select(*shown).where(_c.id == token_id)
        if whose is not None:
            mine = mine.where(_c.user_name == whose)
        with self._database.write() as connection:
            found = list(connection.execute(mine))
            if not found:
                raise TokenNotFound(token_id)
            for row in found:  # the list grows during the iteration
                found += connection.execute(select(*shown).where(_c.made_by == row.id))
            connection.execute(delete(tokens).where(_c.id.in_([row.id for row in found])))
            about: dict[str, Any] = {"time": now, "user_name": user_name}
            record_all(connection, [_revoked(row, **about) for row in found])
        self._revision += 1
        self._known.clear()

    def delete_expired(self) -> None:
        """Delete tokens that expired over 30 days ago."""
        is_over = _c.expires_at <= self._database.clock() - _EXPIRED
        with self._database.read() as connection:
            if connection.execute(select(_c.id).where(is_over).limit(1)).scalar() is None:
                return
        with self._database.write() as connection:
            connection.execute(delete(tokens).where(is_over))

    def _is_valid(self, token: Token) -> bool:
        return token.expires_at is None or token.expires_at > self._database.clock()


def _revoked(row: Row[*tuple[Any, ...]], *, user_name: str, time: datetime) -> dict[str, Any]:
    """Return the event of a revocation. It names the owner if `user_name` revoked another user's token."""
    of = {} if row.user_name == user_name else {"of": row.user_name}
    details = {"name": row.name, "prefix": row.prefix, **of}
    return event_row(TOKEN_REVOKED, TOKEN, row.id, time=time, user_name=user_name, **details)


def _record(row: Row[Any]) -> Token:
    return Token.model_validate(dict(row._mapping))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
