"""Calls a verb of `Api` by its HTTP address, in process: for widgets that have no server to ask.

Everything follows from the declarations in `VERBS`. What REST adds beyond them, such as `wait`, is not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple, get_args, get_type_hints
from urllib.parse import parse_qs, unquote

from pydantic import BaseModel, TypeAdapter, ValidationError

from cloudo_kernel.api import VERBS, Api
from cloudo_kernel.api.verb import Verb, as_json
from cloudo_kernel.errors import CloudoError, MalformedRequest, ResourceNotFoundError
from cloudo_kernel.errors.http_status import status_of
from cloudo_kernel.models import malformed
from cloudo_kernel.models.canonical import from_query
from cloudo_kernel.models.versions import version_of

_IN_PATH: Final = re.compile(r"{(\w+)(:path)?}")
_TAG: Final = re.compile(r'"([^".]+)[^"]*"')
#: Parameters about the form of a list; without a server, lists come whole.
_LIST_FORM: Final = frozenset({"limit", "cursor", "brief", "runs"})


class Reply(NamedTuple):
    """A reply, as REST would send it."""

    status: int
    #: By lower-case name.
    headers: dict[str, str]
    #: JSON, or the text of a notebook or source.
    body: Any


def dispatch(api: Api, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
    """Call the verb at a path below REST's root. `headers` are by lower-case name. Errors become replies."""
    try:
        address, _, query = path.partition("?")
        verb, named = _verb_at(method, address)
        asked = parse_qs(query, keep_blank_values=False)
        call: Any = getattr(api, verb.name)
        if tags := _TAG.findall(headers.get("if-match", "")):
            look, _ = _verb_at("GET", address)
            call = partial(getattr(api, "unless_changed"), frozenset(tags), getattr(api, look.name), call)  # noqa: B009 -- only services have it
        result = call(*named.values(), **_arguments(verb, named, asked, body, headers))
    except ValidationError as error:
        return _refusal(malformed(error))
    except CloudoError as error:
        return _refusal(error)
    if result is None:
        return Reply(HTTPStatus.NO_CONTENT, {}, None)
    version = version_of(result) if isinstance(result, BaseModel) else None
    sent = {"items": as_json(result), "next": None} if isinstance(result, tuple) else as_json(result)
    return Reply(HTTPStatus.OK, {} if version is None else {"etag": f'"{version}.0"'}, sent)


def _refusal(error: CloudoError) -> Reply:
    return Reply(status_of(error), {}, {"error": error.payload})


def _verb_at(method: str, address: str) -> tuple[Verb, dict[str, str]]:
    """Return the verb of an address, and the parts of the path that it names. Raises `ResourceNotFoundError`."""
    for known, pattern, verb in _addresses():
        if known == method and (found := pattern.fullmatch(address)):
            return verb, {name: unquote(part) for name, part in found.groupdict().items()}
    raise ResourceNotFoundError(f"There is no address {method} {address[:200]} without a server.")


@cache
def _addresses() -> list[tuple[str, re.Pattern[str], Verb]]:
    """Return method, pattern of the path, and verb; the most specific pattern first."""
    found = []
    for verb in VERBS.values():
        method, _, path = (verb.http or "").partition(" ")
        if path:
            pattern = _IN_PATH.sub(lambda part: f"(?P<{part[1]}>{'.+' if part[2] else '[^/]+'})", path)
            found.append((path.count("{"), ":path" in path, method, re.compile(pattern), verb))
    return [(method, pattern, verb) for *_, method, pattern, verb in sorted(found, key=lambda one: one[:2])]


def _arguments(
    verb: Verb, named: Mapping[str, str], asked: Mapping[str, list[str]], body: Any, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return the keyword arguments that a query, a body and headers name. Raises `MalformedRequest`."""
    if body is not None and not isinstance(body, dict):
        raise MalformedRequest("The body must be a JSON object.")
    sent = {**asked, **(body or {})}
    arguments: dict[str, Any] = {}
    for name, kind in _types(verb).items():
        model = next((part for part in (kind, *get_args(kind)) if _is_model(part)), None)
        if name in named:
            continue
        if model is not None:
            taken = {key: sent.pop(key) for key in list(sent) if key in model.model_fields or model is kind}
            fields = {key: _given(model.model_fields[key].annotation, value) if key in asked else value
                      for key, value in taken.items()}  # fmt: skip
            arguments[name] = model.model_validate(fields)
        elif name.replace("_", "-") in headers:
            arguments[name] = headers[name.replace("_", "-")]
        elif (key := _key(name, kind, sent)) is not None:
            given = _given(kind, sent.pop(key)) if key in asked else sent.pop(key)
            value = timedelta(seconds=_adapter(float).validate_python(given)) if kind is timedelta else given
            arguments[name] = _adapter(kind).validate_python(value)
    if unknown := sent.keys() - _LIST_FORM:
        raise MalformedRequest(f"Unknown parameter {min(unknown)!r}.", field=min(unknown))
    return arguments


def _key(name: str, kind: Any, sent: Mapping[str, Any]) -> str | None:
    """Return the name that REST has for a parameter: `states` is `state`, a time has its unit."""
    keys = (name, f"{name}_seconds" if kind is timedelta else name, name.removesuffix("s"), name.removeprefix("new_"))
    return next((key for key in keys if key in sent), None)


def _given(kind: Any, texts: list[str]) -> Any:
    """Return the value of a query parameter; a list can be repeated, or separated by commas."""
    is_list = any(word in str(kind) for word in ("tuple", "Sequence"))
    return [part for text in texts for part in text.split(",") if part] if is_list else from_query(kind, texts[0])


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


@cache
def _types(verb: Verb) -> dict[str, Any]:
    return {name: kind for name, kind in get_type_hints(verb.declaration).items() if name != "return"}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
