"""The signature of a flow: its inputs as keyword arguments, read from its input schema."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, Literal, TypeVar, Union, cast

Method = TypeVar("Method", bound=Callable[..., Any])

_TYPES: Final[Mapping[str, type]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the schema of each input, by name."""
    found: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    return found


def annotation_of(schema: Mapping[str, Any]) -> Any:
    """Return the type of an input: `Literal["north", "south"]`, `int`, `Any` if it takes everything."""
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if "anyOf" in schema:
        return Union[tuple(map(annotation_of, schema["anyOf"]))]  # noqa: UP007 -- the types are known at run time only
    named = schema.get("type", ())
    kinds = tuple(_TYPES[kind] for kind in ([named] if isinstance(named, str) else named) if kind in _TYPES)
    return Union[kinds] if kinds else Any  # noqa: UP007 -- as above


def words_of(schema: Mapping[str, Any]) -> str:
    """Return the type of an input in words."""
    return inspect.formatannotation(annotation_of(schema)).replace("typing.", "")


def signature_of(schema: Mapping[str, Any], *, usual: inspect.Signature) -> inspect.Signature:
    """Return a signature with the inputs of a flow as keyword arguments.

    The other parameters are those of `usual`. Inputs whose names cannot be arguments are left out: `inputs` takes them.
    """
    kept = [one for one in usual.parameters.values() if one.kind is not one.VAR_KEYWORD]
    is_open = bool(schema.get("additionalProperties", True))
    rest = [one for one in usual.parameters.values() if one.kind is one.VAR_KEYWORD and is_open]
    required, taken = schema.get("required", ()), {one.name for one in usual.parameters.values()}
    inputs = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=about.get("default", inspect.Parameter.empty if name in required else None),
            annotation=annotation_of(about),
        )
        for name, about in properties_of(schema).items()
        if name.isidentifier() and not keyword.iskeyword(name) and name not in taken
    ]
    return usual.replace(parameters=[*kept, *inputs, *rest])


def takes_inputs(method: Method) -> Method:
    """Give a method of `Flow` the signature of the flow's inputs, as `flow.run?` and `inspect.signature` show it."""
    return cast("Method", _TakesInputs(method))


class _TakesInputs:
    """A method whose signature depends on its flow."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, flow: Any, kind: type[Any]) -> Callable[..., Any]:
        """Return the method of a flow, or of the class. Python calls it."""
        if flow is None:
            return self._method
        method = self._method

        @wraps(method)
        def bound(*given: Any, **named: Any) -> Any:
            return method(flow, *given, **named)

        usual = inspect.signature(method)
        own = usual.replace(parameters=list(usual.parameters.values())[1:])
        bound.__signature__ = signature_of(flow.get("input_schema"), usual=own)  # type: ignore[attr-defined]  # PEP 362
        return bound
