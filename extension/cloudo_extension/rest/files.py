"""REST for files in the workspace."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import PageQuery, Query, operation
from cloudo_kernel.models import File, Page, Request
from cloudo_kernel.workspace.files import decoded


class FileQuery(Query):
    """Which files are wanted."""

    dir: str = Field(default=".", description="The folder in which they are.")
    glob: str = Field(
        default="*", description="A pattern of their paths below it; `**/*` is for all folders below it too."
    )


class ContentQuery(Query):
    """Whether the content is wanted."""

    content: int = Field(default=1, ge=0, le=1, description="0 leaves the content out.")


class Content(Request):
    """The body of `PUT /file/<path>`."""

    content: str
    encoding: Literal["text", "base64"] = "text"


class Files(Handler):
    """`/file`."""

    #: Needs the same permission as Jupyter's own file API.
    auth_resource = "contents"

    @operation("files", reply=Page[File], query=(FileQuery, PageQuery))
    async def get(self) -> None:
        """List files."""
        wanted = self.asked(FileQuery)
        await self.answer_page(lambda: self.api.files(wanted.dir, glob=wanted.glob), "path")


class OneFile(Handler):
    """`/file/<path>`."""

    auth_resource = "contents"

    @operation("file", reply=File, query=(ContentQuery,))
    async def get(self, path: str) -> None:
        """Return a file, with `content=0` without its content."""
        with_content = self.asked(ContentQuery).content != 0
        await self.answer(self.api.file, path, with_content=with_content)

    @operation(
        "save_file", reply=File, body=Content, example={"content": "first north, then south"}, is_conditional=True
    )
    async def put(self, path: str) -> None:
        """Make the file, or replace it as a whole."""
        given, save = await self.sent(Content), self.unless_changed(self._look, self.api.save_file)
        await self.answer(lambda: save(path, decoded(given.content, given.encoding)))

    @operation("delete_file", status=204, is_conditional=True)
    async def delete(self, path: str) -> None:
        """Delete the file."""
        await self.backend.call(self.unless_changed(self._look, self.api.delete_file), path)
        await self.finish_empty()

    def _look(self, path: str) -> File:
        return self.api.file(path, with_content=False)


routes = [(rf"{API}/file", Files), (rf"{API}/file/(.+)", OneFile)]
