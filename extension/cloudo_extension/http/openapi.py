"""The OpenAPI document, built from the operations of the routes and the records that they read and write.

Nothing is listed here by hand: every served route is in the document.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from cloudo_extension.http.errors import ErrorReply
from cloudo_extension.http.examples import EXAMPLES
from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import Operation, Reply, operation, operations_of
from cloudo_kernel import errors
from cloudo_kernel.errors.http_status import status_of
from cloudo_kernel.models import JsonObject, Page
from cloudo_kernel.models.versions import EDITED

Route = tuple[str, type[Any]]
Mode = Literal["validation", "serialization"]

#: REST's root. Paths in the document are relative to it.
_ROOT: Final = "cloudo"
_ABOUT: Final = """\
Every Jupyter notebook is a flow, every run a durable execution.
Requests and replies are JSON. Times are RFC 3339 in UTC.
A write request with a login cookie instead of a token also needs the header X-XSRFToken.
"""
_TOKEN: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "The server's token, or an API token of Cloudo. The roles of an operation are the actions that "
    "an API token must allow; `*` allows everything.",
}
_IF_MATCH: Final = (
    "The `ETag` of the record that the caller read. If it was changed since, the request fails with 412. "
    "Values that change by themselves, such as the next run of a schedule, do not count."
)
_IF_NONE_MATCH: Final = (
    "The `ETag` of the record that the caller has. If it is still current, the reply is 304 without a body."
)
_ANY_JSON: Final[JsonObject] = {"application/json": {"schema": {}}}
#: Errors of every operation that requires a known caller.
_EVERYWHERE: Final = (errors.MalformedRequest, errors.PermissionDenied, errors.Unavailable)
_WITH_BODY: Final = (errors.MalformedRequest, errors.BodyTooSlow, errors.TooLarge, errors.ContentTypeRefused)
_REF: Final = "#/components/schemas/{model}"


class Document(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: JsonObject
    paths: JsonObject


def document(routes: Iterable[Route], *, base_url: str) -> JsonObject:
    """Return the document of the routes of a server at `base_url`."""
    served = [
        (_path(pattern, handler, operation), method, handler, operation)
        for pattern, handler in routes
        for method, operation in operations_of(handler).items()
    ]
    references, schemas = schemas_of(_models([operation for *_, operation in served]))
    paths: dict[str, JsonObject] = {}
    for path, method, handler, found in served:
        paths.setdefault(path, {})[method.lower()] = _Written(path, method, handler, found, references).whole()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cloudo", "version": version("cloudo"), "description": _ABOUT},
        "servers": [{"url": f"{base_url}{_ROOT}"}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in sorted({_tag(path) for path in paths})],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas, "securitySchemes": {"token": _TOKEN}},
    }


def _models(operations: Sequence[Operation]) -> Iterable[tuple[type[BaseModel], Mode]]:
    yield ErrorReply, "serialization"
    for found in operations:
        if found.body is not None:
            yield found.body, "validation"
        for reply in found.replies.values():
            if reply.content is not None:
                yield reply.content, "serialization"


def _path(pattern: str, handler: type[Any], found: Operation) -> str:
    """Return the path of a route, below the root. Its groups are named after the method's parameters."""
    [method] = [name for name, other in operations_of(handler).items() if other is found]
    names = iter([*inspect.signature(getattr(handler, method.lower())).parameters][1:])
    return re.sub(r"\([^()]*\)", lambda _group: f"{{{next(names)}}}", pattern.removeprefix(_ROOT))


def _tag(path: str) -> str:
    parts = path.removeprefix(API.removeprefix(_ROOT)).strip("/").split("/")
    return parts[0]


class _Written:
    """One operation in the document."""

    def __init__(
        self,
        path: str,
        method: str,
        handler: type[Handler],
        found: Operation,
        references: dict[tuple[Any, Mode], JsonObject],
    ) -> None:
        self._path = path
        self._found = found
        self._method = getattr(handler, method.lower())
        self._is_public = handler.is_public
        self._references = references

    def whole(self) -> JsonObject:
        """Return the Operation Object."""
        found = self._found
        summary, _, more = inspect.cleandoc(self._method.__doc__ or "").partition("\n")
        told = (more.strip(), found.description or "", self._permission())
        whole: JsonObject = {
            "operationId": found.id,
            "tags": [_tag(self._path)],
            "summary": summary.removesuffix(".").replace("`", ""),  # plain text; a description is Markdown
            "description": "\n\n".join(text for text in told if text),
            "parameters": self._parameters(),
            "responses": {str(status): reply for status, reply in sorted(self._responses().items())},
        }
        if self._is_public:
            whole["security"] = []
        elif found.permission:
            whole["security"] = [{"token": [found.permission]}]
            whole["x-permission"] = found.permission
        if found.body is not None or found.has_any_body:
            whole["requestBody"] = self._body()
        return whole

    def _permission(self) -> str:
        if self._is_public:
            return "Public: needs no token."
        action = self._found.permission
        return f"An API token must allow `{action}`." if action else "Every authenticated caller is allowed."

    def _parameters(self) -> list[JsonObject]:
        names = re.findall(r"{(\w+)}", self._path)
        parameters: list[JsonObject] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ]
        for model in self._found.query:
            parameters += parameters_of(model)
        for name, text in self._headers().items():
            parameters.append({"name": name, "in": "header", "description": text, "schema": {"type": "string"}})
        return parameters

    def _headers(self) -> dict[str, str]:
        more = {"If-Match": _IF_MATCH} if self._found.is_conditional else {}
        return {**self._found.headers, **more, **({"If-None-Match": _IF_NONE_MATCH} if self._is_tagged else {})}

    @property
    def _is_tagged(self) -> bool:
        """Whether the operation reads a single editable record."""
        content = self._found.replies[200].content if 200 in self._found.replies else None
        return self._method.__name__ == "get" and content in EDITED

    def _body(self) -> JsonObject:
        found = self._found
        if found.body is None:
            # A single media type: with several, generated clients test whether the body is an instance of `Any`.
            return {"description": "Any JSON; forms, text and bytes are accepted too.", "content": _ANY_JSON}
        content: JsonObject = {"schema": self._references[found.body, "validation"]}
        if found.example is not None:
            content["example"] = found.example
        return {"required": not found.has_optional_body, "content": {"application/json": content}}

    def _responses(self) -> dict[int, JsonObject]:
        responses = {status: self._success(status, reply) for status, reply in self._found.replies.items()}
        if self._is_tagged:
            responses[304] = {"description": "Unchanged since the `ETag` in `If-None-Match`."}
        for status, kinds in self._failures().items():
            told = " ".join(f"`{kind.code}`: {inspect.getdoc(kind)}" for kind in kinds)
            schema = self._references[ErrorReply, "serialization"]
            responses[status] = {"description": told, "content": {"application/json": {"schema": schema}}}
        return responses

    def _success(self, status: int, reply: Reply) -> JsonObject:
        response: JsonObject = {"description": reply.text or HTTPStatus(status).phrase}
        content: JsonObject = {media: {"schema": {}} for media in reply.media}
        if reply.content is not None:
            content = {"application/json": {"schema": self._references[reply.content, "serialization"]}, **content}
        if content:
            response["content"] = content
        headers = (
            {"Location": "Path of the new object, from the root of the server."} if status == HTTPStatus.CREATED else {}
        )
        if reply.content in EDITED:
            headers["ETag"] = "Version of the record, for `If-Match` and `If-None-Match`."
        if headers:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
            }
        return response

    def _failures(self) -> dict[int, list[type[errors.CloudoError]]]:
        kinds = set(self._found.errors)
        if not self._is_public:
            kinds |= set(_EVERYWHERE)
        if self._found.body is not None:
            kinds |= set(_WITH_BODY)
        by_status: dict[int, list[type[errors.CloudoError]]] = {}
        for kind in sorted(kinds, key=lambda kind: kind.code):
            by_status.setdefault(int(status_of(kind)), []).append(kind)
        return by_status


class OpenApi(Handler):
    """`/openapi.json`."""

    @operation(id="openapi", reply=Document)
    async def get(self) -> None:
        """Return this document."""
        await self.finish(await self.backend.call(document_json, self.settings["cloudo_routes"], self.base_url))


@cache
def document_json(routes: tuple[Route, ...], base_url: str) -> str:
    """Return the document as text. Building it is slow, so it is cached."""
    return json.dumps(document(routes, base_url=base_url), ensure_ascii=False)


routes = [(rf"{API}/openapi.json", OpenApi)]


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
