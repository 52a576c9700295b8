"""The executed notebook of an execution in the output of a cell, in a sandboxed frame."""

from __future__ import annotations

import html
from typing import Any, Final, Self

from cloudo_kernel.api import API_ROOT, AuthorApi
from cloudo_kernel.errors import MalformedRequest, NotebookNotFound
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.calls import is_whole

_STYLE: Final = (
    "width:100%;height:32em;border:1px solid var(--jp-border-color2, rgba(128, 128, 128, .4));background:#fff"
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class ExecutedNotebook:
    """An executed notebook. A cell displays it: the server's page, or a page of its own without a server."""

    def __init__(self, api: Any, execution_id: str, path: str) -> None:
        self._api = api
        self._id = execution_id
        #: The path in the workspace.
        self.path = path

    @classmethod
    def of(cls, api: AuthorApi, execution_id: str) -> Self:
        """Return the executed notebook. Raises `NotebookNotFound`."""
        if not is_whole(api):
            raise MalformedRequest("notebook() works only outside of a running flow.")
        path = api.execution(execution_id).notebook
        if path is None:
            raise NotebookNotFound(execution_id)
        return cls(api, execution_id, path)

    @property
    def source(self) -> str:
        """The notebook as JSON text."""
        return str(self._api.execution_notebook(self._id))

    def __repr__(self) -> str:
        return f"<ExecutedNotebook {self.path!r}>"

    def _repr_html_(self) -> str:
        pages = cards.pages_of(self._api)
        if pages is None:
            page = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">{self._page()}'
            return self._frame("srcdoc", page)
        address = f"{pages}{API_ROOT}/execution/{self._id}/notebook?format=html"
        return f"{self._frame('src', address)}<div>{cards.link(address, self.path)}</div>"

    def _frame(self, attribute: str, value: str) -> str:
        title = html.escape(self.path)
        return f"<iframe sandbox title='{title}' style='{_STYLE}' {attribute}='{html.escape(value)}'></iframe>"

    def _page(self) -> str:
        import nbformat
        from nbconvert import HTMLExporter  # imported late: it takes a second

        notebook = nbformat.reads(self.source, as_version=4)
        exporter = HTMLExporter(template_name="basic", sanitize_html=True)
        return str(exporter.from_notebook_node(notebook)[0])
