"""Asks the fields of a form in the terminal, and parses answers from words. `forms` checks the answers."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.values import input_value
from cloudo_kernel.errors import CloudoError, ResponseInvalid
from cloudo_kernel.forms.element import Element
from cloudo_kernel.forms.flow_elements import chosen
from cloudo_kernel.forms.form import Form, preview_request
from cloudo_kernel.forms.time_elements import TimeZone
from cloudo_kernel.models import Flow, JsonObject
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.scheduling import zones
from cloudo_kernel.security.documents import document


def answers_of(words: Sequence[str], form: Form) -> dict[str, Any]:
    """Parse answers from `KEY=VALUE` words. Raises `ValueError`. The server rejects unknown keys."""
    elements = {element.key: element for element in form.elements}
    given: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not of the form KEY=VALUE.")
        given[key] = _value(elements[key], text) if key in elements and text else text
    return given


def ask(
    form: Form, *, preview: Callable[[JsonObject], str], flow: Callable[[str], Flow], is_error: bool
) -> dict[str, Any]:
    """Ask the form's questions and return the answers. `is_error` prompts on standard error.

    `preview` returns the next times of a schedule that the form asks for, `flow` a flow by its name.
    A choice of buttons comes first, because a button that requires no answers skips the questions.
    """
    given: dict[str, Any] = {}
    button = _button(form.buttons, is_error=is_error)
    if button is not None:
        given[button.key] = True
    required = form.required(None if button is None else button.key)
    is_waived = button is not None and button.about.get("required") == []
    for element in form.elements:
        if "preview" in element.about:
            request = preview_request(element.about["preview"], {**form.defaults, **given})
            click.echo(preview(request) if request else "", err=is_error)
        elif element.kind == "markdown":
            click.echo(_told(element), err=is_error)
        elif element.kind == "inputs" and not is_waived:
            given |= _ask_inputs(element, {**form.defaults, **given}, flow=flow, is_error=is_error)
        elif element.is_asked and not is_waived:
            answer = _ask_one(element, is_required=element.key in required, is_error=is_error)
            if answer is not None:
                given[element.key] = answer
    if not any(form.fields) and len(form.buttons) == 1:
        _prompt(f"Enter for {display.clean(form.buttons[0].label)!r}", lambda text: text, is_error=is_error)
    return given


def _button(buttons: Sequence[Element], *, is_error: bool) -> Element | None:
    if len(buttons) <= 1:
        return buttons[0] if buttons else None
    labels = [button.label for button in buttons]

    def chosen(text: str) -> Element:
        return buttons[_index(text, labels)]

    button: Element = _prompt(f"Which button: {_numbered(labels)}", chosen, is_error=is_error)
    return button


def _ask_one(element: Element, *, is_required: bool, is_error: bool) -> Any:
    """Return a checked answer, or None if it was left out."""
    about = element.about
    if isinstance(element, TimeZone) and "default" not in about:
        about = {**about, "default": zones.local_zone_name()}
    label = click.style(display.clean(element.label), bold=True)
    click.echo(f"{label}{'' if is_required else ' (optional)'}", err=is_error)
    if about["description"]:
        click.echo(display.clean(about["description"]), err=is_error)

    def read(text: str) -> Any:
        if text == "" and "default" in about and "default" not in element.about:
            return about["default"]  # the server does not know it
        if text == "" and (not is_required or "default" in about):
            return None  # the server inserts the default
        if text == "":
            raise click.BadParameter("This is required.")
        if element.kind == "text":
            text = _more_lines(text, is_error=is_error)
        return _checked(element, text)

    hint = element.terminal_hint or _hint(element)
    if "example" in about:
        hint += f"; for example {display.value(about['example'], limit=60)}"
    default = f" [{display.value(about['default'], limit=60)}]" if "default" in about else ""
    is_hidden = element.is_protected
    return _prompt(f"  {hint}{default}", read, is_error=is_error, is_hidden=is_hidden)


def _prompt(text: str, read: Callable[[str], Any], *, is_error: bool, is_hidden: bool = False) -> Any:
    """Prompt until `read` accepts the text."""
    return click.prompt(text, default="", show_default=False, hide_input=is_hidden, value_proc=read, err=is_error)


def _checked(element: Element, text: str) -> Any:
    try:
        return element.checked(_value(element, text))
    except (ResponseInvalid, ValueError) as error:
        raise click.BadParameter(display.clean(str(error))) from error


def _value(element: Element, text: str) -> Any:
    """Parse the text for this element. Raises `ValueError` if it cannot be parsed."""
    match element.kind:
        case "select" | "multiselect" | "flow":
            return _chosen(element, text)
        case "inputs" | "trigger":
            return document(text)
        case "file":
            return _file(text)
        case _:
            with suppress(ValueError):  # `Element.checked` reports it, including the bounds
                return element.defined(text)
    return text


def _takes_several(element: Element) -> bool:
    return element.kind == "multiselect" or (element.kind == "flow" and element.about["type"] == "array")


def _chosen(element: Element, text: str) -> Any:
    """Return the choice, or the list of choices, that a text names."""
    if "enum" not in element.about:
        return text
    if not _takes_several(element):
        return _choice(element, text)
    if text.startswith("["):
        return input_value(text, {"type": "array"})
    return [_choice(element, part.strip()) for part in text.split(",")]


def _choice(element: Element, text: str) -> Any:
    """Return the choice with this text or this number in the list, else the text."""
    choices: list[Any] = element.about["enum"]
    names = [display.value(choice) for choice in choices]
    try:
        return choices[_index(text, names)]
    except click.BadParameter:
        return text


def _index(text: str, names: Sequence[str]) -> int:
    wanted = text.strip()
    if wanted in names:
        return names.index(wanted)
    lowered = [name.lower() for name in names]
    if lowered.count(wanted.lower()) == 1:
        return lowered.index(wanted.lower())
    if wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise click.BadParameter(f"Give one of these, or its number: {_numbered(names)}.")


def _numbered(names: Sequence[str]) -> str:
    return ", ".join(f"{number}) {display.clean(name)}" for number, name in enumerate(names, start=1))


def _hint(element: Element) -> str:
    if element.kind in ("select", "multiselect", "flow") and "enum" in element.about:
        names = _numbered([display.value(choice) for choice in element.about["enum"]])
        return f"any of {names}, separated by commas" if _takes_several(element) else names
    return element.fitting


def _file(text: str) -> dict[str, str]:
    path = Path(text).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{text} cannot be read: {error.strerror or error}.") from error
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {"name": path.name, "content": base64.b64encode(content).decode(), "type": kind}


def _more_lines(first: str, *, is_error: bool) -> str:
    lines = [first]
    while line := click.prompt("  …", default="", show_default=False, err=is_error):
        lines.append(line)
    return "\n".join(lines)


def _told(element: Element) -> str:
    """Return the Markdown text unrendered, which is readable enough."""
    return display.clean(element.about["description"] or element.label)


def _ask_inputs(
    element: Element, answers: Mapping[str, Any], *, flow: Callable[[str], Flow], is_error: bool
) -> JsonObject:
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
    return _prompt(f"  {display.clean(name)}{about}{default}", read, is_error=is_error, is_hidden=is_hidden)
