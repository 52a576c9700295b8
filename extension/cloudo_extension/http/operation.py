"""Declares once what a handler's method accepts and returns. Handlers serve by it, and `openapi` documents by it.

Every HTTP method needs an operation: otherwise its handler class cannot be created.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field

from cloudo_kernel import errors
from cloudo_kernel.api import API_ROOT, PAGE_LIMIT, VERBS, errors_of
from cloudo_kernel.models import JsonObject, Request

Method = TypeVar("Method", bound=Callable[..., Any])

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MARK = "_cloudo_operation"
_PARAMETER = re.compile(r"{\w+(:path)?}")


class Query(Request):
    """Base of what a query may hold."""


class PageQuery(Query):
    """Which page of a list is wanted."""

    limit: int = Field(default=100, ge=1, le=PAGE_LIMIT, description="Maximum number of items.")
    cursor: str | None = Field(default=None, description="The `next` of the previous page.")


@dataclass(frozen=True)
class Reply:
    """A successful reply of an operation."""

    #: The record that is sent.
    content: type[BaseModel] | None = None
    #: The meaning of the reply, if the summary does not say it.
    text: str | None = None
    #: Media types of content other than a record. Without either, the reply has no body.
    media: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    id: str
    #: The verb of `Api` that it calls. Both need the same permission.
    verb: str | None = None
    query: tuple[type[BaseModel], ...] = ()
    #: Request headers that it reads, and their meanings.
    headers: Mapping[str, str] = field(default_factory=dict)
    body: type[BaseModel] | None = None
    #: Whether the body is optional.
    has_optional_body: bool = False
    #: Whether it accepts a body of any kind, which no schema describes.
    has_any_body: bool = False
    #: An example of a valid body.
    example: JsonObject | None = None
    #: Whether `If-Match` makes it fail if its object has changed since the caller read it.
    is_conditional: bool = False
    replies: Mapping[int, Reply] = field(default_factory=dict)
    #: Errors besides those of the verb.
    raises: tuple[type[errors.CloudoError], ...] = ()

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The accepted query parameters. Any other is an error."""
        return frozenset(field.alias or name for model in self.query for name, field in model.model_fields.items())

    @property
    def errors(self) -> frozenset[type[errors.CloudoError]]:
        """The errors of this operation, beyond those of every operation."""
        found = frozenset(self.raises) | (errors_of(self.verb) if self.verb else frozenset())
        return found | {errors.Outdated} if self.is_conditional else found

    @property
    def description(self) -> str | None:
        """The verb's docstring in `Api`."""
        return None if self.verb is None else VERBS[self.verb].documentation

    @property
    def permission(self) -> str | None:
        """The action that a token must allow, or None if every known caller may call."""
        action = None if self.verb is None else VERBS[self.verb].action
        return None if action is None else action.value


def operation(
    verb: str | None = None,
    *,
    reply: type[BaseModel] | None = None,
    status: int = 200,
    replies: Mapping[int, Reply] | None = None,
    id: str | None = None,  # noqa: A002 -- OpenAPI's word is operationId
    **more: Any,
) -> Callable[[Method], Method]:
    """Declare the operation of a method. `reply` and `status` are short for a single entry of `replies`."""
    name = id or verb
    assert name is not None
    made = Operation(name, verb, replies=replies or {status: Reply(reply)}, **more)

    def mark(method: Method) -> Method:
        setattr(method, _MARK, made)
        return method

    return mark


def operations_of(handler: type[Any]) -> dict[str, Operation]:
    """Return the handler's operations by HTTP method."""
    found = ((name, getattr(getattr(handler, name.lower()), _MARK, None)) for name in METHODS)
    return {name: operation for name, operation in found if operation is not None}


def check_operations(handler: type[Any]) -> None:
    """Raise `TypeError` if the handler has an HTTP method without an operation."""
    for name in METHODS:
        if name.lower() in vars(handler) and name not in operations_of(handler):
            raise TypeError(f"{handler.__qualname__}.{name.lower()} needs @operation(...) above it.")


def routes_of(*handlers: type[Any]) -> list[tuple[str, type[Any]]]:
    """Return the routes of handlers, whose verbs declare their addresses in `Api`."""
    return [(f"{API_ROOT}/{_path_of(handler)}", handler) for handler in handlers]


def _path_of(handler: type[Any]) -> str:
    """Return the pattern of a path. Raises `ValueError` if the handler's verbs declare several addresses, or none."""
    verbs = (VERBS[found.verb] for found in operations_of(handler).values() if found.verb is not None)
    [path] = {verb.http.partition(" ")[2] for verb in verbs if verb.http is not None}
    return _PARAMETER.sub(lambda found: "(.+)" if found[1] else "([^/]+)", path)
