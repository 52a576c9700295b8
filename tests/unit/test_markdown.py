"""Markdown of flows in pages: rendered, harmless, and cheap."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudo_kernel.forms.form import checked_body
from cloudo_kernel.forms.markdown import MAX_CHARACTERS, rendered, with_html

#: What a page may get of a text: these tags, with no other attributes.
HARMLESS = re.compile(
    r"</?(blockquote|br|code|em|h[1-6]|hr|li|p|pre|s|strong|table|tbody|td|th|thead|tr|ul)>"
    r'|</?ol>|<ol start="\d+">|</a>'
    r'|<a( href="(https?|mailto):[^"<>]*"| title="[^"<>]*"){1,2} target="_blank" rel="noopener noreferrer">'
)
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://example.com/track.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](/logout)",
    "[x](//example.com)",
    "<javascript:alert(1)>",
    '[x](https://example.com/"onmouseover="alert(1) "a\\"onclick=b")',
    "[x]: javascript:alert(1)\n\n[x]",
    "<style>*{display:none}</style>",
    "<!-- --><svg/onload=alert(1)>",
    '```html" onclick=alert(1)\n<b>\n```',
    "&lt;script&gt;&#60;script&#62;",
    "| a |\n|:-:|\n| <b onclick=x> |",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_acts_leaves_the_renderer(text: str) -> None:
    html = rendered(text)
    assert not re.search(r"[<>]", HARMLESS.sub("", html)), html
    assert 'href="/' not in html


@given(text=st.lists(st.sampled_from([*HOSTILE, *"[]()<>!*_`#|-\n&\"'", "javascript:", "https://a", "a"])).map("".join))
def test_no_mixture_of_it_does_either(text: str) -> None:
    assert not re.search(r"[<>]", HARMLESS.sub("", rendered(text)))


def test_what_people_write_is_rendered() -> None:
    assert rendered("**a** ~~b~~\nc") == "<p><strong>a</strong> <s>b</s><br>\nc</p>\n"
    assert rendered("3. a\n4. b") == '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'
    link = '<a href="https://example.com" target="_blank" rel="noopener noreferrer">here</a>'
    assert rendered("Look [here](https://example.com){ext}.") == f"<p>Look {link}.</p>\n"
    assert "<td>1</td>" in rendered("| a |\n|---|\n| 1 |")


def test_the_descriptions_of_a_form_are_rendered_and_what_a_flow_calls_html_is_not_kept() -> None:
    body = checked_body(
        {
            "properties": {
                "told": {"element": "markdown", "label": "*b*", "description_html": "<script>"},
                "name": {"description": "<b>*c*</b>", "description_html": "<script>"},
                "plain": {"description_html": "<script>"},
            }
        }
    )
    assert "<script>" not in str(body)
    shown = with_html(body)["properties"]
    assert shown["told"]["description_html"] == "<p><em>b</em></p>\n"
    assert shown["name"]["description_html"] == "<p>&lt;b&gt;<em>c</em>&lt;/b&gt;</p>\n"
    assert shown["name"]["description"] == "<b>*c*</b>"
    assert "description_html" not in shown["plain"]


@pytest.mark.parametrize(
    "text", [">", "[", "![", "[a](", "*a_", "- ", "> - ", "<", "`", "|a", "[a][", "a\n", "~~a", "&"]
)
def test_a_hostile_text_costs_little_and_a_longer_one_is_not_read(text: str) -> None:
    long = (text * MAX_CHARACTERS)[:MAX_CHARACTERS]
    elements = {"a": {"element": "markdown", "description": long}, "b": {"description": f"{text}<i>"}}
    body = checked_body({"properties": elements})
    begun = time.process_time()
    shown = with_html(body)["properties"]
    assert time.process_time() - begun < 5  # it takes less than 0.1
    assert shown["b"]["description_html"].startswith("<pre>")
    assert "<i>" not in shown["b"]["description_html"]
