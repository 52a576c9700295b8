"""Forms: checks the body of an input request, and the answers to it. Pure.

In a body, `properties` holds the form's elements by key, and `required` lists the keys that must be answered. A body
is checked once, when its message is created, and stored with all omitted properties filled in.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from cloudo_kernel.errors import MAX_ERRORS, CloudoError, FormInvalid, ResponseInvalid, raise_all
from cloudo_kernel.forms.element import Element, Flows, defined
from cloudo_kernel.forms.elements import ELEMENTS, element_of
from cloudo_kernel.models import JsonObject
from cloudo_kernel.scheduling import triggers

#: Maximum size of a form as JSON, and maximum number of its elements.
FORM_LIMIT_BYTES: Final = 256 * 1024
_MAX_ELEMENTS: Final = 200
_MAX_KEY: Final = 100
#: Maximum number of properties of a body and of each element, known or not.
_MAX_WORDS: Final = 50

#: The element for a type or format, if a body does not name the element.
_OF_TYPE: Final = {"string": "string", "number": "number", "integer": "integer", "boolean": "toggle"}
_OF_FORMAT: Final = {"date": "date", "time": "time", "date-time": "datetime", "password": "password"}

#: Known properties of a body and of its elements. Others are kept and ignored, unless they look like a typo.
_OF_BODY: Final = ("type", "properties", "required")
_OF_ELEMENT: Final = (
    *("label", "description", "element", "type", "format", "enum"),
    *("minimum", "maximum", "default", "example", "order", "required", "preview", "flow", "flow_name"),
)
#: The words of a trigger that a preview can use. Of `_TIMES`, only the first that is answered counts.
_TIMES: Final = tuple(kind.word for kind in triggers.KINDS)
#: The word for the answer to an element `trigger`, which has all of them.
_WHOLE: Final = "trigger"
_WITH_TIMES: Final = ("timezone", "max_iterations", *(word for kind in triggers.KINDS for word in kind.more_words))


class Form:
    """A form, given a body that `checked_body` has returned."""

    def __init__(self, body: JsonObject) -> None:
        self._required: Sequence[str] = body["required"]
        self.elements = tuple(element_of(key, about) for key, about in body["properties"].items())

    @property
    def fields(self) -> Iterator[Element]:
        """The elements that people enter values for."""
        return (element for element in self.elements if element.is_asked)

    @property
    def defaults(self) -> JsonObject:
        """The default of each element that has one."""
        return {one.key: one.about["default"] for one in self.elements if "default" in one.about}

    @property
    def buttons(self) -> tuple[Element, ...]:
        """The elements that send the form. A form without buttons is sent without one."""
        return tuple(element for element in self.elements if element.is_button)

    @property
    def asks(self) -> bool:
        """Whether it takes an answer. A form with only text does not."""
        return any(element.is_asked or element.is_button for element in self.elements)

    @property
    def protected(self) -> frozenset[str]:
        """The keys whose answers only the flow may see."""
        return frozenset(element.key for element in self.elements if element.is_protected)

    def required(self, button: str | None) -> Sequence[str]:
        """Return the keys required when `button` sends the form. A button may have a list of its own."""
        pressed = next((element.about for element in self.buttons if element.key == button), {})
        own: Sequence[str] | None = pressed.get("required")
        return self._required if own is None else own

    def answer(
        self, given: object, *, placed: Callable[[str], str] | None = None, flows: Flows | None = None
    ) -> JsonObject:
        """Return the complete answer in canonical form: given values, defaults, and a boolean for each button.

        `placed` adds the offset of a time zone to a moment without one. `flows` checks the names and inputs of flows.
        Raises `ResponseInvalid`, which names each invalid element.
        """
        if not isinstance(given, Mapping):
            raise ResponseInvalid(None, "is an object of keys and values")
        faults: list[CloudoError] = list(islice(self._unknown(given), MAX_ERRORS + 1))
        # Null or empty text means no answer, even for an element with a default.
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
                elif key in there and element.is_text:
                    answer[key] = ""
            except ResponseInvalid as fault:
                faults.append(fault)
        if flows is not None:
            invalid = {str(fault.field).partition(".")[0] for fault in faults}
            faults += self._settle(answer, flows, given=there, skipped=invalid, is_waived=self._is_waived(pressed))
        raise_all(faults)
        return answer

    def _is_waived(self, button: str | None) -> bool:
        """Tell whether the button requires nothing, such as one that cancels."""
        return any(one.about.get("required") == [] for one in self.buttons if one.key == button)

    def masks(self, answer: JsonObject, flows: Flows) -> JsonObject:
        """Return what everyone sees in the place of answers with inputs that a flow protects, by their keys."""
        masked = {
            one.key: one.masked_answer(answer[one.key], answer, flows) for one in self.elements if one.key in answer
        }
        return {key: value for key, value in masked.items() if value != answer[key]}

    def _settle(
        self, answer: JsonObject, flows: Flows, *, given: Mapping[str, object], skipped: set[str], is_waived: bool
    ) -> list[CloudoError]:
        """Complete the answers about flows, and return what is wrong with them.

        A button that requires nothing adds no answers.
        """
        faults: list[CloudoError] = []
        for element in self.elements:
            if element.key in skipped or (is_waived and element.key not in given):
                continue
            try:
                element.settle(answer, flows)
            except CloudoError as fault:
                faults.append(fault)
        return faults

    def _unknown(self, given: Mapping[Any, object]) -> Iterator[ResponseInvalid]:
        asked = [element.key for element in self.elements if element.is_asked or element.is_button]
        for key in given:
            if key not in asked:
                known = ", ".join(map(repr, asked))
                yield ResponseInvalid(str(key), f"is not a field of the form, which has {known}")

    def _pressed(self, given: Mapping[str, object]) -> str | None:
        """Return the key of the pressed button. A single button always counts as pressed."""
        buttons = self.buttons
        pressed = [button.key for button in buttons if button.checked(given.get(button.key, False))]
        if len(pressed) == 1 or not buttons:
            return pressed[0] if pressed else None
        if not pressed and len(buttons) == 1:
            return buttons[0].key
        wanted = ", ".join(repr(button.key) for button in buttons)
        raise ResponseInvalid((pressed or [buttons[0].key])[-1], f"is one of {wanted}: exactly one of them is true")


def shorthand(*, message: str | None, request: str | None) -> JsonObject | None:
    """Return the form for a text with an OK button, for one question, or for both. None for neither."""
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
    """Return the request to preview a schedule with these answers, or None while no time is answered.

    `about` is the `preview` of an element. It maps words of a trigger to the keys of the form that answer them.
    """
    said = {word: given[key] for word, key in about.items() if given.get(key) not in (None, "")}
    if _WHOLE in said:
        return {"trigger": said[_WHOLE]}
    zone = {"timezone": said.pop("timezone")} if "timezone" in said else {}
    answered = [word for word in said if word in _TIMES]
    if not answered:
        return None
    return {"trigger": {word: value for word, value in said.items() if word not in answered[1:]}, **zone}


def checked_body(body: object) -> JsonObject:
    """Return the body with its elements in order, each with element, type, label and order filled in.

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
    made = [_element(key, about, number) for number, (key, about) in enumerate(given.items())]
    elements = {element.key: element for element in sorted(made, key=lambda element: element.about["order"])}
    for key, element in elements.items():
        element.relate(elements)
        if "preview" in element.about:
            _check_preview(element, elements)
        if element.is_button and "required" in element.about:
            element.about["required"] = _required(element.about["required"], elements, f"{key}.required")
    return {
        **body,
        "type": "object",
        "properties": {key: element.about for key, element in elements.items()},
        "required": _required(body.get("required", []), elements, "required"),
    }


def _check_preview(element: Element, elements: Mapping[str, Element]) -> None:
    preview, place = element.about["preview"], f"{element.key}.preview"
    if element.kind != "markdown" or not isinstance(preview, Mapping):
        raise FormInvalid(place, "goes with a markdown, and names keys by the words of a trigger")
    for word, key in preview.items():
        if word not in (*_TIMES, *_WITH_TIMES, _WHOLE):
            raise FormInvalid(place, f"knows {', '.join((*_TIMES, *_WITH_TIMES, _WHOLE))}, not {_shown(word)}")
        if not isinstance(key, str) or key not in elements or not elements[key].is_asked:
            raise FormInvalid(place, f"names {_shown(key)}, which the form does not ask for")


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


def _element(key: object, given: object, number: int) -> Element:
    if not isinstance(key, str) or not key or len(key) > _MAX_KEY or not key.isprintable():
        raise FormInvalid(_shown(key), f"cannot be a key: that is printable text of 1 to {_MAX_KEY} characters")
    if not isinstance(given, Mapping):
        raise FormInvalid(key, "is an object that describes the element, such as {'element': 'string'}")
    # The server adds it when a message is read. Only HTML that the server renders is safe.
    given = {word: value for word, value in given.items() if word != "description_html"}
    _check_words(given, _OF_ELEMENT, f"{key}.")
    about = {word: value for word, value in given.items() if value is not None or word not in ("default", "example")}
    about["element"] = _kind(key, given)
    about["type"] = _type(key, about)
    about["label"] = _text(key, about, "label", key)
    about["description"] = _text(key, about, "description", "")
    try:
        about["order"] = defined("number", about.get("order", number))
    except ValueError as error:
        raise FormInvalid(f"{key}.order", f"is {error}, not {_shown(about['order'])}") from None
    element = element_of(key, about)
    element.complete()
    return element


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
    """Return the JSON type of the element. Raises `FormInvalid` if the body names a conflicting one."""
    wanted, given = ELEMENTS[about["element"]].json_type, about.get("type")
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


def _required(given: object, elements: Mapping[str, Element], place: str) -> list[str]:
    """Return the required keys without buttons, which are answered by pressing them. Raises `FormInvalid`."""
    if not isinstance(given, list | tuple):
        raise FormInvalid(place, f"is a list of keys, not {_shown(given)}")
    for key in given:
        if not isinstance(key, str) or key not in elements or not (elements[key].is_asked or elements[key].is_button):
            raise FormInvalid(place, f"names {_shown(key)}, which the form does not ask for")
    return [key for key in given if not elements[key].is_button]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
