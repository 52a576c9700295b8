"""REST for files in the workspace."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from cloudo_extension.base import API, Handler
from cloudo_kernel.models import File, Page
from cloudo_kernel.workspace_files import decoded


class Content(BaseModel):
    """The body of `PUT /file/<path>`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content: str
    encoding: str = "text"


class Files(Handler):
    """`/file`."""

    #: Who may not have Jupyter's own files may not have them here either.
    auth_resource = "contents"
    query_of: ClassVar = {"GET": frozenset({"dir", "glob"})}

    async def get(self) -> None:
        """List files."""
        folder, glob = self.query("dir") or ".", self.query("glob") or "*"
        await self.answer(lambda: Page[File](items=self.api.files(folder, glob=glob)))


class OneFile(Handler):
    """`/file/<path>`."""

    auth_resource = "contents"
    query_of: ClassVar = {"GET": frozenset({"content"})}

    async def get(self, path: str) -> None:
        """Return a file, with `content=0` without its content."""
        with_content = self.query_number("content", at_most=1) != 0
        await self.answer(self.api.file, path, with_content=with_content)

    async def put(self, path: str) -> None:
        """Make the file, or replace it as a whole."""
        given = self.parse(Content, self.body())
        await self.answer(lambda: self.api.save_file(path, decoded(given.content, given.encoding)))

    async def delete(self, path: str) -> None:
        """Delete the file."""
        await self.engine.call(self.api.delete_file, path)
        await self.finish_empty()


routes = [(rf"{API}/file", Files), (rf"{API}/file/(.+)", OneFile)]
