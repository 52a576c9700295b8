"""The page made of a notebook, without a server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_extension.notebook_page import page
from cloudo_extension.rendering import Renderer
from cloudo_kernel.errors import Unavailable

NOTE = "output shortened, open the notebook to see it all"


FORMAT = {"nbformat": 4, "nbformat_minor": 4}


def cell(*outputs: dict[str, Any], source: str = "1", kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "outputs": list(outputs), "metadata": {}, "execution_count": 1, **more}


def data(**kinds: Any) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {kind.replace("_", "/"): value for kind, value in kinds.items()},
    }


def printed(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(*cells: dict[str, Any]) -> str:
    """Return the part of the page below its head."""
    document = page(json.dumps({"cells": cells, "metadata": {}, **FORMAT}))
    return document[document.index("<main>") :]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>b",
        "<SCRIPT src=//x></SCRIPT >b",
        "<script>alert(1)",
        "<p onclick=x() ONLOAD='y()' class=k>a",
        "<a href='javascript:x()'>a</a>",
        "<a href=' java\nscript:x()'>a</a>",
        "<a href='data:text/html,x'>a</a>",
        "<img src=http://x/y.png onerror=x()>",
        "<img src='javascript:x()'>",
        "<svg onload=x()><script>x</script><p>a</p></svg>",
        "<math><mtext><table><mglyph><style><img src onerror=x>",
        "<noscript><p title='</noscript><img src=x onerror=y>'>",
        "<td style='color:red;background:url(http://x);position:fixed'>a",
        "<td style='background-color:url(http://x)'>a",
        "<iframe src=http://x></iframe><object data=http://x></object><embed src=http://x>",
        "<form action=http://x><input name=a><button>go</button></form>",
        "<link rel=stylesheet href=http://x><meta http-equiv=refresh content='0;url=http://x'><base href=http://x>",
        "</div></main></body><style>body{display:none}</style>",
    ],
)
@pytest.mark.parametrize("place", ["output", "markdown", "markdown output", "svg", "plain"])
def test_nothing_hostile_comes_out(hostile: str, place: str) -> None:
    cells = {
        "output": cell(data(text_html=hostile)),
        "markdown": cell(kind="markdown", source=hostile),
        "markdown output": cell(data(text_markdown=hostile)),
        "svg": cell({"output_type": "display_data", "data": {"image/svg+xml": hostile}, "metadata": {}}),
        "plain": cell(data(text_plain=hostile)),
    }
    assert_harmless(shown(cells[place]))


def assert_harmless(html: str) -> None:
    assert "cannot be shown" not in html
    seen = _Seen()
    seen.feed(html)
    seen.close()
    assert not seen.tags & {
        *("script", "style", "iframe", "object", "embed", "form", "input", "button", "link", "meta", "base", "svg"),
    }
    for name, value in seen.attributes:
        assert not name.startswith("on"), name
        if name == "href":
            assert value.startswith(("http://", "https://", "mailto:", "#")), value
        if name == "src":
            assert value.startswith("data:image/"), value
        if name == "style":
            assert "url(" not in value
            assert "position" not in value


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}


_PIECES = st.sampled_from(
    ["<", ">", "/", "=", '"', "'", " ", "&", ";", "!", "-", "script", "style", "svg", "img", "onerror", "src", "p", "a"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=40).map("".join) | st.text(max_size=60))
def test_whatever_comes_in_is_harmless(html: str) -> None:
    assert_harmless(shown(cell(data(text_html=html)), cell(kind="markdown", source=html)))


def test_the_richest_output_that_can_be_shown_is_shown() -> None:
    table = "<table><thead><tr><th>x</th></tr></thead></table>"
    assert f"{table}</div>" in shown(cell(data(text_html=table, text_plain="plain")))
    assert 'src="data:image/png;base64,iVBORw0="' in shown(cell(data(image_png="iVBORw0=", text_plain="<Figure>")))


def test_markdown_is_shown_with_its_tables_and_attached_images() -> None:
    attached = {"a.png": {"image/png": "AAAA"}}
    text = shown(cell(kind="markdown", source="# T\n|a|\n|-|\n|1|\n\n![x](attachment:a.png)", attachments=attached))
    assert "<h1>T</h1>" in text
    assert "<th>a</th>" in text
    assert 'src="data:image/png;base64,AAAA"' in text


def test_a_page_loads_nothing() -> None:
    document = page(json.dumps({"cells": [cell(source="import this")], "metadata": {}, **FORMAT}))
    assert not re.search(r"https?:|<script|<link|@import|url\(", document)


def test_an_error_is_shown_in_colour() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: <v>"]}
    assert '<span class="ansi-red-fg">E</span>: &lt;v&gt;' in shown(cell(error))


def test_long_outputs_and_sources_are_cut_with_a_note() -> None:
    for text in (
        shown(cell(printed("x" * 50_000_000))),
        shown(cell(data(text_html="<p>x</p>" * 1_000_000))),
        shown(cell(source="x = 1\n" * 1_000_000)),
        shown(cell(data(image_png="A" * 50_000_000))),
        shown(*(cell(printed("x" * 190_000)) for _ in range(100))),
        shown(cell(*(data(text_plain="x") for _ in range(1_000)))),
    ):
        assert NOTE in re.sub("<[^>]*>", "", text)  # in a source it is highlighted
        assert len(text) < 6_000_000
    assert NOTE not in shown(cell(printed("x" * 190_000)))


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": [{"outputs": 1, "cell_type": "code"}]}'],
)
def test_what_is_no_notebook_gives_a_page_that_says_so(text: str) -> None:
    assert "This notebook cannot be shown" in page(text)


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.close()


NOTEBOOK = json.dumps({"cells": [cell(printed("ü"))], "metadata": {}, **FORMAT})


def test_a_renderer_that_was_killed_is_started_again(renderer: Renderer) -> None:
    assert "ü" in asyncio.run(renderer.render(NOTEBOOK))
    assert renderer._process is not None
    first = renderer._process.pid
    os.kill(first, signal.SIGKILL)
    assert "ü" in asyncio.run(renderer.render(NOTEBOOK))
    assert renderer._process.pid != first


def test_a_renderer_that_takes_too_long_is_given_up(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(renderer.render(NOTEBOOK))
    assert renderer._process is not None
    monkeypatch.setattr("cloudo_extension.rendering._RENDER_SECONDS", 0.2)
    os.kill(renderer._process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        asyncio.run(renderer.render("x" * 10_000_000))
    assert time.monotonic() - begun < 10


def test_the_renderer_ends_with_its_server(renderer: Renderer) -> None:
    asyncio.run(renderer.render(NOTEBOOK))
    process = renderer._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the system does when the server is killed
    assert process.wait(timeout=10) == 0
