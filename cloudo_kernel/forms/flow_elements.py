"""The elements about flows: a choice of flows, and the inputs of the chosen ones.

An element checks the shape of its answer. `Flows` knows which flows exist, and checks their inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cloudo_kernel.errors import CloudoError, ResponseInvalid, raise_all
from cloudo_kernel.errors.base import rebuilt
from cloudo_kernel.forms.element import Element, Flows
from cloudo_kernel.models import JsonObject

_MAX_NAME: Final = 500


class FlowChoice(Element):
    """The name of a flow. With the type `array` a list of names, chosen from `enum`."""

    kind = "flow"
    json_type = None
    bound_kind = ""

    @property
    def fitting(self) -> str:
        """The choices, if the body limits them."""
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in self.about.get("enum", ())[:20])
        if self.is_list:
            return f"a list of {names}"
        return f"one of {names}" if names else "the name of a flow"

    @property
    def is_list(self) -> bool:
        """Whether it takes several flows."""
        return self.about.get("type") == "array"

    def complete(self) -> None:
        """Check the type and the choices first."""
        about = self.about
        if about["type"] not in (None, "string", "array"):
            raise self._invalid("type", f'is "string" for one flow or "array" for several, not {about["type"]!r}')
        about["type"] = about["type"] or "string"
        names = about.get("enum")
        is_plain = isinstance(names, list | tuple) and all(isinstance(name, str) and name for name in names)
        if not (is_plain and names) and (self.is_list or "enum" in about):
            raise self._invalid("enum", "is the list of the names of flows to choose from")
        super().complete()

    def read(self, given: object) -> Any:
        """Return the name, or the names, each once."""
        if not self.is_list:
            return self._name(given)
        if not isinstance(given, list | tuple):
            raise ValueError
        names = [self._name(one) for one in given]
        if len(set(names)) < len(names):
            raise ValueError
        return names

    def is_within(self, _value: object) -> bool:
        """`read` has compared it with the choices."""
        return True

    def settle(self, answer: JsonObject, flows: Flows) -> None:
        """Check that the flows exist."""
        for name in chosen(answer.get(self.key)):
            try:
                flows.check(name)
            except CloudoError as error:
                raise rebuilt(ResponseInvalid, str(error), self.key) from None

    def _name(self, given: object) -> str:
        names = self.about.get("enum")
        if not isinstance(given, str) or not 0 < len(given) <= _MAX_NAME or (names is not None and given not in names):
            raise ValueError
        return given


class FlowInputs(Element):
    """The inputs of a flow that another element chooses, or that the body names.

    The answer is an object of inputs; for several flows, an object of them by the name of the flow. Text is JSON, and
    gives all of the flows the same inputs.
    """

    kind = "inputs"
    json_type = "object"
    bound_kind = ""

    @property
    def fitting(self) -> str:
        """The shape of the answer."""
        return "an object with the inputs of the flow, or an object of them by the names of several flows"

    def read(self, given: object) -> JsonObject:
        """Return the object. The flow is not known yet."""
        value = json.loads(given) if isinstance(given, str) else given
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise ValueError
        # Text gives the same inputs to each flow. `settle` knows the flows.
        return _Shared(value) if isinstance(given, str) else dict(value)

    def is_within(self, _value: object) -> bool:
        """`settle` checks the inputs."""
        return True

    def relate(self, elements: Mapping[str, Element]) -> None:
        """Find the element that chooses the flow: the only one, if the body names neither it nor a flow."""
        about = self.about
        choices = [key for key, element in elements.items() if element.kind == FlowChoice.kind]
        if "flow_name" in about:
            if "flow" in about or not isinstance(about["flow_name"], str) or not about["flow_name"]:
                raise self._invalid("flow_name", "is the name of a flow, in the place of `flow`")
            return
        if "flow" not in about and len(choices) == 1:
            about["flow"] = choices[0]
        if about.get("flow") not in choices:
            raise self._invalid("flow", "is the key of the element `flow` that chooses the flow; or give `flow_name`")

    def settle(self, answer: JsonObject, flows: Flows) -> None:
        """Check the inputs of each chosen flow. Inputs that are missing have their defaults."""
        answered = answer.get(self.key, {})
        is_list = isinstance(self._named(answer), list)
        names = chosen(self._named(answer))
        is_shared = not is_list or isinstance(answered, _Shared)
        faults: list[CloudoError] = [
            rebuilt(ResponseInvalid, f"{name!r} is not one of the chosen flows.", f"{self.key}.{name}")
            for name in ([] if is_shared else answered)
            if name not in names
        ]
        found: JsonObject = {}
        for name in names:
            given = answered if is_shared else answered.get(name, {})
            try:
                found[name] = flows.checked_inputs(name, dict(given) if isinstance(given, Mapping) else given)
            except CloudoError as error:
                faults += self._faults(error, name, is_list=is_list)
        raise_all(faults)
        if names:
            answer[self.key] = found if is_list else found[names[0]]

    def masked_answer(self, value: Any, answer: JsonObject, flows: Flows) -> Any:
        """Mask the inputs that the flows protect."""
        named = self._named(answer)
        if isinstance(named, list):
            return {name: flows.masked_inputs(name, value[name]) for name in named}
        return flows.masked_inputs(named, value) if named else value

    def masked(self, given: object) -> str:
        """Return its type: the inputs may be secret."""
        return f"this {type(given).__name__}"

    def _named(self, answer: JsonObject) -> Any:
        return self.about.get("flow_name") or answer.get(self.about.get("flow", ""))

    def _faults(self, error: CloudoError, name: str, *, is_list: bool) -> Iterator[CloudoError]:
        """Yield an error for each invalid input, with the field `inputs.<input>` or `inputs.<flow>.<input>`."""
        place, said = (f"{self.key}.{name}", f"{name}: ") if is_list else (self.key, "")
        for one in error.errors or [{"field": None, "message": str(error)}]:
            # An error that is not about an input is about the flow.
            is_input = error.code == "inputs_invalid" and one["field"] is not None
            field = f"{place}.{one['field']}" if is_input else place
            yield rebuilt(ResponseInvalid, f"{said}{one['message']}", field)


class _Shared(dict[str, Any]):
    """Inputs that each chosen flow gets."""


def chosen(answer: object) -> list[str]:
    """Return the names in the answer to a choice of flows."""
    if answer is None or answer == "":
        return []
    return list(answer) if isinstance(answer, list) else [str(answer)]
