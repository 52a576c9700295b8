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
from cloudo_extension import sanitizing
from cloudo_extension.ansi import ansi_to_html
from cloudo_extension.notebook_page import page
from cloudo_extension.rendering import Renderer
from cloudo_extension.sanitizing import sanitize
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_kernel.errors import Unavailable

NOTE = "output shortened, open the notebook to see it all"


def cell(*outputs: dict[str, Any], source: str = "1", kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "outputs": list(outputs), "metadata": {}, **more}


def data(**kinds: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind.replace("_", "/"): value for kind, value in kinds.items()}}


def printed(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(*cells: dict[str, Any]) -> str:
    """Return the part of the page below its head."""
    document = page(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return document[document.index("<main>") :]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("<p>a</p>", "<p>a</p>"),
        ("<script>alert(1)</script>b", "b"),
        ("<SCRIPT src=//x></SCRIPT >b", "b"),
        ("<script>alert(1)", ""),
        ("<p onclick=x() ONLOAD='y()' class=k>a", '<p class="k">a</p>'),
        ("<a href='javascript:x()'>a</a>", "<a>a</a>"),
        ("<a href=' java\nscript:x()'>a</a>", "<a>a</a>"),
        ("<a href='data:text/html,x'>a</a>", "<a>a</a>"),
        ("<a href=https://x.org>a</a>", '<a href="https://x.org" rel="noopener noreferrer">a</a>'),
        ("<img src=http://x/y.png alt=z>", '<img alt="z">'),
        ("<img src='data:image/png;base64,AA=='>", '<img src="data:image/png;base64,AA==">'),
        ("<img src='data:text/html;base64,AA=='>", "<img>"),
        ("<svg><script>x</script><p>a</p></svg>", "<p>a</p>"),
        ("<math><mtext><table><mglyph><style><img src onerror=x>", "<table></table>"),
        (
            "<noscript><p title='</noscript><img src=x onerror=y>'>",
            '<p title="&lt;/noscript&gt;&lt;img src=x onerror=y&gt;"></p>',
        ),
        ("<b>a</i></b></div></main>c", "<b>a</b>c"),
        ("<div><p>a</div>b", "<div><p>a</p></div>b"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("<!-- c --><!DOCTYPE x><?php x ?>a", "a"),
        ("<td style='color:red;background:url(x);position:fixed'>a", '<td style="color:red">a</td>'),
        ("<td style='width:expression(x)'>a", '<td style="">a</td>'),
        ('<p class="&quot;><script>x</script>">a', '<p class="&quot;&gt;&lt;script&gt;x&lt;/script&gt;">a</p>'),
    ],
)
def test_html_comes_out_harmless_and_balanced(given: str, wanted: str) -> None:
    assert sanitize(given) == wanted


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


_PIECES = st.sampled_from(
    [
        "<",
        ">",
        "/",
        "=",
        '"',
        "'",
        " ",
        "&",
        ";",
        "!",
        "-",
        "script",
        "style",
        "svg",
        "img",
        "onerror",
        "src",
        "p",
        "a",
        "\0",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=40).map("".join) | st.text(max_size=60))
def test_nothing_that_is_not_allowed_ever_comes_out(html: str) -> None:
    seen = _Seen()
    seen.feed(sanitize(html))
    seen.close()
    assert seen.tags <= sanitizing._TAGS
    assert seen.attributes <= sanitizing._ATTRIBUTES | {"style", "href", "rel", "src"}


def test_cleaning_twice_is_cleaning_once() -> None:
    html = "<table class=dataframe border=1><thead><tr><th>a & b</table><img src=x alt='\"'>"
    assert sanitize(sanitize(html)) == sanitize(html)


def test_the_richest_output_that_can_be_shown_is_shown() -> None:
    table = "<table><thead><tr><th>x</th></tr></thead></table>"
    assert f"{table}</div>" in shown(cell(data(text_html=table, text_plain="plain")))
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "HBox()"}
    assert "<pre>HBox()</pre>" in shown(cell({"output_type": "display_data", "data": widget}))
    image = shown(cell(data(image_png="iVBO\nRw0=\n", text_plain="<Figure>")))
    assert '<img alt="&lt;Figure&gt;" src="data:image/png;base64,iVBORw0=">' in image
    assert 'src="data:image/svg+xml;base64,' in shown(
        cell({"output_type": "display_data", "data": {"image/svg+xml": "<svg/>"}})
    )


def test_markdown_is_shown_with_its_tables_and_attached_images() -> None:
    attached = {"a.png": {"image/png": "AAAA"}}
    text = shown(
        cell(kind="markdown", source="# T $a_1*b_2*c$\n|a|\n|-|\n|1|\n\n![x](attachment:a.png)", attachments=attached)
    )
    assert "<h1>T $a_1*b_2*c$</h1>" in text
    assert "<th>a</th>" in text
    assert 'src="data:image/png;base64,AAAA"' in text


def test_a_page_loads_nothing() -> None:
    document = page(json.dumps({"cells": [cell(source="import this")], "metadata": {}}))
    assert not re.search(r"https?:|<script|<link|@import|url\(", document)


def test_an_error_is_shown_in_colour() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: <v>"]}
    assert '<pre class="output error"><span class="ansi-color-1">E</span>: &lt;v&gt;</pre>' in shown(cell(error))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("a\x1b[1;32mb\x1b[0mc", 'a<span class="ansi-bold ansi-color-2">b</span>c'),
        ("\x1b[38;5;28mb\x1b[39m<", '<span class="ansi-color-rgb" style="--ansi-color: rgb(0 135 0)">b</span>&lt;'),
        ("\x1b[48;2;1;2;999mb", '<span class="ansi-background-rgb" style="--ansi-background: rgb(1 2 255)">b</span>'),
        ("\x1b[91mb\x1b[m", '<span class="ansi-color-9">b</span>'),
        ("\x1b[2Ka\x1b]0;title\x07b\x1b[38;5m\x1b[38mc", "abc"),
        ("10%\r50%\r100%\nend\r\n", "100%\nend\n"),
    ],
)
def test_terminal_colours_become_classes(given: str, wanted: str) -> None:
    assert ansi_to_html(given) == wanted


def test_long_outputs_and_sources_are_cut_with_a_note() -> None:
    for text in (
        shown(cell(printed("x" * 50_000_000))),
        shown(cell(data(text_html="<p>x</p>" * 1_000_000))),
        shown(cell(source="x = 1\n" * 1_000_000)),
        shown(cell(data(image_png="A" * 50_000_000))),
        shown(*(cell(printed("x" * 190_000)) for _ in range(100))),
        shown(*(cell(*(data(text_plain="x") for _ in range(100))) for _ in range(100))),
    ):
        assert NOTE in text
        assert len(text) < 6_000_000
    assert NOTE not in shown(cell(printed("x" * 190_000)))


def test_a_hundred_thousand_prints_are_one_output() -> None:
    text = shown(cell(*(printed(f"{n}\n") for n in range(20_000)), printed("oops", "stderr"), printed("end")))
    assert text.count("<pre class=") == 3
    assert NOTE not in text


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


NOTEBOOK = json.dumps({"cells": [cell(printed("ü"))], "metadata": {}})


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
