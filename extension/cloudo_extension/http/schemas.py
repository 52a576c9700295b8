"""The schemas of records in the OpenAPI document, with an example each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from cloudo_extension.http.examples import EXAMPLES
from cloudo_kernel.models import JsonObject, Page

Mode = Literal["validation", "serialization"]

_REF: Final = "#/components/schemas/{model}"


class _Untitled(GenerateJsonSchema):
    """Gives fields no titles, which would only repeat their names."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Return False; pydantic asks for each field."""
        return False


def schemas_of(models: Iterable[tuple[type[BaseModel], Mode]]) -> tuple[dict[tuple[Any, Mode], JsonObject], JsonObject]:
    """Return a reference for each model and mode, and the schemas by name."""
    wanted = sorted(set(models), key=lambda pair: (pair[0].__name__, pair[1]))
    references, made = models_json_schema(wanted, ref_template=_REF, schema_generator=_Untitled)
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
    made = model.model_json_schema(ref_template=_REF, schema_generator=_Untitled)
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
