"""Asks for the inputs of flows in the terminal, one by one, as a form with an element `inputs` needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.values import input_value
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.forms.element import Element
from cloudo_kernel.forms.flow_elements import chosen
from cloudo_kernel.models import Flow, JsonObject
from cloudo_kernel.models.canonical import canonical


def ask(element: Element, answers: Mapping[str, Any], *, flow: Callable[[str], Flow], is_error: bool) -> JsonObject:
    """Return the answer by the element's key, empty while no flow is chosen.

    `answers` has the choice of the flow, and the element's default. Enter takes the default of an input.
    """
    named = element.about.get("flow_name") or answers.get(element.about.get("flow", ""))
    before = answers.get(element.key) or {}
    is_list = isinstance(named, list)
    found: JsonObject = {}
    for name in chosen(named):
        try:
            record = flow(name)
        except CloudoError as error:  # the server reports it with the answer
            click.echo(display.clean(str(error)), err=is_error)
            continue
        found[name] = _ask_flow(record, before.get(name, {}) if is_list else before, is_error=is_error)
    if not found:
        return {}
    return {element.key: found if is_list else next(iter(found.values()))}


def _ask_flow(flow: Flow, before: Mapping[str, Any], *, is_error: bool) -> JsonObject:
    """Return the inputs of one flow."""
    properties, required = flow.input_schema["properties"], flow.input_schema.get("required", [])
    click.echo(click.style(f"Inputs of {display.clean(flow.name)}", bold=True), err=is_error)
    inputs = dict(before)
    for name, schema in properties.items():
        is_required = name in required and name not in before
        usual = before.get(name, schema.get("default"))
        value = _ask_input(name, schema, usual, is_required=is_required, is_error=is_error)
        if value is not None:
            inputs[name] = value
    return inputs


def _ask_input(name: str, schema: JsonObject, usual: Any, *, is_required: bool, is_error: bool) -> Any:
    """Return a valid value, or None for the default."""

    def read(text: str) -> Any:
        if text == "":
            if is_required:
                raise click.BadParameter("This is required.")
            return None
        value = input_value(text, schema)
        try:  # the server checks the rest of the schema
            return canonical(str(schema.get("format") or schema.get("type")), value)
        except ValueError as error:
            raise click.BadParameter(f"The input {name!r} takes {error}.") from error

    about = f" ({display.value(schema['description'], limit=100)})" if schema.get("description") else ""
    is_hidden = bool(schema.get("writeOnly"))
    default = "" if usual is None or is_hidden else f" [{display.value(usual, limit=60)}]"
    text = f"  {display.clean(name)}{about}{default}"
    return click.prompt(text, default="", show_default=False, hide_input=is_hidden, value_proc=read, err=is_error)
