"""REST for what an execution ran and what came of it: its source and its executed notebook."""

from __future__ import annotations

from typing import Literal

from tornado import web

from cloudo_extension.base import API, Handler
from cloudo_extension.operation import Query, Reply, operation
from cloudo_kernel.catalog import is_handler

#: A notebook holds whatever its flow printed: nothing in it may run, be loaded, or act as the user.
_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
_NOTEBOOK = "application/x-ipynb+json"
_SCRIPT = "text/x-python; charset=utf-8"
_PIECE_BYTES = 1 << 20


class _Document(Handler):
    """Sends a document that is not JSON of ours."""

    async def send(self, content: bytes, media_type: str, *, file_name: str | None = None) -> None:
        """Send a document piece by piece, at the pace of the client; with a file name, as a download."""
        self.set_header("Content-Type", media_type)
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Content-Length", str(len(content)))
        if file_name is not None:
            self.set_attachment_header(file_name)
        for start in range(0, len(content), _PIECE_BYTES):
            self.write(content[start : start + _PIECE_BYTES])
            await self.flush()
        await web.RequestHandler.finish(self)  # APIHandler's calls all it sends JSON


class FormatQuery(Query):
    """How the notebook is wanted."""

    #: `html` is a page on which nothing runs and nothing is loaded.
    format: Literal["ipynb", "html"] = "ipynb"


class Notebook(_Document):
    """`/execution/<id>/notebook`."""

    @operation("execution_notebook", query=(FormatQuery,), replies={200: Reply(media=(_NOTEBOOK, "text/html"))})
    async def get(self, execution_id: str) -> None:
        """Return the executed notebook, as notebook JSON or as a page to look at."""
        wanted = self.asked(FormatQuery).format
        text = await self.engine.call(self.api.execution_notebook, execution_id)
        if wanted == "html":
            page = await self.while_connected(self.engine.renderer.render(text))
            await self.send(page.encode(), "text/html; charset=utf-8")
        else:
            await self.send(text.encode(), _NOTEBOOK, file_name=f"{execution_id}.ipynb")


class Source(_Document):
    """`/execution/<id>/source`."""

    @operation("execution_source", replies={200: Reply(media=(_NOTEBOOK, "text/x-python"))})
    async def get(self, execution_id: str) -> None:
        """Return exactly the source that was run: a notebook's JSON text, or a script that defines a handler."""

        def read() -> tuple[str, bool]:
            text = self.api.execution_source(execution_id)
            return text, is_handler(text)

        text, is_script = await self.engine.call(read)
        kind, ending = (_SCRIPT, "py") if is_script else (_NOTEBOOK, "ipynb")
        await self.send(text.encode(), kind, file_name=f"{execution_id}-source.{ending}")


routes = [(rf"{API}/execution/([^/]+)/notebook", Notebook), (rf"{API}/execution/([^/]+)/source", Source)]
