"""The verbs about files of the workspace, over HTTP."""

from __future__ import annotations

from cloudo_kernel.client.base import Base, in_path, json_body
from cloudo_kernel.models import File, Page
from cloudo_kernel.workspace.files import encoded


class FileVerbs(Base):
    """List, read, write and delete files."""

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        return self._whole(Page[File], "file", dir=folder, glob=glob)

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        return self._get(File, f"file/{in_path(path)}", content=None if with_content else 0)

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        text, encoding = encoded(content)
        body = json_body({"content": text, "encoding": encoding}, what="content")
        return self._record(File, self._send("PUT", f"file/{in_path(path)}", **body, is_repeatable=True))

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""
        self._send("DELETE", f"file/{in_path(path)}")
