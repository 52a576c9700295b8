"""An HTTP call of a webhook, and the inputs that the flow gets from it. Pure."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

import pydantic_core

from cloudo_kernel.errors import ContentTypeRefused, MalformedRequest, TooLarge
from cloudo_kernel.models import JsonObject, Webhook
from cloudo_kernel.models.senders import header_of
from cloudo_kernel.security.bounds import OutOfBounds, check_json

#: The name of the key in the query and in a JSON body.
_KEY = "key"
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 10_000
#: Longer delivery ids are stored as a digest.
_MAX_ID = 255
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,100}?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
#: Python caches every codec name that it looks up, so callers may choose only from these.
_CHARSETS = frozenset({*aliases, *aliases.values(), "koi8_u", "cp874"}) - {"utf_7", "u7", "unicode_1_1_utf_7"}
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-cloudo-key", "x-xsrftoken"})
_TRUTHS = {"": True, "1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class DeliveryRequest:
    """One call. Its headers are a case-insensitive mapping."""

    webhook_name: str
    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    source_ip: str
    #: The full URL, as the caller used it unless a proxy has changed it.
    url: str = ""
    body: bytes = field(default=b"", repr=False)
    #: Whether the body was too large and was dropped.
    is_too_large: bool = False

    @property
    def wants_no_wait(self) -> bool:
        """Whether the caller wants the execution's id at once. Raises `MalformedRequest`."""
        word = next((value for name, value in reversed(self.query) if name == "async"), "0")
        if word not in _TRUTHS:
            raise MalformedRequest(f"async takes 1 or 0, not {word[:50]!r}.", field="async")
        return _TRUTHS[word]

    def shown_keys(self, key_header: str) -> list[str]:
        """Return all values that may be the key, from each place where it can be."""
        found = [value for name, value in self.query if name == _KEY]
        if key_header in self.headers:
            found.append(self.headers[key_header])
        found += _authorized(self.headers.get("Authorization", ""))
        try:
            payload = self.content.get("json")
        except (MalformedRequest, ContentTypeRefused, TooLarge):  # reported once the caller is known
            payload = None
        if isinstance(payload, dict) and isinstance(payload.get(_KEY), str):
            found.append(payload[_KEY])
        return found

    def sender_id(self, places: str) -> str | None:
        """Return the sender's id of this delivery, read from `places` (see `Webhook.delivery_id`), or None."""
        found = [self._at(place) for place in places.split()]
        if not all(found):
            return None
        text = " ".join(str(one) for one in found)
        return text if len(text) <= _MAX_ID else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def _at(self, place: str) -> str | None:
        if not place.startswith("$"):
            return header_of(self.headers, place)
        try:
            value = self.content.get("json", self.content.get("form"))
        except (MalformedRequest, ContentTypeRefused, TooLarge):
            return None
        for name, index in _STEP.findall(place):
            if index:
                value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
            else:
                value = value.get(name) if isinstance(value, dict) else None
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None

    def challenge(self, webhook: Webhook) -> str | None:
        """Return the challenge that an unsigned GET expects back, None for any other call."""
        if self.method != "GET" or webhook.challenge_parameter is None:
            return None
        return next((value for name, value in self.query if name == webhook.challenge_parameter), None)

    @cached_property
    def content(self) -> JsonObject:
        """Return the body as `json`, `form` or `text`, as `body_base64` if it is not text, or empty without a body.

        Raises `MalformedRequest`, `ContentTypeRefused` and `TooLarge`.
        """
        if not self.body:
            return {}
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ContentTypeRefused("A compressed body is not accepted. Send it without Content-Encoding.")
        kind, charset = _kind_and_charset(self.headers.get("Content-Type", ""))
        if kind == "application/json" or kind.endswith("+json"):
            return {"json": _json(self.body, charset)}
        if kind.startswith("multipart/"):
            raise ContentTypeRefused(f"A multipart body is not accepted. Send JSON, text or {_FORM}.")
        if charset is None and kind.endswith("xml") and (declared := _XML_ENCODING.match(self.body)):
            charset = declared[1].decode()
        text = _text(self.body, charset)
        if text is None:
            return {"body_base64": self._base64}
        if kind != _FORM:
            return {"text": text}
        return self._form(text, charset or "utf-8")

    def _form(self, text: str, charset: str) -> JsonObject:
        try:
            pairs = parse_qsl(
                text, keep_blank_values=True, encoding=charset, errors="strict", max_num_fields=_MAX_FIELDS
            )
        except UnicodeDecodeError:
            return {"body_base64": self._base64}
        except ValueError as error:
            raise MalformedRequest(f"The body is a form of more than {_MAX_FIELDS:,} fields.") from error
        return {"form": _grouped(pairs)}

    @property
    def _base64(self) -> str:
        return base64.b64encode(self.body).decode()

    def _content_and_bytes(self, key: str | None) -> JsonObject:
        """Return the parsed body, empty if it is invalid, with its bytes unless they contain the key."""
        try:
            content = self.content
        except (MalformedRequest, ContentTypeRefused, TooLarge):
            content = {}
        hides = not self.body or (key is not None and key.encode() in self.body)
        return content if hides else {**content, "body_base64": self._base64}

    def inputs(self, *, key_header: str, key: str | None, raw: bool = False) -> JsonObject:
        """Return the inputs of the flow: the call without credentials. `key` is the valid key that the caller sent.

        With `raw`, any body is accepted, and its bytes are included.
        """
        content = self._content_and_bytes(key) if raw else self.content
        payload = content.get("json")
        if key is not None and isinstance(payload, dict) and payload.get(_KEY) == key:
            content = {**content, "json": {name: value for name, value in payload.items() if name != _KEY}}
        hidden = _CREDENTIALS | {key_header.lower()}
        return {
            "method": self.method,
            "path": self.path,
            "query": _grouped(
                (name, value) for name, value in self.query if key is None or (name, value) != (_KEY, key)
            ),
            "headers": {
                name: value
                for name, value in self.headers.items()
                if not (name.lower() in hidden or _holds(value, key))
            },
            **content,
        }

    def is_from(self, networks: Sequence[str]) -> bool:
        """Tell whether the call came from one of the networks. An empty list allows any address."""
        if not networks:
            return True
        try:
            address = ipaddress.ip_address(self.source_ip)
        except ValueError:  # a Unix socket has no address
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in ipaddress.ip_network(network) for network in networks)


def _holds(value: str, key: str | None) -> bool:
    """Tell whether a header contains the key. Proxies and browsers repeat the URL in some headers."""
    return key is not None and (key in value or key in unquote(value))


def _authorized(header: str) -> list[str]:
    """Return the key of `Authorization: Bearer …`, or the password of `Basic …`."""
    scheme, _, given = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return [given.strip()]
    if scheme.lower() != "basic":
        return []
    try:
        return [base64.b64decode(given, validate=True).decode().partition(":")[2]]
    except ValueError:
        return []


def _kind_and_charset(header: str) -> tuple[str, str | None]:
    kind, *parameters = (part.strip() for part in header.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return kind.lower(), value.strip().strip("\"'") or None
    return kind.lower(), None


def _text(body: bytes, charset: str | None) -> str | None:
    """Return the body as text, by default UTF-8. None if it cannot be decoded, or the charset is unknown."""
    name = normalize_encoding(charset or "utf-8").lower()
    try:
        return body.decode(name) if name in _CHARSETS else None
    except (LookupError, ValueError):  # a codec that is not a charset, or the wrong charset
        return None


def _json(body: bytes, charset: str | None) -> Any:
    text = None if charset is None else _text(body, charset)
    body = body if text is None else text.encode()
    try:
        check_json(body)
        # Strict where `json` is not: no NaN, no lone surrogates, no endless nesting.
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except OutOfBounds as error:
        raise TooLarge(f"The body is too large: {error}.") from None
    except ValueError as error:
        raise MalformedRequest(f"The body is not JSON: {error}.") from error


def _grouped(pairs: Iterable[tuple[str, str]]) -> JsonObject:
    """Return values by name. A repeated name gets a list of its values."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
