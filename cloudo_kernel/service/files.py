"""The verbs about files in the workspace."""

from __future__ import annotations

from cloudo_kernel.models import File
from cloudo_kernel.service.base import Base
from cloudo_kernel.workspace_files import WorkspaceFiles


class FileVerbs(Base):
    """Files: listed, read, written, deleted."""

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        return self._files.list(folder, glob)

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        return self._files.read(path, with_content=with_content)

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        return self._files.write(path, content)

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""
        self._files.delete(path)

    @property
    def _files(self) -> WorkspaceFiles:
        return WorkspaceFiles(self._catalog.workspace.root)
