"""Makes a page to look at from a notebook: complete in itself, loading nothing, running nothing.

nbconvert renders it; nh3 leaves of the HTML only what is harmless (nbconvert's sanitiser takes 17 s for a large cell).
"""

from __future__ import annotations

import json
import logging
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import nbformat
import nh3
from nbconvert import HTMLExporter
from pygments import formatters  # type: ignore[import-untyped]  # comes without types

#: Characters of one source or output, and of all of them. More makes browsers stumble.
_TEXT_LIMIT = 200_000
_TEXTS_LIMIT = 5_000_000
_IMAGE_LIMIT = 20_000_000
#: Outputs of one cell.
_OUTPUTS_LIMIT = 500

_NOTE = "output shortened, open the notebook to see it all"
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


def page(notebook: str) -> str:
    """Return a whole HTML document for a notebook's JSON text; one that cannot be read gives a page that says so."""
    try:
        content = nbformat.from_dict(_shortened(json.loads(notebook)))
        body, _ = _exporter().from_notebook_node(content)
    except Exception as error:  # noqa: BLE001 -- whatever a hostile notebook makes nbconvert raise, the reader is told
        body = f"<p class='note'>This notebook cannot be shown: {escape(str(error))}</p>"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Executed notebook</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{_style()}</style></head><body><main>\n{_harmless(body)}\n</main></body></html>\n"
    )


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
    """Drop what would load something, and `data:` where it would be a page."""
    is_inline = value.lstrip().lower().startswith("data:")
    if attribute == "src":
        return value if tag == "img" and is_inline else None
    if attribute == "style" and "url(" in value.lower():
        return None
    return None if attribute == "href" and is_inline else value


def _shortened(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with as much as a browser can bear."""
    left = _TEXTS_LIMIT

    def cut(text: Any) -> str:
        nonlocal left
        whole = _joined(text)
        shown = whole[: min(_TEXT_LIMIT, left)]
        left -= len(shown)
        return shown if len(shown) == len(whole) else f"{shown}\n… {_NOTE}"

    for cell in notebook["cells"]:
        cell["source"] = cut(cell["source"])
        outputs = cell.get("outputs", [])
        if len(outputs) > _OUTPUTS_LIMIT:
            outputs[_OUTPUTS_LIMIT:] = [{"output_type": "stream", "name": "stdout", "text": f"… {_NOTE}"}]
        for output in outputs:
            if "text" in output:
                output["text"] = cut(output["text"])
            if "traceback" in output:
                output["traceback"] = [cut(line) for line in output["traceback"]]
            if "data" in output:
                output["data"] = {
                    kind: value if kind.startswith("image/") else cut(value)
                    for kind, value in output["data"].items()
                    if isinstance(value, str | list) and len(_joined(value)) <= _IMAGE_LIMIT
                } or {"text/plain": f"… {_NOTE}"}
    return notebook


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


@cache
def _exporter() -> HTMLExporter:
    exporter = HTMLExporter(template_name="basic", exclude_anchor_links=True)
    exporter.log = logging.getLogger(__name__)  # else it warns on standard error of each image without a description
    exporter.log.setLevel(logging.ERROR)
    return exporter


@cache
def _style() -> str:
    schemes = ("default", "github-dark")
    light, dark = (formatters.HtmlFormatter(style=name).get_style_defs(".highlight") for name in schemes)
    own = files("cloudo_extension").joinpath("notebook_page.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n{own}"
