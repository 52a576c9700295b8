"""The call of a webhook as it came over HTTP, and what the flow gets of it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

import pydantic_core

from cloudo_kernel.bounds import OutOfBounds, check_json
from cloudo_kernel.errors import ContentTypeRefused, MalformedRequest, TooLarge
from cloudo_kernel.models import JsonObject

#: In the query and in a JSON payload.
_KEY = "key"
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 10_000
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-cloudo-key", "x-xsrftoken"})
_TRUTHS = {"": True, "1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class WebhookCall:
    """One call. Its headers are a mapping that does not tell capitals from small letters."""

    webhook_name: str
    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    source_ip: str
    body: bytes = field(default=b"", repr=False)
    #: Whether the body was longer than this, and was not kept.
    is_too_large: bool = False

    @property
    def wants_no_wait(self) -> bool:
        """Whether the caller wants the execution's id at once. Raises `MalformedRequest`."""
        word = next((value for name, value in reversed(self.query) if name == "async"), "0")
        if word not in _TRUTHS:
            raise MalformedRequest(f"async takes 1 or 0, not {word[:50]!r}.", field="async")
        return _TRUTHS[word]

    def shown_keys(self, key_header: str) -> list[str]:
        """Return what may be the key, of all places where it can be."""
        found = [value for name, value in self.query if name == _KEY]
        if key_header in self.headers:
            found.append(self.headers[key_header])
        try:
            payload = self.content.get("json")
        except (MalformedRequest, ContentTypeRefused, TooLarge):  # it is told when it is known who is calling
            payload = None
        if isinstance(payload, dict) and isinstance(payload.get(_KEY), str):
            found.append(payload[_KEY])
        return found

    @cached_property
    def content(self) -> JsonObject:
        """Return the body as `json`, `form` or `text`, nothing if there is none.

        Raises `MalformedRequest`, `ContentTypeRefused` and `TooLarge`.
        """
        if not self.body:
            return {}
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ContentTypeRefused("A compressed body is not taken.")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            return {"json": _json(self.body)}
        if kind.startswith("multipart/"):
            raise ContentTypeRefused(f"A body of the kind multipart is not taken; send JSON, text or {_FORM}.")
        try:
            text = self.body.decode()
        except UnicodeDecodeError as error:
            raise MalformedRequest("The body is not UTF-8.") from error
        if kind != _FORM:
            return {"text": text}
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        except ValueError as error:
            raise MalformedRequest("The body is not a form that was encoded as an address is.") from error
        return {"form": _grouped(pairs)}

    def inputs(self, *, key_header: str, key: str | None) -> JsonObject:
        """Return what the flow gets: all but credentials; `key` is the one that the caller has shown."""
        content = self.content
        payload = content.get("json")
        if key is not None and isinstance(payload, dict) and payload.get(_KEY) == key:
            content = {"json": {name: value for name, value in payload.items() if name != _KEY}}
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
        """Tell whether it came from one of the networks; none at all are anywhere."""
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
    """Tell whether a header tells the key, as those do in which proxies and browsers repeat the address."""
    return key is not None and (key in value or key in unquote(value))


def _json(body: bytes) -> Any:
    try:
        check_json(body)
        # Strict where `json` is not: no NaN, no lone surrogates, no endless nesting.
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except OutOfBounds as error:
        raise TooLarge(f"The body is too large: {error}.") from None
    except ValueError as error:
        raise MalformedRequest(f"The body is not JSON: {error}.") from error


def _grouped(pairs: Iterable[tuple[str, str]]) -> JsonObject:
    """Return values by name; the values of a name that was repeated are a list."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
