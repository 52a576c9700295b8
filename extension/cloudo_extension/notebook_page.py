"""Makes a page to look at from a notebook: complete in itself, loading nothing, running nothing.

nbconvert was tried: its import takes 2.4 s, its sanitiser 2.5 s for a table of 200 KB and 17 s for a cell of 200 KB,
and it shows headings and the heads of tables as text.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import mistune
from pygments import formatters, highlight, lexers  # type: ignore[import-untyped]  # comes without types

from cloudo_extension.ansi import ansi_to_html
from cloudo_extension.sanitizing import sanitize

#: Characters of one source or text output, of all of them, and of all images. More makes browsers stumble.
_TEXT_LIMIT = 200_000
_TEXTS_LIMIT = 5_000_000
_IMAGES_LIMIT = 20_000_000
_OUTPUTS_LIMIT = 2_000

_NOTE = '<p class="note">output shortened, open the notebook to see it all</p>'
#: The first of these that an output has is shown.
_IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
_PREFERRED = ("text/html", "text/markdown", *_IMAGES, "text/latex", "text/plain")

_Json = dict[str, Any]


def page(notebook: str) -> str:
    """Return a whole HTML document for a notebook's JSON text; one that cannot be read gives a page that says so."""
    try:
        content = json.loads(notebook)
        body = "\n".join(_Page(content).cells())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        body = f'<p class="note">This notebook cannot be shown: {escape(str(error))}</p>'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Executed notebook</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{_style()}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


class _Page:
    """One notebook, and how much of it may still be shown."""

    def __init__(self, notebook: _Json) -> None:
        self._cells: list[_Json] = notebook["cells"]
        metadata = notebook.get("metadata", {})
        language = metadata.get("language_info", {})
        self._language = str(language.get("pygments_lexer") or language.get("name") or "ipython3")
        self._texts_left = _TEXTS_LIMIT
        self._images_left = _IMAGES_LIMIT
        self._outputs_left = _OUTPUTS_LIMIT

    def cells(self) -> Iterator[str]:
        """Return the HTML of each cell."""
        for cell in self._cells:
            source, note = self._cut(_text(cell.get("source", "")))
            kind = cell.get("cell_type")
            if kind == "markdown":
                attached = cell.get("attachments", {})
                images = {f"attachment:{name}": _data_address(data) for name, data in attached.items()}
                text = sanitize(str(_markdown()(source)), images=images)
                yield f'<section class="cell markdown">{text}{note}</section>'
            elif kind == "code":
                outputs = "".join(self._outputs(cell.get("outputs", [])))
                count = cell.get("execution_count")
                yield (
                    f'<section class="cell code"><div class="prompt">[{escape(str(count or " "))}]</div>'
                    f'<div class="input">{_highlight(source, self._language)}{note}</div>'
                    f'<div class="outputs">{outputs}</div></section>'
                )
            else:
                yield f'<section class="cell raw"><pre>{escape(source)}</pre>{note}</section>'

    def _outputs(self, outputs: list[_Json]) -> Iterator[str]:
        for output in _joined(outputs):
            self._outputs_left -= 1
            if self._outputs_left < 0:
                yield _NOTE
                return
            kind = output.get("output_type")
            if kind == "stream":
                name = "stderr" if output.get("name") == "stderr" else "stdout"
                yield self._terminal(_text(output.get("text", "")), name)
            elif kind == "error":
                yield self._terminal("\n".join(map(str, output.get("traceback", []))), "error")
            else:
                yield f'<div class="output">{self._rich(output.get("data", {}))}</div>'

    def _terminal(self, text: str, kind: str) -> str:
        shown, note = self._cut(text)
        return f'<pre class="output {kind}">{ansi_to_html(shown)}</pre>{note}'

    def _rich(self, data: _Json) -> str:
        kind = next((kind for kind in _PREFERRED if kind in data), None)
        if kind is None:
            return ""
        content = _text(data[kind])
        if kind.startswith("image/"):
            self._images_left -= len(content)
            alternative = escape(_text(data.get("text/plain", "image"))[:200])
            image = f'<img alt="{alternative}" src="{escape(_data_address({kind: content}))}">'
            return image if self._images_left >= 0 else _NOTE
        shown, note = self._cut(content)
        if kind == "text/html":
            return sanitize(shown) + note
        if kind == "text/markdown":
            return sanitize(str(_markdown()(shown))) + note
        return f"<pre>{ansi_to_html(shown)}</pre>{note}"

    def _cut(self, text: str) -> tuple[str, str]:
        """Return what of `text` may be shown, and a note when that is not all."""
        shown = text[: min(_TEXT_LIMIT, self._texts_left)]
        self._texts_left -= len(shown)
        return shown, "" if len(shown) == len(text) else _NOTE


def _text(value: Any) -> str:
    """Return a multi-line string of the notebook format: text, or a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def _joined(outputs: list[_Json]) -> Iterator[_Json]:
    """Join what was printed piece by piece, as JupyterLab does: a hundred thousand prints are one output."""
    pieces: list[str] = []
    name: object = None
    for output in outputs:
        is_stream = output.get("output_type") == "stream"
        if pieces and not (is_stream and output.get("name") == name):
            yield {"output_type": "stream", "name": name, "text": "".join(pieces)}
            pieces = []
        if is_stream:
            name = output.get("name")
            pieces.append(_text(output.get("text", "")))
        else:
            yield output
    if pieces:
        yield {"output_type": "stream", "name": name, "text": "".join(pieces)}


def _data_address(data: _Json) -> str:
    """Return the `data:` address of an image; SVG is text in a notebook, the other kinds are base64."""
    kind, content = next(iter(data.items()))
    if kind == "image/svg+xml":
        content = b64encode(_text(content).encode()).decode()
    return f"data:{kind};base64,{''.join(_text(content).split())}"


def _highlight(source: str, language: str) -> str:
    try:
        lexer = lexers.get_lexer_by_name(language)
    except ValueError:  # pygments' ClassNotFound
        lexer = lexers.get_lexer_by_name("text")
    return str(highlight(source, lexer, formatters.HtmlFormatter()))


@cache
def _markdown() -> mistune.Markdown:
    """Return the Markdown of notebooks; its HTML is sanitised afterwards."""
    renderer = mistune.HTMLRenderer(escape=False, allow_harmful_protocols=True)
    markdown = mistune.create_markdown(renderer=renderer, plugins=["strikethrough", "table", "task_lists", "math"])
    # Formulas stay as they were written: what typesets them is a megabyte of script.
    renderer.register("inline_math", lambda _renderer, text: f"${escape(text)}$")
    renderer.register("block_math", lambda _renderer, text: f"<pre>$$\n{escape(text)}\n$$</pre>")
    return markdown


@cache
def _style() -> str:
    schemes = ("default", "github-dark")
    light, dark = (formatters.HtmlFormatter(style=name).get_style_defs(".highlight") for name in schemes)
    own = files("cloudo_extension").joinpath("notebook_page.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n{own}"
