"""What all elements of a form have in common: checking their description in the body, and an answer. Pure.

An element is built from its description. `complete` checks the description once, when the form is created; `checked`
checks an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from cloudo_kernel.errors import FormInvalid, MalformedRequest, ResponseInvalid
from cloudo_kernel.models import JsonObject
from cloudo_kernel.models.canonical import FITS, canonical, from_text


class Flows(Protocol):
    """The flows that answers name. The service implements it, because forms know no workspace."""

    def check(self, name: str) -> None:
        """Raise a `CloudoError` unless the flow exists and the person who answers may see it."""

    def checked_inputs(self, name: str, inputs: JsonObject) -> JsonObject:
        """Return inputs of the flow in canonical form. Raises as `check` does, and `InputsInvalid`."""

    def masked_inputs(self, name: str, inputs: JsonObject) -> JsonObject:
        """Return checked inputs of the flow with protected values masked."""


class Element:
    """One element of a form, as the body describes it."""

    #: Its name in a body.
    kind: ClassVar[str]
    #: The JSON type of the answer, None if the body may choose it.
    json_type: ClassVar[str | None] = "string"
    #: The kind of the answer's canonical form, empty for none.
    canonical_kind: ClassVar[str] = ""
    #: The kind of `minimum` and `maximum`, empty if it has none.
    bound_kind: ClassVar[str] = "number"
    #: Whether people enter a value for it.
    is_asked: ClassVar[bool] = True
    #: Whether it sends the form.
    is_button: ClassVar[bool] = False
    #: Whether an empty text is an answer.
    is_text: ClassVar[bool] = False
    #: Whether only the flow may see the answer.
    is_protected: ClassVar[bool] = False
    #: Whether it may have a default.
    allows_default: ClassVar[bool] = True
    #: How people write the answer in a terminal, if not as `fitting` says.
    terminal_hint: ClassVar[str | None] = None

    def __init__(self, key: str, about: JsonObject) -> None:
        self.key = key
        self.about = about

    @property
    def label(self) -> str:
        """The text that people see instead of its key."""
        return str(self.about["label"])

    @property
    def fitting(self) -> str:
        """The accepted answers in words, such as "a number from 1 to 10"."""
        return FITS[self.canonical_kind] + bounds_in_words(self.about)

    # --- answers ---

    def checked(self, given: object, placed: Callable[[str], str] | None = None) -> Any:
        """Return the answer as the flow gets it. Raises `ResponseInvalid`, which names the element.

        `placed` adds the offset of a time zone to a moment without one.
        """
        try:
            return self.placed(self.accepted(given), placed)
        except ValueError as error:
            raise ResponseInvalid(self.key, str(error)) from None
        except MalformedRequest as error:  # out of range with its offset
            raise ResponseInvalid(self.key, f"takes {self.fitting}: {error}".removesuffix(".")) from None

    def accepted(self, given: object) -> Any:
        """Return the answer in canonical form. Raises `ValueError`, which says what is accepted."""
        try:
            value = self.read(given)
            is_accepted = self.is_within(value)
        except ValueError:
            is_accepted = False
        if not is_accepted:
            raise ValueError(f"takes {self.fitting}, not {self.masked(given)}")
        return value

    def read(self, given: object) -> Any:
        """Return the answer in canonical form, without regard to its bounds. Raises `ValueError`."""
        return canonical(self.canonical_kind, given)

    def is_within(self, value: Any) -> bool:
        """Tell whether an answer in canonical form is within `minimum` and `maximum`."""
        return is_within(self.about, value)

    def placed(self, value: Any, _placed: Callable[[str], str] | None) -> Any:
        """Return the answer with the offset of a time zone, if it is a moment without one."""
        return value

    def settle(self, _answer: JsonObject, _flows: Flows) -> None:
        """Check the answer against the flows and the other answers, and complete it in `_answer`.

        Called when each element has its own answer. Raises `CloudoError`, whose fields begin with the key.
        """

    def masked_answer(self, value: Any, _answer: JsonObject, _flows: Flows) -> Any:
        """Return the answer with the inputs masked that a flow protects."""
        return value

    def masked(self, given: object) -> str:
        """Return a value for an error message. Long values are cut."""
        try:
            text = json.dumps(given, ensure_ascii=False)
        except (TypeError, ValueError):
            text = repr(given)
        return text if len(text) <= 60 else f"{text[:59]}…"

    # --- its description in the body ---

    def relate(self, _elements: Mapping[str, Element]) -> None:
        """Check what the description says about other elements of the form. Raises `FormInvalid`."""

    def complete(self) -> None:
        """Check the description, and store bounds, default and example in canonical form. Raises `FormInvalid`."""
        self._complete_bounds()
        self._complete_default()
        if "example" in self.about:
            with suppress(ValueError):  # an example is only shown and need not be a valid answer
                self.about["example"] = self.defined(self.about["example"])

    def defined(self, value: object) -> Any:
        """Return a value that the body gives for the element, such as its default, in canonical form.

        Raises `ValueError`.
        """
        if isinstance(value, list):
            return [defined(self.canonical_kind, one) for one in value]
        return defined(self.canonical_kind, value)

    def bound(self, value: object) -> Any:
        """Return `minimum` or `maximum` in canonical form. Raises `ValueError`."""
        return defined(self.bound_kind, value)

    @property
    def bound_fitting(self) -> str:
        """The accepted bounds in words."""
        return FITS[self.bound_kind]

    def is_in_order(self, minimum: Any, maximum: Any) -> bool:
        """Tell whether the maximum is at least the minimum."""
        return bool(minimum <= maximum)

    def _complete_bounds(self) -> None:
        if not self.bound_kind:
            return
        bounds = {word: self.about[word] for word in ("minimum", "maximum") if self.about.get(word) is not None}
        for word, bound in bounds.items():
            try:
                self.about[word] = self.bound(bound)
            except ValueError:
                raise self._invalid(word, f"is {self.bound_fitting}, not {self.masked(bound)}") from None
        if len(bounds) == 2 and not self.is_in_order(self.about["minimum"], self.about["maximum"]):
            minimum, maximum = (self.masked(self.about[word]) for word in bounds)
            raise self._invalid("maximum", f"is at least the minimum, {minimum}, not {maximum}")

    def _complete_default(self) -> None:
        if "default" not in self.about:
            return
        if not self.allows_default:
            raise self._invalid("default", f"is not possible for a {self.kind}")
        with suppress(ValueError):  # `accepted` reports an invalid default, with its bounds
            self.about["default"] = self.defined(self.about["default"])
        try:
            self.about["default"] = self.accepted(self.about["default"])
        except (ValueError, MalformedRequest) as error:
            raise self._invalid("default", str(error)) from None

    def _invalid(self, word: str, message: str) -> FormInvalid:
        return FormInvalid(f"{self.key}.{word}", message)


def defined(kind: str, value: object) -> Any:
    """Return a value in the canonical form of a kind, as a script may write it.

    Scripts write numbers as text, and moments as seconds since 1970. Raises `ValueError`.
    """
    if isinstance(value, str):
        return from_text(kind, value) if kind in FITS else value
    if kind == "date-time" and not isinstance(value, bool) and isinstance(value, int | float):
        try:
            value = datetime.fromtimestamp(value, UTC).isoformat()
        except (OverflowError, OSError):
            raise ValueError(FITS[kind]) from None
    return canonical(kind, value)


def is_within(about: Mapping[str, Any], size: Any) -> bool:
    """Tell whether a size is at least `minimum` and at most `maximum`."""
    lowest, highest = about.get("minimum"), about.get("maximum")
    return (lowest is None or size >= lowest) and (highest is None or size <= highest)


def bounds_in_words(about: Mapping[str, Any]) -> str:
    """Return the bounds of a value, such as " from 1 to 10"; empty without any."""
    lowest, highest = about.get("minimum"), about.get("maximum")
    if lowest is not None and highest is not None:
        return f" from {lowest} to {highest}"
    return f" of at least {lowest}" if lowest is not None else f" of at most {highest}" if highest is not None else ""


def length_in_words(about: Mapping[str, Any]) -> str:
    """Return the bounds of a length, such as " at least 2"; empty without any."""
    return bounds_in_words(about).removeprefix(" from").removeprefix(" of")
