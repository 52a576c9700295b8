"""Declares a verb once, as a method of `Api` or `RunVerbs`. All ends derive from the declaration what they share.

Permissions, the HTTP client, both ends of a run's channel and the OpenAPI document read these records.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, wraps
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter

from cloudo_kernel.models import Action

Method = TypeVar("Method", bound=Callable[..., Any])
T = TypeVar("T")

_MARK = "_cloudo_verb"


@dataclass(frozen=True)
class Verb:
    """One verb, as it is declared."""

    name: str
    #: The method that declares it. It has the signature and the documentation.
    declaration: Callable[..., Any]
    #: The action that a caller must be allowed, or None if every known caller may use the verb.
    action: Action | None
    #: HTTP method and path below the root of REST, such as `POST execution/{execution_id}/cancel`.
    #: In `{name:path}` a `/` stays a `/`. None if the verb shares the address of another one.
    http: str | None
    #: Whether the records belong to no flow, so that a caller who is limited to some flows cannot use the verb.
    beyond_flows: bool
    #: Whether the verb changes anything.
    writes: bool

    # Everything below is computed on first use: a start of a kernel or of the command line must not wait for it.

    @cached_property
    def documentation(self) -> str:
        """The docstring of the declaration."""
        return inspect.getdoc(self.declaration) or ""

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The default of each parameter, `inspect.Parameter.empty` if it has none."""
        return {name: parameter.default for name, parameter in self._signature.parameters.items() if name != "self"}

    @cached_property
    def returns(self) -> Any:
        """The type of the result."""
        return self._types["return"]

    @cached_property
    def result(self) -> TypeAdapter[Any]:
        """Validates results, from JSON or from Python."""
        return TypeAdapter(self.returns)

    def arguments(self, *given: Any, **named: Any) -> dict[str, Any]:
        """Return the arguments of a call by name, including defaults. Raises `TypeError`, as the call itself would."""
        bound = self._signature.bind(None, *given, **named)
        bound.apply_defaults()
        del bound.arguments["self"]
        return bound.arguments

    def validated(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments that came as JSON with their declared types. Raises `ValidationError`."""
        readers = self._readers
        return {
            name: readers[name].validate_python(value) if name in readers else value
            for name, value in arguments.items()
        }

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.declaration)

    @cached_property
    def _types(self) -> Mapping[str, Any]:
        return get_type_hints(self.declaration, include_extras=True)

    @cached_property
    def _readers(self) -> Mapping[str, TypeAdapter[Any]]:
        """Validate the arguments that are more than plain JSON, by name."""
        return {name: TypeAdapter(kind) for name, kind in self._types.items() if name != "return" and _is_record(kind)}


def verb(
    action: Action | None = None, http: str | None = None, *, beyond_flows: bool = False, writes: bool | None = None
) -> Callable[[Method], Method]:
    """Declare a method as a verb. See `Verb`.

    The method is not wrapped. A verb changes something unless it requires no action, or only `Action.READ`.
    """

    def mark(method: Method) -> Method:
        does_write = action not in (None, Action.READ) if writes is None else writes
        setattr(method, _MARK, Verb(method.__name__, method, action, http, beyond_flows, does_write))
        return method

    return mark


def verbs_of(kind: type[Any]) -> Mapping[str, Verb]:
    """Return the verbs that a class declares or inherits, by name, in the order of their declaration."""
    members = (member for base in reversed(kind.__mro__) for member in vars(base).values())
    found = (getattr(member, _MARK, None) for member in members)
    return {one.name: one for one in found if one is not None}


def derived(implement: Callable[[Verb], Callable[..., Any]]) -> Callable[[type[T]], type[T]]:
    """Implement each verb that a class inherits without implementing it, by `implement(verb)`.

    The method has the name, the signature and the documentation of the declaration.
    """

    def complete(kind: type[T]) -> type[T]:
        for name, declared in verbs_of(cast("type[Any]", kind)).items():
            if getattr(kind, name) is declared.declaration:
                setattr(kind, name, wraps(declared.declaration)(implement(declared)))
        return kind

    return complete


def as_json(value: Any) -> Any:
    """Return a result as JSON: a record, a tuple of records, or JSON already."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [as_json(part) for part in value] if isinstance(value, tuple) else value


def _is_record(kind: Any) -> bool:
    return any(isinstance(part, type) and issubclass(part, BaseModel | Enum) for part in (kind, *get_args(kind)))
