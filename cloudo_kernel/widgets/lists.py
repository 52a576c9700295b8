"""The widgets that list flows, executions and input requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from cloudo_kernel.widgets.view import View

if TYPE_CHECKING:
    from cloudo_kernel.api import Api


class Flows(View):
    """The list of flows. What is selected in the page is selected in Python, and the other way round.

    >>> from cloudo_kernel.widgets import Flows
    >>> flows = Flows(selected=["reports/daily"])
    >>> flows.observe(lambda change: print("selected:", change.new), "selected")
    >>> flows
    """

    view = traitlets.Unicode("flows").tag(sync=True)
    #: Names of the selected flows, sorted.
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)


class _FilteredList(View):
    """A list whose filters are a trait, with the names that they have in the address of the page."""

    _FILTERS: ClassVar[Collection[str]] = ()
    #: Filters with a fixed set of values, and the enumeration of `models` that has them.
    _CHOICES: ClassVar[Mapping[str, str]] = {}

    #: The filters, by name. The reader can change them, too.
    filters = traitlets.Dict().tag(sync=True)

    def __init__(self, api: Api | None = None, **traits: Any) -> None:
        """Connect. Raises `TraitError` for a filter or a value that the list does not have."""
        given = {name: traits.pop(name) for name in list(traits) if name in self._FILTERS}
        if given:
            traits["filters"] = {**traits.get("filters", {}), **given}
        super().__init__(api, **traits)

    @traitlets.validate("filters")  # type: ignore[untyped-decorator]  # traitlets
    def _valid_filters(self, proposal: Any) -> dict[str, str]:
        given: Mapping[str, Any] = proposal["value"]
        if unknown := sorted(set(given) - set(self._FILTERS)):
            raise traitlets.TraitError(f"Unknown filter {unknown[0]!r}. Known filters: {', '.join(self._FILTERS)}.")
        texts = {name: _text_of(name, value) for name, value in given.items()}
        for name in self._CHOICES.keys() & texts.keys():
            _check_choices(name, texts[name], self._CHOICES[name])
        return {name: text for name, text in texts.items() if text}


class Executions(_FilteredList):
    """The list of executions, newest first and live.

    Filters: `q` (words), `status`, `flow`, `tag`, `user`, `trigger`, `schedule`, `since` and `until`.

    >>> from cloudo_kernel.widgets import Executions
    >>> executions = Executions(flow="reports/daily")
    >>> executions.filters = {"status": "RUNNING,ENDED_SUCCESS"}
    >>> executions
    """

    _FILTERS = ("q", "status", "flow", "tag", "user", "trigger", "schedule", "since", "until")
    _CHOICES = {"status": "Status", "trigger": "Origin"}  # noqa: RUF012 -- declared as ClassVar above
    view = traitlets.Unicode("executions").tag(sync=True)


class InputRequests(_FilteredList):
    """The messages of flows, at first those that wait for an answer. A click opens one with its form.

    Filters: `q` (words) and `state`.

    >>> from cloudo_kernel.widgets import InputRequests
    >>> InputRequests()
    """

    _FILTERS = ("q", "state")
    _CHOICES = {"state": "MessageState"}  # noqa: RUF012 -- declared as ClassVar above
    view = traitlets.Unicode("messages").tag(sync=True)
    filters = traitlets.Dict({"state": "OPEN"}).tag(sync=True)


def _check_choices(name: str, text: str, enumeration: str) -> None:
    """Raise `TraitError` if a part of the text is not one of the values."""
    from cloudo_kernel import models

    known = [str(one.value) for one in getattr(models, enumeration)]
    if unknown := [part for part in text.split(",") if part and part not in known]:
        raise traitlets.TraitError(
            f"The filter {name!r} has no value {unknown[0]!r}. Known values: {', '.join(known)}."
        )


def _text_of(name: str, value: Any) -> str:
    """Return a filter as the address has it; several values are separated by commas. Raises `TraitError`."""
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    parts = value if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else [value]
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < len(list(parts)):
        raise traitlets.TraitError(f"The filter {name!r} is a text, a time or a list of texts, not {value!r}.")
    return ",".join(map(str, texts))
