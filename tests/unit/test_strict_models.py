"""All that callers send is strict: what merely reads like a number, a boolean or a time is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import cloudo_extension
import cloudo_kernel.models
from cloudo_extension.http.errors import ErrorBody, ErrorReply
from cloudo_extension.http.openapi import Document
from cloudo_extension.rest.executions import Wait
from cloudo_kernel.models import (
    ChangeWebhook,
    CreateSchedule,
    CreateToken,
    Fault,
    FieldError,
    FlowMetadata,
    PreviewSchedule,
    Record,
    ScheduleTrigger,
    StartExecution,
    Strict,
    malformed,
)
from cloudo_kernel.scheduling.triggers import TriggerFields

for package in (cloudo_kernel.models, cloudo_extension):
    for module in iter_modules(package.__path__):
        if module.name != "__main__":
            import_module(f"{package.__name__}.{module.name}")

WRONG: dict[str, tuple[object, ...]] = {
    "boolean": ("true", "yes", 1, 0.0, [True], {}),
    "integer": ("5", True, 1.5, math.nan, math.inf, [5], {}),
    "number": ("5", "NaN", True, math.nan, -math.inf, [5.0], {}),
    "date-time": ("1764576000", "soon", True, ["2026-03-31T08:30:00Z"], {}),
}


def under(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for kind in root.__subclasses__():
        if kind.__module__.startswith("cloudo_") and "[" not in kind.__name__:
            yield kind
            yield from under(kind)


def kinds(schema: dict[str, Any]) -> set[str]:
    branches = schema.get("anyOf", [schema])
    return {str(one.get("format", one.get("type"))) for one in branches}


def fields() -> Iterator[tuple[type[BaseModel], str, set[str]]]:
    for model in dict.fromkeys(under(Strict)):
        for name, schema in model.model_json_schema()["properties"].items():
            if kinds(schema) & WRONG.keys():
                yield model, name, kinds(schema)


def _id(part: Any) -> str:
    """Return the same name in each process of a run in parallel: a set has no order."""
    return " or ".join(sorted(part)) if isinstance(part, set) else getattr(part, "__name__", part)


FIELDS = list(fields())


def parts_of_triggers() -> set[type[BaseModel]]:
    """Return the fields of each kind of trigger and the models in them, which `ScheduleTrigger` makes strict."""
    types = [part for field in TriggerFields.model_fields.values() for part in get_args(field.annotation)]
    inside = {kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)}
    return inside | {kind for kind in TriggerFields.__mro__ if issubclass(kind, BaseModel)} - {BaseModel}


def test_every_model_is_a_record_that_is_sent_or_strict() -> None:
    assert {kind for kind in under(BaseModel) if not issubclass(kind, Record | Strict)} - parts_of_triggers() == {
        *(Record, Strict, ErrorBody, ErrorReply, FieldError, Document)
    } - {Record, Strict}
    assert len(FIELDS) > 40


@pytest.mark.parametrize(("model", "name", "takes"), FIELDS, ids=_id)
def test_no_field_takes_what_only_reads_like_its_kind(model: type[BaseModel], name: str, takes: set[str]) -> None:
    wrong = [value for kind in takes & WRONG.keys() for value in WRONG[kind]]
    for value in wrong:
        if ("boolean" in takes and isinstance(value, bool)) or ("number" in takes and type(value) in (int, float)):
            continue
        with pytest.raises(ValidationError) as caught:
            model.model_validate({name: value})
        faults = [fault for fault in Fault.all(caught.value) if name in fault.path]
        assert [fault.field for fault in faults] == [name], (value, faults)
        assert faults[0].problem


@pytest.mark.parametrize("model", dict.fromkeys(under(Strict)))
def test_unions_do_not_show_in_the_names_of_fields(model: type[BaseModel]) -> None:
    """Pydantic puts the branches of a union into the path of an error, unless a discriminator has tags of ours."""

    def unions(annotation: Any) -> Iterator[Any]:
        if get_origin(annotation) in (Union, UnionType) and len(set(get_args(annotation)) - {type(None)}) > 1:
            yield annotation
        for part in get_args(annotation):
            yield from unions(part)

    plain = [name for name, field in model.model_fields.items() if _is_plain(field) and list(unions(field.annotation))]
    assert plain == []


def _is_plain(field: FieldInfo) -> bool:
    return "Discriminator" not in repr(field)


def said(model: type[BaseModel], given: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return str(malformed(caught.value))


def test_what_is_told_names_the_field_as_it_was_sent() -> None:
    wait = "wait: 0 or more seconds, or true for 60 seconds."
    assert [said(Wait, {"wait": value}) for value in (-1, "5", None, math.nan)] == [wait] * 4
    assert said(ScheduleTrigger, {"every_seconds": True}) == "every_seconds: a number."
    schedule = {"flow_name": "a", "trigger": {"cron": "@daily"}}
    assert said(CreateSchedule, {**schedule, "on_error": [{"flow": ""}]}).startswith("on_error.flow: ")
    assert said(CreateSchedule, {**schedule, "on_error": {"url": 5}}).startswith("on_error.url: ")
    assert said(FlowMetadata, {"retries": "3", "durable": "yes"}) == "retries: a whole number. durable: true or false."
    assert said(StartExecution, {"timeout_seconds": 10**400}).startswith("timeout_seconds: ")


def test_a_whole_number_is_an_integer_however_json_writes_it() -> None:
    assert ScheduleTrigger(every_seconds=5, max_iterations=3.0).max_iterations == 3
    assert ChangeWebhook.model_validate({"rate_limit": 5.0}).rate_limit == 5
    assert FlowMetadata(timeout_seconds=5).timeout_seconds == 5.0


def test_times_come_as_text_and_where_that_is_said_as_seconds() -> None:
    read = PreviewSchedule.model_validate({"trigger": {"at": 0}, "after": "2026-03-31t08:30:00z"})
    assert [read.trigger.at and read.trigger.at.year, read.after and read.after.hour] == [1970, 8]
    assert said(CreateToken, {"name": "a", "actions": ["read"], "expires_at": 0}).startswith("expires_at: a date and")
    assert said(PreviewSchedule, {"trigger": {"at": "0"}}).startswith("trigger.at: a date and time")
