"""REST for files in the workspace."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.models import File, Page, Request
from cloudo_kernel.workspace.files import decoded


class FileQuery(Query):
    """Filters of the list of files."""

    dir: str = Field(default=".", description="Folder to list.")
    glob: str = Field(
        default="*", description="Pattern of paths relative to the folder; `**/*` includes all subfolders."
    )


class ContentQuery(Query):
    """Whether to include the content."""

    content: int = Field(default=1, ge=0, le=1, description="0 omits the content.")


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
    takes_documents: ClassVar[bool] = True

    @operation("file", reply=File, query=(ContentQuery,))
    async def get(self, path: str) -> None:
        """Return a file. `content=0` omits its content."""
        with_content = self.asked(ContentQuery).content != 0
        await self.answer(self.api.file, path, with_content=with_content)

    @operation(
        "save_file", reply=File, body=Content, example={"content": "first north, then south"}, is_conditional=True
    )
    async def put(self, path: str) -> None:
        """Create or replace the file."""
        given, save = await self.sent(Content), self.unless_changed(self._look, self.api.save_file)
        await self.answer(lambda: save(path, decoded(given.content, given.encoding)))

    @operation("delete_file", status=204, is_conditional=True)
    async def delete(self, path: str) -> None:
        """Delete the file."""
        await self.backend.call(self.unless_changed(self._look, self.api.delete_file), path)
        await self.finish_empty()

    def _look(self, path: str) -> File:
        return self.api.file(path, with_content=False)


routes = routes_of(Files, OneFile)
