"""What calls of the page have in common: arguments read as records, and one result or error for each of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cloudo_kernel.dashboard import rows
from cloudo_kernel.errors import CloudoError, MalformedRequest
from cloudo_kernel.models import JsonObject, malformed

Item = TypeVar("Item")
Model = TypeVar("Model", bound=BaseModel)


def tried(act: Callable[[Item], Any], item: Item) -> JsonObject:
    """Return `{"row": …}` with what `act` gives for an item, or `{"error": …}`."""
    try:
        return {"row": act(item)}
    except CloudoError as error:
        return {"error": rows.trouble(error)}
    except (ValidationError, KeyError) as error:
        return {"error": rows.trouble(MalformedRequest(str(error)))}


def parsed(model: type[Model], given: object) -> Model:
    """Return what the page gave as a record. Raises `MalformedRequest` naming each field that is invalid."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise malformed(error) from error
