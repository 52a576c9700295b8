"""Conditional requests: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, section 13).

An entity tag has two parts, `"<version>.<representation>"`. An edit is refused only if the version has changed, so that
the next run of a schedule, for example, does not make it fail. A reply is omitted only if both parts are unchanged.
"""

from __future__ import annotations

import hashlib
import re

from pydantic import BaseModel

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.versions import ANY_VERSION, version_of

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_TAGS = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*\s*")


def etag_of(record: BaseModel, content: bytes) -> str | None:
    """Return the entity tag of a record that is sent as `content`, or None if it cannot be edited."""
    version = version_of(record)
    return None if version is None else f'"{version}.{hashlib.sha256(content).hexdigest()[:16]}"'


def versions_in(header: str | None) -> frozenset[str] | None:
    """Return the versions that `If-Match` names, or None if it was not sent. Raises `MalformedRequest`.

    Weak tags are accepted, because only the version is compared: proxies that compress a reply weaken its tag.
    """
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset({ANY_VERSION})
    if not _TAGS.fullmatch(header):
        raise MalformedRequest('The header If-Match takes what ETag said, with its quotes, or "*".')
    return frozenset(tag.partition(".")[0] for tag in _TAG.findall(header))
