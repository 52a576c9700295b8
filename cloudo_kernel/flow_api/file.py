"""A file of the workspace for flow authors: a local copy, and the file behind it."""

from __future__ import annotations

from typing import Any, Self

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import MalformedRequest, ResourceNotFoundError
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.values import pick
from cloudo_kernel.workspace.files import decoded

_FIELDS = [name for name in models.File.model_fields if name != "encoding"]


class File:
    """A file in the workspace. `get` and `set` use a local copy; `load` and `save` read and write the file."""

    def __init__(self, api: AuthorApi, path: str, record: models.File | None = None) -> None:
        self._api = api
        self._path = path
        self._record = record
        #: Content that was set but not saved yet.
        self._wanted: bytes | None = None

    @property
    def path(self) -> str:
        """The path, relative to the workspace."""
        return self._path

    def get(self, *fields: str) -> Any:
        """Return the content, or other fields, from the local copy. The first call reads the file.

        The content is text, or bytes if it is not UTF-8. Raises `ResourceNotFoundError`.
        """
        return pick(fields or ("content",), _FIELDS, "A file", self._field)

    def load(self, *fields: str) -> Any:
        """Read the file and return its content, or other fields. Raises `ResourceNotFoundError`."""
        self._record, self._wanted = self._api.file(self._path), None
        return self.get(*fields)

    def set(self, content: str | bytes) -> Self:
        """Change the local copy; `save()` writes it."""
        self._wanted = _as_bytes(content)
        return self

    def save(self, content: str | bytes | None = None) -> Self:
        """Write `content`, or the content from `set`. Replaces the whole file, or creates it."""
        if content is not None:
            self.set(content)
        if self._wanted is None:
            raise MalformedRequest(f"Nothing to save: give the content of {self._path!r}.", field="content")
        self._api.save_file(self._path, self._wanted)
        self._record, self._wanted = None, None
        return self

    def exists(self) -> bool:
        """Tell whether the file exists."""
        try:
            self._api.file(self._path, with_content=False)
        except ResourceNotFoundError:
            return False
        return True

    def delete(self) -> None:
        """Delete the file. Raises `ResourceNotFoundError`."""
        self._api.delete_file(self._path)
        self._record, self._wanted = None, None

    def _field(self, field: str) -> Any:
        if field == "content" and self._wanted is not None:
            return _text_or_bytes(self._wanted)
        record = self._record
        if record is None or (field == "content" and record.content is None):
            record = self._record = self._api.file(self._path)
        if field == "content":
            return _text_or_bytes(decoded(record.content or "", record.encoding))
        return getattr(record, field)

    def __repr__(self) -> str:
        return f"<File {self._path!r}>"

    def _row(self) -> dict[str, str]:
        size, changed = self.get("size", "modified_at")
        return {"PATH": self.path, "SIZE": f"{size:,}", "CHANGED": cards.time_of(changed)}


def _as_bytes(content: str | bytes) -> bytes:
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError as error:
            raise MalformedRequest(f"The content is not Unicode text: {error.reason}.", field="content") from error
    raise MalformedRequest(f"The content must be text or bytes, not {type(content).__name__}.", field="content")


def _text_or_bytes(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
