"""Seals secrets that must be readable again: authenticated encryption, with a key from a file beside the store.

The database alone does not reveal them; the database and the key file together do.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cloudo_kernel.errors import SecretLost, Unavailable
from cloudo_kernel.models import JsonObject

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

#: Maximum time for which a key file may be empty. Its maker fills it within milliseconds.
_MAX_EMPTY_SECONDS = 2.0


class Encryption:
    """Seals and unseals secrets. The key file is created when it is first needed, unless it was lost."""

    def __init__(self, key_file: Path | None, *, has_sealed: Callable[[], bool] = lambda: False) -> None:
        """`has_sealed` tells whether the store holds anything that was sealed."""
        self._key_file = key_file
        self._has_sealed = has_sealed
        self._making = threading.Lock()

    def encrypt(self, secret: bytes) -> str:
        """Return the secret encrypted. Raises `Unavailable` if there is no key."""
        return self._fernet.encrypt(secret).decode()

    def decrypt(self, sealed: str) -> bytes:
        """Return the decrypted secret. Raises `SecretLost` if it was sealed with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed.encode())
        except InvalidToken as error:
            raise SecretLost(self._key_file) from error

    def seal_values(self, values: JsonObject) -> str | None:
        """Return named JSON values encrypted, or None if there are no values."""
        return self.encrypt(json.dumps(values).encode()) if values else None

    def unseal_values(self, sealed: str | None) -> JsonObject:
        """Return the decrypted named values."""
        return {} if sealed is None else dict(json.loads(self.decrypt(sealed)))

    def digest(self, text: str) -> str:
        """Return a keyed digest of `text`."""
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet  # 50 ms; most processes seal nothing

        try:
            return Fernet(self._key)
        except ValueError as error:
            raise self._unusable(error) from error

    @cached_property
    def _key(self) -> bytes:
        if self._key_file is None:
            raise Unavailable("This store has no key file to seal secrets with. Name one with CLOUDO_KEY_FILE.")
        try:
            with self._making:
                self.check()
                return _read_or_make(self._key_file)
        except OSError as error:
            raise self._unusable(error) from error

    @property
    def is_key_lost(self) -> bool:
        """Whether the key file is missing although secrets were sealed."""
        path = self._key_file
        # Checked again afterwards: another process may have created the key and sealed with it meanwhile.
        return path is not None and not path.exists() and self._has_sealed() and not path.exists()

    def check(self) -> None:
        """Raise `SecretLost` if the key file is missing although secrets were sealed."""
        if self.is_key_lost:
            raise SecretLost(self._key_file, is_missing=True)

    def _unusable(self, error: Exception) -> Unavailable:
        return Unavailable(f"The key file {self._key_file} cannot be used: {error}")


def _read_or_make(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        _make(path)
        key = path.read_bytes()  # another process may have been quicker
    end = time.monotonic() + _MAX_EMPTY_SECONDS
    while not key and time.monotonic() < end:  # another process has reserved the name, see `_make`
        time.sleep(0.01)
        key = path.read_bytes()
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and os.name != "nt":
        path.chmod(0o600)
    return key.strip()


def _make(path: Path) -> None:
    """Create the key file. It is complete and safe on disk before it gets its name; an existing one stays."""
    from cryptography.fernet import Fernet

    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            try:
                path.touch(0o600, exist_ok=False)  # reserves the name; `replace` alone would overwrite another key
            except FileExistsError:
                return
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
