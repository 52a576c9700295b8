"""The schemas of records in the OpenAPI document, with the comments of their fields and an example each."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from cloudo_extension.http.examples import EXAMPLES
from cloudo_kernel.models import JsonObject, Page

Mode = Literal["validation", "serialization"]

_REF: Final = "#/components/schemas/{model}"
_WHOLE_CLASS: Final = re.MULTILINE | re.DOTALL
#: `#:` lines, then the field that they describe.
_COMMENTED = re.compile(r"((?:^ +#: .*\n)+)^ +(\w+):", re.MULTILINE)


class _Described(GenerateJsonSchema):
    """Adds the comments of fields to the schema, and removes titles that only repeat a name."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().model_schema(schema)
        told = comments_of(schema["cls"])
        for name, described in found.get("properties", {}).items():
            described.pop("title", None)
            if name in told:
                described["description"] = told[name]
        return found


def schemas_of(models: Iterable[tuple[type[BaseModel], Mode]]) -> tuple[dict[tuple[Any, Mode], JsonObject], JsonObject]:
    """Return a reference for each model and mode, and the schemas by name."""
    wanted = sorted(set(models), key=lambda pair: (pair[0].__name__, pair[1]))
    references, made = models_json_schema(wanted, ref_template=_REF, schema_generator=_Described)
    schemas = made["$defs"]
    for (model, mode), reference in references.items():
        if mode == "serialization" and (example := example_of(model)) is not None:
            schemas[reference["$ref"].rpartition("/")[2]]["examples"] = [example]
    return dict(references), schemas


def example_of(model: type[Any]) -> JsonObject | None:
    """Return an example of `model` as JSON, or None. A page has one item."""
    parts = getattr(model, "__pydantic_generic_metadata__", {"origin": None})
    if parts["origin"] is Page:
        item = example_of(parts["args"][0])
        return None if item is None else {"items": [item], "next": None}
    record = next((record for record in EXAMPLES if type(record) is model), None)
    return None if record is None else record.model_dump(mode="json")


def parameters_of(model: type[BaseModel]) -> list[JsonObject]:
    """Return a model's fields as query parameters."""
    made = model.model_json_schema(ref_template=_REF, schema_generator=_Described)
    definitions = made.get("$defs", {})
    found = []
    for name, schema in made["properties"].items():
        parameter: JsonObject = {"name": name, "in": "query", "required": name in made.get("required", ())}
        if text := schema.pop("description", None):
            parameter["description"] = text
        kinds = [kind for kind in schema.pop("anyOf", [schema]) if kind != {"type": "null"}]
        if schema.get("default", "") is None:
            del schema["default"]
        parameter["schema"] = _inline({**schema, **kinds[0]}, definitions)
        found.append(parameter)
    return found


def _inline(schema: Any, definitions: JsonObject) -> Any:
    """Return a schema with its references replaced by their definitions."""
    if isinstance(schema, list):
        return [_inline(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return definitions[schema["$ref"].rpartition("/")[2]]
    return {name: _inline(part, definitions) for name, part in schema.items()}


@cache
def comments_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the comments of a model's fields, read from its source."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        # The parsers of `inspect` would take most of the time of building the document.
        written = re.search(rf"^class {kind.__name__}\b.*?(?=^\S|\Z)", _source(kind.__module__), _WHOLE_CLASS)
        for lines, name in _COMMENTED.findall(written[0] if written else ""):
            found[name] = " ".join(line.strip().removeprefix("#: ") for line in lines.splitlines())
    return found


@cache
def _source(module: str) -> str:
    try:
        return inspect.getsource(sys.modules[module]) if module.startswith("cloudo_") else ""
    except OSError:  # installed without its source
        return ""
