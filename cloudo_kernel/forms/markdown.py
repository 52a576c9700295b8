"""Renders a flow's Markdown on the server as sanitised HTML, which is safe in a page."""

from __future__ import annotations

from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markdown_it import MarkdownIt

#: Maximum for all texts of one message. The worst text takes 9 µs a character: `[` times 10,000 takes 87 ms.
MAX_CHARACTERS: Final = 10_000
#: Maximum nesting of lists and quotes. Deeper ones stay text.
_MAX_NESTING: Final = 20
_SCHEMES: Final = ("http", "https", "mailto")
_TAGS: Final = frozenset(
    (
        *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre"),
        *("s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    )
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}


def with_html(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form with each description rendered as `description_html`.

    Texts beyond `MAX_CHARACTERS` are shown preformatted, not parsed as Markdown.
    """
    left, shown = MAX_CHARACTERS, {}
    for key, about in body["properties"].items():
        text = about["description"] or (about["label"] if about["element"] == "markdown" else "")
        left -= len(text)
        html = rendered(text) if left >= 0 else f"<pre>{escape(text)}</pre>"
        shown[key] = {**about, "description_html": html} if text else about
    return {**body, "properties": shown}


@lru_cache(maxsize=64)
def rendered(text: str) -> str:
    """Return Markdown as sanitised HTML: CommonMark with tables and ~~strikethrough~~, without HTML and images."""
    import nh3

    html = _reader().render(text.replace("){ext}", ")"))  # the original's mark of an external link
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # imported late: it takes 50 ms, and few processes show messages

    reader = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": _MAX_NESTING})
    reader.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    reader.validateLink = _is_link  # type: ignore[method-assign]  # its documented way
    return reader


def _is_link(url: str) -> bool:
    """Tell whether a link is absolute. A relative one would point to the Jupyter server."""
    return url.lower().startswith(tuple(f"{scheme}:" for scheme in _SCHEMES))
