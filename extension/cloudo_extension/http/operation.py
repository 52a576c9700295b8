"""What one method of a handler takes and answers, said once: it is served by this, and `openapi` documents it by this.

A method without an operation is no method of REST: the class of its handler cannot be made.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field

from cloudo_kernel import errors
from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.models import JsonObject, Request
from cloudo_kernel.security.permissions import OF_VERB

Method = TypeVar("Method", bound=Callable[..., Any])

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NAMES = re.compile(r"`(\w+)`")
_MARK = "_cloudo_operation"


class Query(Request):
    """Base of what a query may hold."""


class PageQuery(Query):
    """Which page of a list is wanted."""

    #: The most items that the page holds.
    limit: int = Field(default=100, ge=1, le=PAGE_LIMIT)
    #: The `next` of the page before.
    cursor: str | None = None


@dataclass(frozen=True)
class Reply:
    """One way in which an operation succeeds."""

    #: The record that is sent.
    content: type[BaseModel] | None = None
    #: What it means, where the summary does not say it.
    text: str | None = None
    #: Media types of what is sent that is no record; with neither of both, nothing is sent.
    media: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    id: str
    #: The verb of `Api` that it calls: whoever may use that may use this.
    verb: str | None = None
    query: tuple[type[BaseModel], ...] = ()
    #: Headers with a meaning here, and what they mean.
    headers: Mapping[str, str] = field(default_factory=dict)
    body: type[BaseModel] | None = None
    #: Whether the body can be left out.
    has_optional_body: bool = False
    #: Whether it takes a body of any kind, which is none of ours to describe.
    has_any_body: bool = False
    #: A body that is taken.
    example: JsonObject | None = None
    #: Whether it is refused where its object was changed since the caller saw it, if the caller says so.
    is_conditional: bool = False
    replies: Mapping[int, Reply] = field(default_factory=dict)
    #: What can go wrong besides what the verb raises.
    raises: tuple[type[errors.CloudoError], ...] = ()

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The query parameters that are taken; any other is an error."""
        return frozenset(name for model in self.query for name in model.model_fields)

    @property
    def errors(self) -> frozenset[type[errors.CloudoError]]:
        """What can go wrong, beyond what can go wrong everywhere."""
        found = frozenset(self.raises) | (errors_of(self.verb) if self.verb else frozenset())
        return found | {errors.Outdated} if self.is_conditional else found

    @property
    def description(self) -> str | None:
        """What `Api` says of the verb."""
        return None if self.verb is None else inspect.getdoc(getattr(Api, self.verb))

    @property
    def permission(self) -> str | None:
        """The action that a token must allow; None for every known caller."""
        action = None if self.verb is None else OF_VERB[self.verb]
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
    """Say what the method below is; `reply` with `status` is short for the only one of `replies`."""
    name = id or verb
    assert name is not None
    made = Operation(name, verb, replies=replies or {status: Reply(reply)}, **more)

    def mark(method: Method) -> Method:
        setattr(method, _MARK, made)
        return method

    return mark


def operations_of(handler: type[Any]) -> dict[str, Operation]:
    """Return what the handler serves, by method."""
    found = ((name, getattr(getattr(handler, name.lower()), _MARK, None)) for name in METHODS)
    return {name: operation for name, operation in found if operation is not None}


def check_operations(handler: type[Any]) -> None:
    """Raise `TypeError` if the handler has a method of HTTP that does not say what it is."""
    for name in METHODS:
        if name.lower() in vars(handler) and name not in operations_of(handler):
            raise TypeError(f"{handler.__qualname__}.{name.lower()} needs @operation(...) above it.")


def errors_of(verb: str) -> frozenset[type[errors.CloudoError]]:
    """Return the errors that the docstring of a verb says it raises, those of other verbs that it names among them."""
    _, _, told = (inspect.getdoc(getattr(Api, verb)) or "").partition("Raises")
    found: set[type[errors.CloudoError]] = set()
    for name in _NAMES.findall(told):
        if name in OF_VERB and name != verb:
            found |= errors_of(name)
        elif isinstance(kind := getattr(errors, name, None), type) and issubclass(kind, errors.CloudoError):
            found.add(kind)
    return frozenset(found)
