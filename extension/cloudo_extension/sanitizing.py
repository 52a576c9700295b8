"""Makes HTML of unknown origin harmless: what goes out is written anew from a list of allowed tags and attributes.

It is safe however wrongly the input is read, because nothing of it is passed on unread: text is escaped, attributes
are quoted, and no tag whose content a browser reads as anything but HTML is on the list. `bleach`, which nbconvert
uses, was tried: 80 KB/s, and nbconvert's list lacks headings, paragraphs and the heads of tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser

_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_TAGS = _VOID | set(
    re.findall(
        r"\w+",
        "a abbr b blockquote caption center cite code colgroup dd del details dfn div dl dt em figcaption figure font "
        "h1 h2 h3 h4 h5 h6 i ins kbd li mark ol p pre q s samp small span strong sub summary sup "
        "table tbody td tfoot th thead time tr tt u ul var",
    )
)
#: Not only the tag goes, but also what is in it.
_DROPPED = frozenset({"head", "script", "style", "template", "title"})
_ATTRIBUTES = set(
    re.findall(
        r"\S+",
        "align alt aria-hidden aria-label border class color colspan datetime dir height id lang open role rowspan "
        "scope size span start title type valign value width",
    )
)
_PROPERTIES = re.compile(
    r"(background|background-color|border(-[a-z]+)*|caption-side|color|display|float|font(-[a-z]+)*|height|line-height|"
    r"list-style-type|(margin|padding)(-[a-z]+)?|(max|min)-(height|width)|opacity|overflow(-[xy])?|"
    r"text-(align|decoration|indent|transform)|vertical-align|white-space|width|word-break)"
)
_VALUE = re.compile(r"""[\w\s#%.,'"()+/!-]*""")
#: CSS functions that load something, or once did.
_LOADING = re.compile(r"(url|image|image-set|cross-fade|element|expression)\s*\(", re.IGNORECASE)
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)


def sanitize(html: str, *, images: Mapping[str, str] | None = None) -> str:
    """Return balanced, harmless HTML; `images` are `data:` addresses for those that `<img src>` may name otherwise."""
    writer = _Writer(images or {})
    writer.feed(html)
    writer.close()
    return writer.result()


class _Writer(HTMLParser):
    """Reads tags and text, writes those that are allowed."""

    def __init__(self, images: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self._images = images
        self._written: list[str] = []
        self._open: list[str] = []
        self._dropped: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._dropped is None and tag in _DROPPED:
            self._dropped = tag
        if self._dropped is not None or tag not in _TAGS:
            return
        kept = "".join(f' {name}="{escape(value)}"' for name, value in self._attributes(tag, attrs))
        self._written.append(f"<{tag}{kept}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._dropped is not None:
            if tag == self._dropped:
                self._dropped = None
        elif tag in self._open:
            while (inner := self._open.pop()) != tag:
                self._written.append(f"</{inner}>")
            self._written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._dropped is None:
            self._written.append(escape(data, quote=False))

    def result(self) -> str:
        """Return what was written, every open tag closed."""
        return "".join(self._written) + "".join(f"</{tag}>" for tag in reversed(self._open))

    def _attributes(self, tag: str, attributes: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
        kept = []
        for name, given in attributes:
            value = given or ""
            if name in _ATTRIBUTES:
                kept.append((name, value))
            elif name == "style":
                kept.append((name, _style(value)))
            elif name == "href" and tag == "a" and _LINK.match(value):
                kept += [(name, value), ("rel", "noopener noreferrer")]
            elif name == "src" and tag == "img" and _IMAGE.fullmatch(found := self._images.get(value, value)):
                kept.append((name, found))
        return kept


def _style(text: str) -> str:
    declarations = (part.partition(":") for part in text.split(";"))
    return ";".join(
        f"{name.strip().lower()}:{value.strip()}"
        for name, _, value in declarations
        if _PROPERTIES.fullmatch(name.strip().lower()) and _VALUE.fullmatch(value) and not _LOADING.search(value)
    )
