"""Renders a notebook as a self-contained page that loads and runs nothing.

nbconvert renders a few cells at a time, so that the first ones are visible while the others are rendered.
nh3 keeps only harmless HTML (nbconvert's sanitiser takes 17 s for a large cell).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

import nbformat
import nh3
from nbconvert import HTMLExporter
from nbconvert.exporters import TemplateExporter
from nbconvert.filters import Highlight2HTML
from pygments import formatters  # type: ignore[import-untyped]  # comes without types

#: Maximum characters of one source or output, and of all of them. More slows browsers down.
_TEXT_LIMIT = 200_000
_TEXTS_LIMIT = 5_000_000
_IMAGE_LIMIT = 20_000_000
#: Maximum outputs of one cell.
_OUTPUTS_LIMIT = 500

#: Cells in the first part of a page, which fill a screen, and in each further part.
_FIRST_CELLS = 20
_CELLS = 100

_NOTE = "output shortened; open the notebook to see all of it"
#: Media types of outputs that a script draws.
_SCRIPTED = re.compile(
    r"application/(javascript|vnd\.(bokehjs|holoviews|jupyter\.widget-view|plotly|vega|vegalite))", re.IGNORECASE
)
_SCRIPT = re.compile("<script", re.IGNORECASE)
_PICTURES = ("image/svg+xml", "image/png", "image/jpeg")
_TAGS = nh3.ALLOWED_TAGS | {"main", "section"}
_ATTRIBUTES = {
    **{tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()},
    "*": {"class", "dir", "lang", "style", "title"},
    "img": {"alt", "height", "src", "width"},
}
_PROPERTIES = {
    "background-color", "border", "border-collapse", "color", "display", "font-family", "font-size", "font-style",
    "font-weight", "height", "margin", "max-height", "max-width", "min-width", "opacity", "overflow", "padding",
    "text-align", "text-decoration", "vertical-align", "white-space", "width",
}  # fmt: skip


def page(notebook: str, *, lab_url: str = "") -> str:
    """Return the whole page; see `parts`."""
    return "".join(parts(notebook, lab_url=lab_url))


def parts(notebook: str, *, lab_url: str = "") -> Iterator[str]:
    """Yield an HTML document for a notebook's JSON text, in parts that are whole elements.

    A note replaces a notebook or cell that cannot be read. `lab_url` opens the notebook in JupyterLab.
    """
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Executed notebook</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{_style()}</style></head><body><main>\n"
    )
    try:
        document = json.loads(notebook)
        cells, whole = document["cells"], {**document, "cells": []}
        nbformat.from_dict(whole).metadata.items()
        if not isinstance(cells, list):
            raise TypeError("its cells are not a list")
    except Exception as error:  # noqa: BLE001 -- a hostile notebook can make json and nbformat raise anything
        yield f"<p class='note'>This notebook cannot be shown: {escape(str(error))}</p>"
    else:
        shortener = _Shortener(lab_url)
        for start, stop in _slices(len(cells)):
            yield _rendered(whole, cells[start:stop], shortener)
    yield "\n</main></body></html>\n"


def _slices(count: int) -> Iterator[tuple[int, int]]:
    """Yield the first cell of each part of a page, and the one after its last."""
    start, stop = 0, _FIRST_CELLS
    while start < count:
        yield start, stop
        start, stop = stop, stop + _CELLS


def _rendered(whole: dict[str, Any], cells: list[Any], shortener: _Shortener) -> str:
    """Return the HTML of some cells. A note replaces each cell that cannot be rendered."""
    try:
        short = [shortener.shortened(cell) for cell in cells]
        body, _ = _exporter().from_notebook_node(nbformat.from_dict({**whole, "cells": short}))
        return _harmless(body)
    except Exception as error:  # noqa: BLE001 -- a hostile cell can make nbconvert raise anything; the page shows it
        if len(cells) > 1:
            return "".join(_rendered(whole, [cell], shortener) for cell in cells)
        return f"<p class='note'>This cell cannot be shown: {escape(str(error))}</p>"


def _harmless(html: str) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_only_inline_images,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=_PROPERTIES,
    )


def _only_inline_images(tag: str, attribute: str, value: str) -> str | None:
    """Drop attributes that would load something, and links to `data:` pages."""
    is_inline = value.lstrip().lower().startswith("data:")
    if attribute == "src":
        return value if tag == "img" and is_inline else None
    if attribute == "style" and "url(" in value.lower():
        return None
    return None if attribute == "href" and is_inline else value


def _in_streams(outputs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield outputs with the texts of one stream in one piece: each flush of the kernel is an output of its own."""
    for name, group in groupby(outputs, key=_stream_of):
        if name is None:
            yield from group
        else:
            pieces = list(group)
            yield {**pieces[0], "text": "".join(piece["text"] for piece in pieces)}


def _stream_of(output: dict[str, Any]) -> str | None:
    is_text = output.get("output_type") == "stream" and isinstance(output.get("text"), str)
    return str(output.get("name")) if is_text else None


class _Shortener:
    """Shortens the cells of one notebook to a size that browsers can handle, counted across its parts."""

    def __init__(self, lab_url: str) -> None:
        self._lab_url = lab_url
        self._left = _TEXTS_LIMIT

    def shortened(self, cell: dict[str, Any]) -> dict[str, Any]:
        """Return the cell as the page shows it."""
        hidden = cell.get("metadata", {}).get("jupyter", {}).get("source_hidden") is True
        short = {**cell, "source": "" if hidden else self._cut(cell["source"])}
        if hidden:  # nbconvert's templates look for this
            short["metadata"] = {**cell["metadata"], "transient": {"remove_source": True}}
        if "outputs" in cell:
            short["outputs"] = self._outputs(cell["outputs"])
        return short

    def _outputs(self, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        outputs = list(_in_streams(outputs))
        short = [self._output(output) for output in outputs[:_OUTPUTS_LIMIT]]
        if any(_needs_scripts(output.get("data", {})) for output in outputs[:_OUTPUTS_LIMIT]):
            short.append({"output_type": "display_data", "metadata": {}, "data": {"text/html": self._note()}})
        if len(outputs) > _OUTPUTS_LIMIT:
            short.append({"output_type": "stream", "name": "stdout", "text": f"… {_NOTE}"})
        return short

    def _output(self, output: dict[str, Any]) -> dict[str, Any]:
        short = dict(output)
        if "text" in output:
            short["text"] = self._cut(output["text"])
        if "traceback" in output:
            short["traceback"] = [self._cut(line) for line in output["traceback"]]
        if "data" in output:
            data, is_scripted = output["data"], _needs_scripts(output["data"])
            kept = {
                kind: value if kind.startswith("image/") else self._cut(value)
                for kind, value in (_static(data) if is_scripted else data).items()
                if isinstance(value, str | list) and len(_joined(value)) <= _IMAGE_LIMIT
            }
            short["data"] = kept or {"text/plain": "" if is_scripted else f"… {_NOTE}"}
        return short

    def _cut(self, text: Any) -> str:
        whole = _joined(text)
        short = whole[: min(_TEXT_LIMIT, self._left)]
        self._left -= len(short)
        return short if len(short) == len(whole) else f"{short}\n… {_NOTE}"

    def _note(self) -> str:
        open_it = "Open the notebook in JupyterLab"
        link = f"<a href='{escape(self._lab_url)}'>{open_it}</a>" if self._lab_url else open_it
        return f"<p class='note'>This output needs scripts, which do not run on this page. {link} to see all of it.</p>"


def _needs_scripts(data: dict[str, Any]) -> bool:
    """Return whether scripts draw an output, such as those of altair, bokeh, plotly and widgets."""
    return any(map(_SCRIPTED.match, data)) or bool(_SCRIPT.search(_joined(data.get("text/html", ""))))


def _static(data: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of an output that need no scripts: its picture, else its text."""
    if picture := {kind: data[kind] for kind in _PICTURES if kind in data}:
        return picture
    html = _joined(data.get("text/html", ""))
    text = nh3.clean(html, tags=set(), clean_content_tags={"script", "style"})
    kept = ("text/html", "text/markdown", "text/plain") if text.strip() else ("text/markdown", "text/plain")
    return {kind: data[kind] for kind in kept if kind in data}


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


class _Exporter(HTMLExporter):
    """nbconvert's exporter without its redundant and useless steps, which take two thirds of its time."""

    def from_notebook_node(
        self, nb: nbformat.NotebookNode, resources: dict[str, Any] | None = None, **more: Any
    ) -> tuple[str, dict[str, Any]]:
        """Convert a notebook. nbconvert itself parses the HTML twice more, to sanitise it and to describe images."""
        language = nb.metadata.get("language_info", {})
        lexer = language.get("pygments_lexer", language.get("name"))
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=lexer, parent=self))
        self.register_filter("clean_html", lambda html: html)
        found: tuple[str, dict[str, Any]] = TemplateExporter.from_notebook_node(self, nb, resources, **more)
        return found

    def _validate_preprocessor(self, *_given: Any) -> None:
        """Skip validation, which nbconvert repeats after each of twelve steps."""


@cache
def _exporter() -> _Exporter:
    exporter = _Exporter(template_name="basic", exclude_anchor_links=True)
    exporter.log = logging.getLogger(__name__)  # otherwise it warns on stderr about each image without a description
    exporter.log.setLevel(logging.ERROR)
    return exporter


@cache
def _style() -> str:
    schemes = ("default", "github-dark")
    light, dark = (formatters.HtmlFormatter(style=name).get_style_defs(".highlight") for name in schemes)
    own = files("cloudo_extension.pages").joinpath("notebook_html.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n{own}"
