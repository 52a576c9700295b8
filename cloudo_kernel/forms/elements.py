"""The kinds of elements of a form, one class each: which answers it accepts, and how that is said. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from cloudo_kernel.forms.element import Element, defined, is_within, length_in_words
from cloudo_kernel.forms.flow_elements import FlowChoice, FlowInputs
from cloudo_kernel.forms.time_elements import Duration, TimeZone, TriggerChoice
from cloudo_kernel.models import JsonObject
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.scheduling import zones

#: Maximum size of a file in an answer, before it is encoded.
FILE_LIMIT_BYTES: Final = 5 * 1024 * 1024
#: Maximum length of a text.
TEXT_LIMIT: Final = 1_000_000


class Text(Element):
    """One line of text."""

    kind = "string"
    is_text = True

    @property
    def fitting(self) -> str:
        """The accepted length in words."""
        bounds = length_in_words(self.about)
        return f"text of{bounds} characters" if bounds else "text"

    def read(self, given: object) -> str:
        """Return the text."""
        if not isinstance(given, str) or len(given) > TEXT_LIMIT:
            raise ValueError
        return given

    def is_within(self, value: str) -> bool:
        """Tell whether its length is within the bounds."""
        return is_within(self.about, len(value))


class LongText(Text):
    """Several lines of text."""

    kind = "text"
    terminal_hint = "text, ended by an empty line"


class Password(Text):
    """A text that only the flow may see."""

    kind = "password"
    is_protected = True
    allows_default = False

    def masked(self, given: object) -> str:
        """Return its type."""
        return f"this {type(given).__name__}"


class Number(Element):
    """A number."""

    kind = json_type = canonical_kind = "number"


class Integer(Element):
    """A whole number."""

    kind = json_type = canonical_kind = "integer"


class Toggle(Element):
    """True or false."""

    kind = "toggle"
    json_type = canonical_kind = "boolean"
    bound_kind = ""
    terminal_hint = "y or n"

    def is_within(self, _value: bool) -> bool:
        """Accept both."""
        return True


class Submit(Toggle):
    """A button that sends the form. It is a boolean key of the answer."""

    kind = "submit"
    is_asked = False
    is_button = True

    def _complete_default(self) -> None:
        self.about.pop("default", None)


class Markdown(Element):
    """Text that is only shown."""

    kind = "markdown"
    json_type = None
    bound_kind = ""
    is_asked = False

    @property
    def fitting(self) -> str:
        """It accepts no answer."""
        return "no answer"

    def is_within(self, _value: object) -> bool:
        """The form reports an answer as unknown."""
        return True

    def _complete_default(self) -> None:
        self.about.pop("default", None)


class _Moment(Element):
    """A date, a time, or both, whose bounds are moments too."""

    moment_type: ClassVar[type[date] | type[time]]

    def is_within(self, value: str) -> bool:
        """Compare as moments."""
        return self._is_between(value, self.about)

    def is_in_order(self, minimum: str, maximum: str) -> bool:
        """Compare as moments."""
        return self._is_between(maximum, {"minimum": minimum})

    def _is_between(self, value: str, about: Mapping[str, Any]) -> bool:
        moment = self._parsed(value)
        limits = {word: self._parsed(about[word]) for word in ("minimum", "maximum") if about.get(word) is not None}
        try:
            return is_within(limits, moment)
        except TypeError:  # only one of them has a UTC offset: compare both as local times
            plain = {word: bound.replace(tzinfo=None) for word, bound in limits.items()}
            return is_within(plain, moment.replace(tzinfo=None))

    def _parsed(self, text: str) -> Any:
        return self.moment_type.fromisoformat(text)


class Date(_Moment):
    """A date."""

    kind = canonical_kind = bound_kind = "date"
    moment_type = date


class Time(_Moment):
    """A time of day."""

    kind = canonical_kind = bound_kind = "time"
    moment_type = time


class DateTime(_Moment):
    """A date and time."""

    kind = "datetime"
    canonical_kind = bound_kind = "date-time"
    moment_type = datetime

    def placed(self, value: str, placed: Callable[[str], str] | None) -> str:
        """Add the offset."""
        return value if placed is None else placed(value)


class _Choice(Element):
    """A choice from `enum`, whose values have the body's `type`."""

    def complete(self) -> None:
        """Check the choices first."""
        items = self.about.get("items")
        choices = self.about.get("enum", items.get("enum") if isinstance(items, Mapping) else None)
        is_plain = isinstance(choices, list | tuple) and all(isinstance(one, str | int | float) for one in choices)
        if not is_plain or not choices:
            raise self._invalid("enum", "is the list of the choices: texts, numbers, true, false")
        try:
            self.about["enum"] = self.defined(list(choices))
        except ValueError as error:
            raise self._invalid("enum", f"takes for each choice {error}, as its type says") from None
        super().complete()

    def defined(self, value: object) -> Any:
        """Return a value in the canonical form of the type of the choices."""
        items = self.about.get("items")
        of = str(items.get("type") if isinstance(items, Mapping) else self.about.get("type"))
        return [defined(of, one) for one in value] if isinstance(value, list) else defined(of, value)

    @property
    def choices(self) -> str:
        """The first choices in words."""
        return ", ".join(json.dumps(choice, ensure_ascii=False) for choice in self.about["enum"][:20])

    def found(self, given: Sequence[object]) -> list[Any]:
        """Return the given choices, found in a dictionary: form and answer may each have thousands."""
        # In Python 1 == True == 1.0; in JSON only the numbers are equal.
        known = {(isinstance(choice, bool), choice): choice for choice in reversed(self.about["enum"])}
        try:
            return [known[isinstance(one, bool), one] for one in given]
        except (KeyError, TypeError):  # not a choice, or not hashable
            raise ValueError from None


class Select(_Choice):
    """One of several choices."""

    kind = "select"
    json_type = None
    bound_kind = ""

    @property
    def fitting(self) -> str:
        """The choices."""
        return f"one of {self.choices}"

    def read(self, given: object) -> Any:
        """Find the choice."""
        return self.found([given])[0]

    def is_within(self, _value: object) -> bool:
        """Accept every choice."""
        return True


class Multiselect(_Choice):
    """Any of several choices. The bounds limit their number."""

    kind = "multiselect"
    json_type = "array"

    @property
    def fitting(self) -> str:
        """The choices, and how many."""
        bounds = length_in_words(self.about)
        return f"{f'a list with{bounds}' if bounds else 'a list'} of {self.choices}"

    def read(self, given: object) -> list[Any]:
        """Find the choices, each once."""
        if not isinstance(given, list | tuple) or not self.is_within(given):
            raise ValueError
        chosen = self.found(given)
        if len({(isinstance(one, bool), one) for one in chosen}) < len(chosen):
            raise ValueError
        return chosen

    def is_within(self, value: Sequence[object]) -> bool:
        """Tell whether the number of choices is within the bounds."""
        return is_within(self.about, len(value))


class File(Element):
    """A file: an object with `name`, `content` in Base64 and `type`. The bounds limit its size in bytes."""

    kind = "file"
    json_type = "object"
    allows_default = False
    terminal_hint = "the path of a file"

    @property
    def fitting(self) -> str:
        """Its maximum size, and how it is written."""
        return f"a file of at most {self._limit} bytes: an object with `name` and `content`, which is its Base64"

    def read(self, given: object) -> dict[str, str]:
        """Check the name, and the content's size."""
        if not isinstance(given, Mapping) or set(given) - {"name", "content", "type"}:
            raise ValueError
        parts = {part: given.get(part, "") for part in ("name", "content", "type")}
        name = parts["name"]
        if not all(isinstance(part, str) for part in parts.values()) or not name or "/" in name or "\\" in name:
            raise ValueError
        # Checked before decoding: four characters of Base64 are three bytes.
        if len(parts["content"]) > 4 * self._limit / 3 + 4:
            raise ValueError
        content = base64.b64decode(parts["content"], validate=True)  # binascii.Error is a ValueError
        if not is_within({**self.about, "maximum": self._limit}, len(content)):
            raise ValueError
        return parts

    def is_within(self, _value: object) -> bool:
        """`read` has decoded the content, and checked its size."""
        return True

    def masked(self, given: object) -> str:
        """Return its type."""
        return f"this {type(given).__name__}"

    @property
    def _limit(self) -> int:
        return int(min(FILE_LIMIT_BYTES, self.about.get("maximum") or FILE_LIMIT_BYTES))


_KINDS: Final[tuple[type[Element], ...]] = (
    *(Text, LongText, Number, Integer, Toggle, Select, Multiselect, Date, Time, DateTime, Password, File),
    *(FlowChoice, FlowInputs, Duration, TimeZone, TriggerChoice, Markdown, Submit),
)
ELEMENTS: Final = {element.kind: element for element in _KINDS}


def element_of(key: str, about: JsonObject) -> Element:
    """Return the element for its description, whose `element` names the kind."""
    return ELEMENTS[about["element"]](key, about)


def with_offset(text: str, zone: ZoneInfo) -> str:
    """Return a moment in canonical form with an offset. Without an offset, `text` is local time in the zone.

    Raises `MalformedRequest` if it is out of range.
    """
    local = datetime.fromisoformat(text)
    moment = zones.resolve(local, zone).astimezone(zone) if local.tzinfo is None else local
    return str(canonical("date-time", moment.isoformat()))
