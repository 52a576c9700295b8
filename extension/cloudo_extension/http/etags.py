"""Requests that depend on what the caller saw last: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, section 13).

An entity tag has two parts, `"<version>.<representation>"`: an edit is refused when the first has changed, so that the
next run of a schedule, say, does not come between reading and writing it; and only when the second is the same too,
a reply need not be sent again.
"""

from __future__ import annotations

import hashlib
import re

from pydantic import BaseModel

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.versions import ANY_VERSION, version_of

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_TAGS = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*\s*")


def etag_of(record: BaseModel, text: str) -> str | None:
    """Return the entity tag of a record that is sent as `text`, None for what nobody edits."""
    version = version_of(record)
    return None if version is None else f'"{version}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def versions_in(header: str | None) -> frozenset[str] | None:
    """Return the versions that `If-Match` names; None where it is not sent. Raises `MalformedRequest`.

    A tag that a proxy has made weak, because it compressed the reply, is as good: only its version is looked at.
    """
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset({ANY_VERSION})
    if not _TAGS.fullmatch(header):
        raise MalformedRequest('The header If-Match takes what ETag said, with its quotes, or "*".')
    return frozenset(tag.partition(".")[0] for tag in _TAG.findall(header))
