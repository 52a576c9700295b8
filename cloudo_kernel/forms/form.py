"""Forms: what the body of an input request may be, and whether an answer fits it. Pure: it asks nobody itself.

A body is an object whose `properties` are the form's elements by key, and whose `required` names those that have to
be answered. It is checked once, when the message is made, and kept with everything filled in that it left out.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from cloudo_kernel.errors import MAX_ERRORS, FormInvalid, MalformedRequest, ResponseInvalid, raise_all
from cloudo_kernel.forms import elements
from cloudo_kernel.models import JsonObject

#: The most that a form may take as JSON, and the most elements that it may have.
FORM_LIMIT_BYTES: Final = 256 * 1024
_MAX_ELEMENTS: Final = 200
_MAX_KEY: Final = 100
#: Of the body itself and of each element, known or not.
_MAX_WORDS: Final = 50

#: Element → the JSON type of its answer; `markdown` is shown and not asked.
ELEMENTS: Final = {
    "string": "string",
    "text": "string",
    "number": "number",
    "integer": "integer",
    "toggle": "boolean",
    "select": None,
    "multiselect": "array",
    "date": "string",
    "time": "string",
    "datetime": "string",
    "password": "string",
    "file": "object",
    "markdown": None,
    "submit": "boolean",
}
#: What an element is when a body does not say it.
_OF_TYPE: Final = {"string": "string", "number": "number", "integer": "integer", "boolean": "toggle"}
_OF_FORMAT: Final = {"date": "date", "time": "time", "date-time": "datetime", "password": "password"}

#: What a body and its elements may say; anything else is kept and means nothing, unless it looks like a mistake.
_OF_BODY: Final = ("type", "properties", "required")
_OF_ELEMENT: Final = (
    *("label", "description", "element", "type", "format", "enum"),
    *("minimum", "maximum", "default", "example", "order", "required", "preview"),
)
#: What a preview may be of, besides `timezone`: of the first row one, the first that is answered.
_TIMES: Final = ("at", "delay_seconds", "every_seconds", "daily_at", "cron")
_WITH_TIMES: Final = ("timezone", "wait", "start", "max_iterations")


@dataclass(frozen=True)
class Element:
    """One element of a form, as the body describes it."""

    key: str
    about: JsonObject

    @property
    def kind(self) -> str:
        """Its word: one of `ELEMENTS`."""
        return str(self.about["element"])

    @property
    def label(self) -> str:
        """What people see of its key."""
        return str(self.about["label"])

    @property
    def is_button(self) -> bool:
        """Whether it sends the form."""
        return self.kind == "submit"

    @property
    def is_asked(self) -> bool:
        """Whether people give it a value."""
        return self.kind not in ("markdown", "submit")

    @property
    def fitting(self) -> str:
        """What it takes, in words."""
        return elements.fitting(self.kind, self.about)

    def checked(self, given: object, placed: Callable[[str], str] | None = None) -> Any:
        """Return the answer as the flow gets it. Raises `ResponseInvalid`, naming the element.

        `placed` gives a moment without an offset that of a time zone.
        """
        try:
            value = elements.checked(self.kind, self.about, given)
            return placed(value) if placed is not None and self.kind == "datetime" else value
        except ValueError as error:
            raise ResponseInvalid(self.key, str(error)) from None
        except MalformedRequest as error:  # it is not within the years that have such an offset
            raise ResponseInvalid(self.key, f"takes {self.fitting}: {error}".removesuffix(".")) from None


class Form:
    """A body that was checked: see `checked_body`."""

    def __init__(self, body: JsonObject) -> None:
        self._required: Sequence[str] = body["required"]
        self.elements = tuple(Element(key, about) for key, about in body["properties"].items())

    @property
    def fields(self) -> Iterator[Element]:
        """The elements that people give a value."""
        return (element for element in self.elements if element.is_asked)

    @property
    def buttons(self) -> tuple[Element, ...]:
        """The elements that send the form; where there are none, every sending will do."""
        return tuple(element for element in self.elements if element.is_button)

    @property
    def asks(self) -> bool:
        """Whether it takes an answer; a form of text alone does not."""
        return any(element.kind != "markdown" for element in self.elements)

    @property
    def protected(self) -> frozenset[str]:
        """The keys whose answers are for the flow alone."""
        return frozenset(element.key for element in self.elements if element.kind == "password")

    def required(self, button: str | None) -> Sequence[str]:
        """Return the keys that have to be answered when `button` sends the form; it may have its own."""
        pressed = next((element.about for element in self.buttons if element.key == button), {})
        own: Sequence[str] | None = pressed.get("required")
        return self._required if own is None else own

    def answer(self, given: object, *, placed: Callable[[str], str] | None = None) -> JsonObject:
        """Return the whole answer in canonical form: what was given, defaults, a boolean for each button.

        `placed` gives a moment without an offset that of a time zone. Raises `ResponseInvalid`, which tells each
        element at fault.
        """
        if not isinstance(given, Mapping):
            raise ResponseInvalid(None, "is an object of keys and values")
        faults = list(islice(self._unknown(given), MAX_ERRORS + 1))
        # A null, or an empty text, is no answer: it leaves out what has a default, too.
        there = {key: value for key, value in given.items() if value is not None}
        pressed = self._pressed(there)
        required = self.required(pressed)
        answer: JsonObject = {}
        for element in self.elements:
            key = element.key
            try:
                if element.is_button:
                    answer[key] = key == pressed
                elif key in there and there[key] != "" and not (there[key] == [] and key in required):
                    answer[key] = element.checked(there[key], placed)
                elif key not in given and "default" in element.about:
                    answer[key] = element.checked(element.about["default"], placed)
                elif key in required:
                    faults.append(ResponseInvalid(key, f"is required: give it {element.fitting}"))
                elif key in there and element.kind in elements.TEXTS:
                    answer[key] = ""
            except ResponseInvalid as fault:
                faults.append(fault)
        raise_all(faults)
        return answer

    def _unknown(self, given: Mapping[Any, object]) -> Iterator[ResponseInvalid]:
        asked = [element.key for element in self.elements if element.kind != "markdown"]
        for key in given:
            if key not in asked:
                known = ", ".join(map(repr, asked))
                yield ResponseInvalid(str(key), f"is nothing that the form asks for; it asks for {known}")

    def _pressed(self, given: Mapping[str, object]) -> str | None:
        """Return the button that was pressed; where there is only one, it was."""
        buttons = self.buttons
        pressed = [button.key for button in buttons if button.checked(given.get(button.key, False))]
        if len(pressed) == 1 or not buttons:
            return pressed[0] if pressed else None
        if not pressed and len(buttons) == 1:
            return buttons[0].key
        wanted = ", ".join(repr(button.key) for button in buttons)
        raise ResponseInvalid((pressed or [buttons[0].key])[-1], f"is one of {wanted}: exactly one of them is true")


def shorthand(*, message: str | None, request: str | None) -> JsonObject | None:
    """Return the form for a text with OK, for one question, or for both; None for neither."""
    if message is None and request is None:
        return None
    properties: JsonObject = {}
    if message is not None:
        properties["message"] = {"element": "markdown", "description": message}
    if request is None:
        return {"type": "object", "properties": {**properties, "ok": {"element": "submit", "label": "OK"}}}
    properties["response"] = {"element": "string", "label": request}
    return {"type": "object", "properties": properties, "required": ["response"]}


def preview_request(about: Mapping[str, str], given: Mapping[str, object]) -> JsonObject | None:
    """Return what to ask for the times that a schedule with these answers would have; None while none is answered.

    `about` is the `preview` of an element: the words of a trigger, and the keys of the form that answer them.
    """
    said = {word: given[key] for word, key in about.items() if given.get(key) not in (None, "")}
    zone = {"timezone": said.pop("timezone")} if "timezone" in said else {}
    answered = [word for word in said if word in _TIMES]
    if not answered:
        return None
    return {"trigger": {word: value for word, value in said.items() if word not in answered[1:]}, **zone}


def checked_body(body: object) -> JsonObject:
    """Return the form with its elements in their order, each with key, element, type, label and order.

    Raises `FormInvalid`, which names the place in the body.
    """
    if not isinstance(body, Mapping):
        raise FormInvalid("body", f"is an object with the form's `properties`, not {_shown(body)}")
    _check_size(body)
    if body.get("type", "object") != "object":
        raise FormInvalid("type", 'of a form is "object"')
    _check_words(body, _OF_BODY, "")
    given = body.get("properties")
    if not isinstance(given, Mapping) or not given:
        raise FormInvalid("properties", "is an object with the elements of the form, at least one")
    if len(given) > _MAX_ELEMENTS:
        raise FormInvalid("properties", f"has at most {_MAX_ELEMENTS} elements, not {len(given)}")
    made = [(key, _element(key, about, number)) for number, (key, about) in enumerate(given.items())]
    elements = dict(sorted(made, key=lambda one: one[1]["order"]))
    for key, about in elements.items():
        if "preview" in about:
            _check_preview(key, about, elements)
        if about["element"] == "submit" and "required" in about:
            about["required"] = _required(about["required"], elements, f"{key}.required")
    return {
        **body,
        "type": "object",
        "properties": elements,
        "required": _required(body.get("required", []), elements, "required"),
    }


def _check_preview(key: str, about: JsonObject, elements: Mapping[str, JsonObject]) -> None:
    preview = about["preview"]
    if about["element"] != "markdown" or not isinstance(preview, Mapping):
        raise FormInvalid(f"{key}.preview", "goes with a markdown, and names keys by the words of a trigger")
    for word, of in preview.items():
        if word not in (*_TIMES, *_WITH_TIMES):
            raise FormInvalid(f"{key}.preview", f"knows {', '.join((*_TIMES, *_WITH_TIMES))}, not {_shown(word)}")
        if not isinstance(of, str) or elements.get(of, about)["element"] in ("markdown", "submit"):
            raise FormInvalid(f"{key}.preview", f"names {_shown(of)}, which the form does not ask for")


def _check_size(body: Mapping[Any, object]) -> None:
    try:
        size = len(json.dumps(body, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise FormInvalid("body", f"is JSON, which this is not: {error}") from None
    if size > FORM_LIMIT_BYTES:
        raise FormInvalid("body", f"takes at most {FORM_LIMIT_BYTES // 1024} KiB as JSON, not {size // 1024}")


def _check_words(given: Mapping[Any, object], known: Sequence[str], place: str) -> None:
    if len(given) > _MAX_WORDS:
        raise FormInvalid(place.rstrip(".") or "body", f"says at most {_MAX_WORDS} things, not {len(given)}")
    for word in given:
        if (
            word not in known
            and len(str(word)) <= _MAX_KEY
            and (meant := difflib.get_close_matches(str(word), known, n=1, cutoff=0.8))
        ):
            raise FormInvalid(f"{place}{word}", f"means nothing here. Did you mean {meant[0]!r}?")


def _element(key: object, given: object, number: int) -> JsonObject:
    if not isinstance(key, str) or not key or len(key) > _MAX_KEY or not key.isprintable():
        raise FormInvalid(_shown(key), f"cannot be a key: that is printable text of 1 to {_MAX_KEY} characters")
    if not isinstance(given, Mapping):
        raise FormInvalid(key, "is an object that describes the element, such as {'element': 'string'}")
    # The body of a message that was read has it; only what the server renders is safe.
    given = {word: value for word, value in given.items() if word != "description_html"}
    _check_words(given, _OF_ELEMENT, f"{key}.")
    about = {word: value for word, value in given.items() if value is not None or word not in ("default", "example")}
    about["element"] = _kind(key, given)
    about["type"] = _type(key, about)
    about["label"] = _text(key, about, "label", key)
    about["description"] = _text(key, about, "description", "")
    try:
        about["order"] = elements.defined("number", about.get("order", number))
    except ValueError as error:
        raise FormInvalid(f"{key}.order", f"is {error}, not {_shown(about['order'])}") from None
    if about["element"] in ("select", "multiselect"):
        about["enum"] = _choices(key, about)
    try:
        about |= elements.bounds(about["element"], about)
    except ValueError as error:
        raise FormInvalid(f"{key}.{error.args[1]}", str(error.args[0])) from None
    _fill_default(key, about)
    with suppress(ValueError):  # an example is shown, and need not be an answer
        about |= {"example": _defined(about, about["example"])} if "example" in about else {}
    return about


def _defined(about: JsonObject, value: Any) -> Any:
    """Return a default or an example in canonical form; of a choice, it is that of its `type`. Raises `ValueError`."""
    of = about["element"] if about["element"] not in ("select", "multiselect") else str(_type_of_choices(about))
    return [elements.defined(of, one) for one in value] if isinstance(value, list) else elements.defined(of, value)


def _type_of_choices(about: Mapping[str, Any]) -> object:
    items = about.get("items")
    return items.get("type") if isinstance(items, Mapping) else about.get("type")


def _kind(key: str, given: Mapping[str, Any]) -> str:
    kind = given.get("element")
    if kind is None:
        kind = "multiselect" if given.get("type") == "array" else "select" if "enum" in given else None
    if kind is None:
        kind = _OF_FORMAT.get(str(given.get("format"))) or _OF_TYPE.get(str(given.get("type", "string")))
    if kind == "date-time":
        kind = "datetime"
    if not isinstance(kind, str) or kind not in ELEMENTS:
        wrong = "element" if "element" in given else "type"
        raise FormInvalid(f"{key}.{wrong}", f"is one of {', '.join(ELEMENTS)}, not {_shown(given.get(wrong))}")
    return kind


def _type(key: str, about: JsonObject) -> str | None:
    """Return the JSON type that belongs to the element; another one that a body names is a mistake."""
    wanted, given = ELEMENTS[about["element"]], about.get("type")
    if wanted is None or given is None or given == wanted:
        return wanted or given
    if (wanted, given) == ("number", "integer"):
        about["element"] = "integer"
        return "integer"
    raise FormInvalid(f"{key}.type", f"of the element {about['element']!r} is {wanted!r}, not {_shown(given)}")


def _text(key: str, about: Mapping[str, Any], word: str, default: str) -> str:
    text = about.get(word)
    if text is None:
        return default
    if not isinstance(text, str):
        raise FormInvalid(f"{key}.{word}", f"is text, not {_shown(text)}")
    return text


def _choices(key: str, about: Mapping[str, Any]) -> list[Any]:
    items = about.get("items")
    choices = about.get("enum", items.get("enum") if isinstance(items, Mapping) else None)
    is_plain = isinstance(choices, list | tuple) and all(isinstance(one, str | int | float) for one in choices)
    if not is_plain or not choices:
        raise FormInvalid(f"{key}.enum", "is the list of the choices: texts, numbers, true, false")
    try:
        return list(_defined({**about}, list(choices)))
    except ValueError as error:
        raise FormInvalid(f"{key}.enum", f"takes for each choice {error}, as its type says") from None


def _fill_default(key: str, about: JsonObject) -> None:
    """Check the default as an answer."""
    if "default" not in about or about["element"] in ("markdown", "submit"):
        about.pop("default", None)
        return
    if about["element"] in ("password", "file"):
        raise FormInvalid(f"{key}.default", f"cannot be given: a {about['element']} has none")
    with suppress(ValueError):  # what does not fit is told with its bounds
        about["default"] = _defined(about, about["default"])
    try:
        about["default"] = elements.checked(about["element"], about, about["default"])
    except ValueError as error:
        raise FormInvalid(f"{key}.default", str(error)) from None


def _required(given: object, elements: Mapping[str, JsonObject], place: str) -> list[str]:
    """Return the required keys; a button is sent by pressing it, required or not."""
    if not isinstance(given, list | tuple):
        raise FormInvalid(place, f"is a list of keys, not {_shown(given)}")
    for key in given:
        if not isinstance(key, str) or elements.get(key, {"element": "markdown"})["element"] == "markdown":
            raise FormInvalid(place, f"names {_shown(key)}, which the form does not ask for")
    return [key for key in given if elements[key]["element"] != "submit"]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
