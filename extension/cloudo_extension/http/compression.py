"""Compresses replies, because Jupyter's server compresses nothing."""

from __future__ import annotations

import gzip
from typing import Final

from tornado import web

#: Records and short lists fit into a few packets either way.
_MIN_BYTES: Final = 8_000
#: 330 kB of a list of flows take 1 ms, and become 26 kB. Level 5 takes three times as long for 21 kB.
_LEVEL: Final = 1


def accepts_gzip(handler: web.RequestHandler) -> bool:
    """Return whether the browser accepts a reply compressed with gzip (RFC 9110, section 12.5.3)."""
    weights: dict[str, str] = {}
    for offer in handler.request.headers.get("Accept-Encoding", "").split(","):
        coding, _, weight = offer.replace(" ", "").lower().partition(";q=")
        weights[coding] = weight or "1"
    return weights.get("gzip", weights.get("*", "0")).strip("0.") != ""


def compressed(content: bytes, handler: web.RequestHandler) -> bytes:
    """Return the content of a reply, compressed if it is large and the caller accepts that; set the headers for it."""
    if len(content) < _MIN_BYTES:
        return content
    handler.set_header("Vary", "Accept-Encoding")
    if not accepts_gzip(handler):
        return content
    handler.set_header("Content-Encoding", "gzip")
    return gzip.compress(content, _LEVEL, mtime=0)
