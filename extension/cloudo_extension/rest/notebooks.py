"""REST for the source, the executed notebook, the log as a file, and the results of an execution."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import aclosing
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field
from tornado import web

from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import PageQuery, Query, Reply, operation, routes_of
from cloudo_extension.pages.notebook_renderer import Renderer
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import LogLine, LogSource, Page, Result, ResultSummary, SourceDiff
from cloudo_kernel.models.results import IMAGE_TYPES
from cloudo_kernel.workspace.catalog import is_handler

#: A notebook holds whatever its flow printed, so nothing in it may run, load anything, or act as the user.
_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
_NOTEBOOK = "application/x-ipynb+json"
_SCRIPT = "text/x-python; charset=utf-8"
_PIECE_BYTES = 1 << 20
#: Timeout after which a client that reads nothing is disconnected.
_CLIENT_SECONDS = 60.0


class _Document(Handler):
    """Sends a document other than a record."""

    async def send(self, content: bytes, media_type: str, *, file_name: str | None = None) -> None:
        """Send a document in pieces, at the client's pace. `file_name` makes it a download."""
        self.describe(media_type)
        self.set_header("Content-Length", str(len(content)))
        if file_name is not None:
            self.set_attachment_header(file_name)
        for start in range(0, len(content), _PIECE_BYTES):
            self.write(content[start : start + _PIECE_BYTES])
            await self.flush()
        await web.RequestHandler.finish(self)  # APIHandler's sets the content type to JSON

    def describe(self, media_type: str) -> None:
        """Set the media type, and headers that keep the document from running anything."""
        self.set_header("Content-Type", media_type)
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")

    async def flush_in_time(self) -> None:
        """Send what was written. Disconnects a client that reads nothing."""
        try:
            await asyncio.wait_for(self.flush(), _CLIENT_SECONDS)
        except TimeoutError:
            self.request.connection.close()


class FormatQuery(Query):
    """The format of the notebook."""

    format: Literal["ipynb", "html"] = Field(
        default="ipynb", description="`html` is a page that runs no scripts and loads nothing."
    )


class _Rendered(_Document):
    """Sends a notebook as a page."""

    async def send_page(self, text: str, lab_url: str = "") -> None:
        """Send the page while it is rendered, at the client's pace. Disconnects a client that reads nothing."""
        renderer: Renderer = self.settings["cloudo_renderer"]
        async with aclosing(renderer.render(text, lab_url=lab_url)) as parts:
            async for part in parts:
                if not self._headers_written:
                    self.describe("text/html; charset=utf-8")
                self.write(part)
                await self.flush_in_time()
        await web.RequestHandler.finish(self)


class Notebook(_Rendered):
    """`/execution/<id>/notebook`."""

    @operation("execution_notebook", query=(FormatQuery,), replies={200: Reply(media=(_NOTEBOOK, "text/html"))})
    async def get(self, execution_id: str) -> None:
        """Return the executed notebook, as notebook JSON or as an HTML page."""
        wanted = self.asked(FormatQuery).format
        text = await self.backend.call(self.api.execution_notebook, execution_id)
        if wanted == "html":
            path = (await self.backend.call(self.api.execution, execution_id)).notebook
            await self.while_connected(self.send_page(text, "" if path is None else self._lab_url(path)))
        else:
            await self.send(text.encode(), _NOTEBOOK, file_name=f"{execution_id}.ipynb")

    def _lab_url(self, path: str) -> str:
        """Return the address that opens a file of the workspace in JupyterLab, or an empty string.

        It is empty for the dashboard, which shows the page in a frame that cannot open pages, and has its own link.
        """
        file, root = self.backend.workspace.root / path, Path(self.serverapp.root_dir).resolve()
        if self.request.headers.get("Sec-Fetch-Dest", "document") != "document" or not file.is_relative_to(root):
            return ""
        return f"{self.base_url}lab/tree/{quote(file.relative_to(root).as_posix())}"


class Source(_Document):
    """`/execution/<id>/source`."""

    @operation("execution_source", replies={200: Reply(media=(_NOTEBOOK, "text/x-python"))})
    async def get(self, execution_id: str) -> None:
        """Return the exact source of the run: notebook JSON, or a script that defines a handler."""

        def read() -> tuple[str, bool]:
            text = self.api.execution_source(execution_id)
            return text, is_handler(text)

        text, is_script = await self.backend.call(read)
        kind, ending = (_SCRIPT, "py") if is_script else (_NOTEBOOK, "ipynb")
        await self.send(text.encode(), kind, file_name=f"{execution_id}-source.{ending}")


class LogFile(_Document):
    """`/execution/<id>/log/file`."""

    @operation("execution_log", id="execution_log_file", replies={200: Reply(media=("text/plain",))})
    async def get(self, execution_id: str) -> None:
        """Download the whole log as text, with the lines that cells printed."""
        cursor = None
        while True:
            page = await self.backend.call(
                self.api.execution_log, execution_id, limit=PAGE_LIMIT, cursor=cursor, streams=True
            )
            if not self._headers_written:
                self.describe("text/plain; charset=utf-8")
                self.set_attachment_header(f"{execution_id}.log")
            self.write("".join(f"{line.time.isoformat()} {_origin(line)} {line.text}\n" for line in page.items))
            await self.flush_in_time()
            if (cursor := page.next) is None:
                return await web.RequestHandler.finish(self)


def _origin(line: LogLine) -> str:
    return line.level.upper() if line.source is LogSource.LOG else line.source.value


class DiffQuery(Query):
    """The execution to compare with."""

    against: str = Field(min_length=1, description="Id of the execution whose source is the old one.")


class Difference(Handler):
    """`/execution/<id>/source/diff`."""

    @operation("source_diff", reply=SourceDiff, query=(DiffQuery,))
    async def get(self, execution_id: str) -> None:
        """Return the changes from another execution's source to this one's, by cell."""
        await self.answer(self.api.source_diff, execution_id, self.asked(DiffQuery).against)


class Results(Handler):
    """`/execution/<id>/results`."""

    @operation("execution_results", reply=Page[ResultSummary], query=(PageQuery,))
    async def get(self, execution_id: str) -> None:
        """List the results that the flow showed, without their content."""
        found = await self.backend.call(self.api.execution_results, execution_id)
        places = {one.name: place for place, one in enumerate(found)}
        await self.answer_page(lambda: found, "name", order=lambda name: places.get(name, -1))


class ResultFormatQuery(Query):
    """The format of a result."""

    format: Literal["json", "html", "image"] = Field(
        default="json",
        description="`html` is a page that runs no scripts and loads nothing, `image` the image of the bundle.",
    )


class OneResult(_Rendered):
    """`/execution/<id>/results/<name>`."""

    @operation(
        "execution_result",
        query=(ResultFormatQuery,),
        replies={200: Reply(Result, media=("text/html", *IMAGE_TYPES))},
    )
    async def get(self, execution_id: str, name: str) -> None:
        """Return a result, as its MIME bundle, as an HTML page, or only its image."""
        wanted = self.asked(ResultFormatQuery).format
        if wanted == "json":
            return await self.answer(self.api.execution_result, execution_id, name)
        found = await self.backend.call(self.api.execution_result, execution_id, name)
        if wanted == "html":
            return await self.while_connected(self.send_page(_notebook_of(found)))
        kind = found.image
        if kind is None:
            raise MalformedRequest(f"The result {name!r} has no image.", field="format")
        return await self.send(base64.b64decode(found.data[kind]), kind)


def _notebook_of(result: Result) -> str:
    """Return a notebook that only shows a result."""
    output = {"output_type": "display_data", "data": result.data, "metadata": result.metadata}
    hidden = {"jupyter": {"source_hidden": True}}
    cell = {"cell_type": "code", "source": "", "execution_count": None, "metadata": hidden, "outputs": [output]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


routes = [
    *routes_of(Notebook, Source, Difference, Results, OneResult),
    (rf"{API}/execution/([^/]+)/log/file", LogFile),
]
