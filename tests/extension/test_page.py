"""The page made of a notebook, without a server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import aclosing
from html.parser import HTMLParser
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_extension.pages.notebook_html import page
from cloudo_extension.pages.notebook_renderer import Renderer
from cloudo_kernel.errors import Unavailable
from tests.server import until
from tests.workers import is_alive

NOTE = "output shortened; open the notebook to see all of it"


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


@pytest.mark.parametrize(
    ("bundle", "shown_instead"),
    [
        ({"application/vnd.vegalite.v5+json": {}, "image/png": "iVBORw0="}, 'src="data:image/png;base64,iVBORw0="'),
        ({"application/vnd.plotly.v1+json": {}, "image/svg+xml": "<svg/>"}, 'src="data:image/svg+xml;base64,PHN2Zy8+"'),
        ({"application/vnd.bokehjs_exec.v0+json": "", "application/javascript": "draw()"}, ""),
        ({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider(value=3)"}, "IntSlider(value=3)"),
        ({"text/html": "<div></div><SCRIPT>draw()</SCRIPT>", "text/plain": "Chart"}, "Chart"),
        ({"text/html": ["<table><tr><td>7</td></tr></table>", "<script>draw()</script>"]}, "<td>7</td>"),
    ],
)
def test_an_output_that_needs_scripts_shows_its_picture_or_text_and_says_so(
    bundle: dict[str, Any], shown_instead: str
) -> None:
    output = {"output_type": "display_data", "metadata": {}, "data": bundle}
    text = shown(cell(output, output))
    assert shown_instead in text
    assert text.count("This output needs scripts") == 1
    assert "draw()" not in text
    assert "This output needs scripts" not in shown(cell(data(text_html="<p>a</p>", text_plain="<script>")))


def test_a_cell_whose_source_is_hidden_shows_its_outputs_alone() -> None:
    text = shown(cell(printed("visible"), source="secret = 1", metadata={"jupyter": {"source_hidden": True}}))
    assert "visible" in text
    assert "secret" not in text
    assert "In&nbsp;[" not in text
    assert "In\xa0[" not in text


def test_a_cell_that_cannot_be_shown_keeps_no_other_from_being_shown() -> None:
    text = shown(cell(printed("before")), {"cell_type": "code", "outputs": 1}, cell(printed("after")))
    assert "before" in text
    assert "This cell cannot be shown: " in text
    assert "after" in text


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
    ["", "no json", "[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": 3, "metadata": {}}', '{"cells": []}'],
)
def test_what_is_no_notebook_gives_a_page_that_says_so(text: str) -> None:
    assert "This notebook cannot be shown" in page(text)


@pytest.fixture(scope="module")
def only_renderer() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.close()


@pytest.fixture
def renderer(only_renderer: Renderer) -> Iterator[Renderer]:
    """One for all tests, and none finds pages of another: it starts its process again when a test has ended it."""
    yield only_renderer
    process = only_renderer._process
    until(lambda: process is None or process.poll() is not None or not children(only_renderer))


NOTEBOOK = json.dumps({"cells": [cell(printed("ü"))], "metadata": {}, **FORMAT})
#: Its page is much more than what sockets hold.
LONG = json.dumps({"cells": [cell(printed("x" * 1_000))] * 3_000, "metadata": {}, **FORMAT})


def render(renderer: Renderer, notebook: str = NOTEBOOK) -> str:
    async def read() -> bytes:
        return b"".join([part async for part in renderer.render(notebook)])

    return asyncio.run(read()).decode()


def pid_of(renderer: Renderer) -> int:
    assert renderer._process is not None
    return renderer._process.pid


def children(renderer: Renderer) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid_of(renderer)).children() if is_alive(child)]


def test_a_renderer_that_was_killed_is_started_again(renderer: Renderer) -> None:
    assert "ü" in render(renderer)
    first = pid_of(renderer)
    os.kill(first, signal.SIGKILL)
    assert "ü" in render(renderer)
    assert pid_of(renderer) != first


def test_a_page_that_takes_too_long_is_given_up(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    render(renderer)
    monkeypatch.setattr("cloudo_extension.pages.notebook_renderer._PART_SECONDS", 0.2)
    os.kill(pid_of(renderer), signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            render(renderer, "x" * 10_000_000)
    finally:
        os.kill(pid_of(renderer), signal.SIGCONT)


def test_a_page_whose_process_dies_says_so_and_harms_no_other(renderer: Renderer) -> None:
    async def read() -> tuple[str, str]:
        pages = renderer.render(LONG)
        begun = await anext(pages)
        [child] = children(renderer)
        other = renderer.render(NOTEBOOK)
        first = await anext(other)
        child.kill()
        cut = begun + b"".join([part async for part in pages])
        return cut.decode(), (first + b"".join([part async for part in other])).decode()

    cut, other = asyncio.run(read())
    assert "The rest of this notebook cannot be shown" in cut
    assert cut.endswith("</html>\n")
    assert other.endswith("</html>\n")
    assert "could not be made" not in other


def test_a_reader_that_goes_away_ends_the_process_of_its_page(renderer: Renderer) -> None:
    async def leave() -> None:
        async with aclosing(renderer.render(LONG)) as parts:
            await anext(parts)
            assert len(children(renderer)) == 1

    asyncio.run(leave())
    until(lambda: not children(renderer))


def test_a_slow_reader_holds_back_the_process_and_not_the_memory(renderer: Renderer) -> None:
    async def dawdle() -> None:
        async with aclosing(renderer.render(LONG)) as parts:
            await anext(parts)
            [child] = children(renderer)
            # It sleeps, with most of the page not rendered, until something is read again.
            await asyncio.to_thread(until, lambda: child.status() == psutil.STATUS_SLEEPING)
            assert len(b"".join([part async for part in parts])) > 2_000_000

    asyncio.run(dawdle())


def test_the_renderer_ends_with_its_server(renderer: Renderer) -> None:
    render(renderer)
    process = renderer._process
    assert process is not None
    assert renderer._socket is not None
    renderer._socket.close()  # as the system does when the server is killed
    assert process.wait(timeout=10) == 0
