"""Verbs for files in the workspace."""

from __future__ import annotations

from pathlib import PurePosixPath

from cloudo_kernel.models import Action, File
from cloudo_kernel.models.event_types import FILE, FILE_DELETED, FILE_SAVED
from cloudo_kernel.service.base import Base
from cloudo_kernel.workspace.catalog.names import is_below
from cloudo_kernel.workspace.files import WorkspaceFiles


class FileVerbs(Base):
    """List, read, write and delete files."""

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        self._ask("files")
        return self._files.list(folder, glob)

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        self._ask("file")
        return self._files.read(path, with_content=with_content)

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        self._ask("save_file")
        self._check_file(path)
        saved = self._files.write(path, content)
        self._tell_of_file(FILE_SAVED, saved.path, size=saved.size)
        return saved

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""
        self._ask("delete_file")
        self._check_file(path)
        self._files.delete(path)
        self._tell_of_file(FILE_DELETED, path)

    def _tell_of_file(self, event_type: str, path: str, **details: int) -> None:
        """Record which user changed a file, and for a flow which execution."""
        by = {} if self._parent_id is None else {"execution_id": self._parent_id}
        named = self.redaction.mask(PurePosixPath(path).as_posix())
        self._store.events.add(event_type, FILE, named, user_name=self._user_name, **details, **by)

    def _check_file(self, path: str) -> None:
        """Raise `PermissionDenied` if the file is in the flows folder and the caller may not write flows.

        Links are resolved, and case is ignored, because some file systems are case-insensitive.
        """
        if self._rights.may(Action.FLOW_WRITE):
            return
        flows, located = self._catalog.workspace.flows, self._files.located(path)
        named = PurePosixPath(path).parts[0].casefold()
        if named == flows.name or is_below(flows, located):
            self._rights.check(Action.FLOW_WRITE)

    @property
    def _files(self) -> WorkspaceFiles:
        return WorkspaceFiles(self._catalog.workspace.root)
