"""Follow-ups, which are flows to start and addresses to notify after the end of an execution, and their notation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from cloudo_kernel.models.base import TAG, JsonObject, Request

_FITS = 'takes the name of a flow, {"flow": name, "inputs"?: {…}}, {"url": "https://…", "secret"?: setting}, or a list'
_MAX_URL = 2000
_FLOW, _CALL = f"{TAG}flow", f"{TAG}call"


class Occasion(StrEnum):
    """The ends of an execution that a follow-up is for; also the names of the fields in metadata and schedules."""

    ON_SUCCESS = "on_success"
    ON_ERROR = "on_error"
    #: It succeeded, and the one before of the same flow, or of the same schedule, had failed.
    ON_RECOVERY = "on_recovery"


def _url(url: str) -> str:
    """Return the URL unchanged. Raises `ValueError` if it cannot be called."""
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        raise ValueError(f"takes a URL of up to {_MAX_URL:,} ASCII characters; write others as %… or xn--…")
    parts = urlsplit(url)  # raises ValueError for brackets that hold no address
    if parts.scheme not in {"http", "https"}:
        raise ValueError("takes a URL that begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("takes a URL without user name and password, which would appear in lists and logs")
    if not parts.hostname or "%" in parts.netloc or parts.port == 0:  # an impossible port raises ValueError
        raise ValueError("takes a URL with the name or the address of a host, such as https://example.com/hook")
    return url


class FollowingFlow(Request):
    """A flow to start."""

    flow: str = Field(min_length=1, max_length=1000)
    inputs: JsonObject = Field(
        default_factory=dict, description="Additional inputs. They override the inputs about the ended execution."
    )


class Notification(Request):
    """An address to call."""

    url: Annotated[str, AfterValidator(_url)]
    secret: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Name of the setting with the secret (`whsec_…`) that signs the call; null for no signature.",
    )


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return _CALL if "url" in value else _FLOW if "flow" in value else None
    return _FLOW if isinstance(value, FollowingFlow) else _CALL if isinstance(value, Notification) else None


def _listed(value: Any) -> Any:
    """Return the follow-ups, also a single one or names of flows, as a tuple of objects."""
    ones = value if isinstance(value, list | tuple) else [value]
    return tuple({"flow": one} if isinstance(one, str) else one for one in ones)


FollowUp = Annotated[
    Annotated[FollowingFlow, Tag(_FLOW)] | Annotated[Notification, Tag(_CALL)],
    Discriminator(_kind, custom_error_type="follow_up", custom_error_message=_FITS),
]
FollowUps = Annotated[tuple[FollowUp, ...], Field(max_length=10), BeforeValidator(_listed)]


def _read(value: Any) -> Any:
    return parse(value) if isinstance(value, str) else value


#: The same as JSON or as text, which `parse` reads; null, or empty text, for those of the flow.
WrittenFollowUps = Annotated[FollowUps | None, BeforeValidator(_read, json_schema_input_type=FollowUps | str | None)]


def parse_lines(lines: Sequence[str]) -> Any:
    """Return the follow-ups in `lines` as requests take them, or None without any: the flow's own are used then.

    A line is the name of a flow, an address, or JSON: an object, a list of them (`[]` for no follow-up), or null.
    Raises `ValueError` for invalid JSON.
    """
    found: list[Any] = []
    given = [line.strip() for line in lines if line.strip()]
    for line in given:
        if line == "null" and len(given) == 1:
            return None
        if line.startswith(("{", "[")):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{line[:60]!r} is not valid JSON: {error}") from error
            found += value if isinstance(value, list) else [value]
        else:
            found.append({"url": line} if line.startswith(("http://", "https://")) else line)
    return found if given else None


def parse(text: str) -> Any:
    """Return the follow-ups in the text of one field, as `parse_lines` does; JSON may have several lines."""
    try:
        json.loads(text)
    except ValueError:
        return parse_lines(text.splitlines())
    return parse_lines([text])


def describe(follow_ups: Sequence[FollowingFlow | Notification]) -> str:
    """Return a description: `starts Notify by email, calls https://example.com/hook`."""
    return ", ".join(map(_description, follow_ups)) or "nothing"


def _description(one: FollowingFlow | Notification) -> str:
    if isinstance(one, Notification):
        return f"calls {one.url}" + (f", signed with {one.secret}" if one.secret else "")
    inputs = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in one.inputs.items())
    return f"starts {one.flow}" + (f" with {inputs}" if inputs else "")
