"""Compresses replies, because Jupyter's server compresses nothing."""

from __future__ import annotations

import gzip
import zlib
from typing import Final

from tornado import web

#: Records and short lists fit into a few packets either way.
_MIN_BYTES: Final = 8_000
#: 330 kB of a list of flows take 1 ms, and become 26 kB. Level 5 takes three times as long for 21 kB.
_LEVEL: Final = 1
#: Level 5 takes a third of the time of level 9, and the dashboard's page grows by 3 %.
_PARTS_LEVEL: Final = 5


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


class SentInParts:
    """A long reply whose parts are sent as soon as they are known, compressed if the browser accepts that."""

    def __init__(self, handler: web.RequestHandler) -> None:
        self._handler = handler
        self._parts: list[str] = []
        handler.set_header("Vary", "Accept-Encoding")
        self._packer = None
        if accepts_gzip(handler):
            handler.set_header("Content-Encoding", "gzip")
            self._packer = zlib.compressobj(_PARTS_LEVEL, wbits=zlib.MAX_WBITS | 16)  # 16: the format of gzip

    def write(self, text: str) -> None:
        """Add to the next part."""
        self._parts.append(text)

    def send(self) -> None:
        """Send what was written; the browser can show it at once."""
        self._handler.write(self._take(zlib.Z_SYNC_FLUSH))
        self._handler.flush()

    def finish(self) -> None:
        """Send the rest, and end the reply."""
        self._handler.finish(self._take(zlib.Z_FINISH))

    def _take(self, mode: int) -> bytes:
        content = "".join(self._parts).encode()
        self._parts.clear()
        return content if self._packer is None else self._packer.compress(content) + self._packer.flush(mode)
