"""Verbs for a running flow: create and change its children, read secrets. Only workers expose them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from cloudo_kernel.errors import MalformedRequest, PermissionDenied
from cloudo_kernel.models import Execution, Fault, JsonObject, Setting, StartExecution
from cloudo_kernel.models.executions import Tags
from cloudo_kernel.service.starts import StartVerbs

#: The fields of an execution that a flow may change, with the type of each value.
_FIELDS: dict[str, TypeAdapter[Any]] = {
    "name": TypeAdapter(Annotated[str, Field(min_length=1, max_length=500)]),
    "message": TypeAdapter(str | None),
    "tags": TypeAdapter(Tags),
    "input_value": TypeAdapter(JsonObject),
    "output_value": TypeAdapter(JsonObject),
}


class ChildVerbs(StartVerbs):
    """Create, change and release children."""

    def start_child(
        self, request: StartExecution, *, is_held: bool = False, init: JsonObject | None = None
    ) -> Execution:
        """Start a child, or with `is_held` only create it. `init` holds the initial values of its fields."""
        fields = checked_fields(init or {})
        inputs = {**fields.pop("input_value", {}), **request.inputs}
        name, tags = fields.pop("name", request.name), fields.pop("tags", request.tags)
        request = request.model_copy(update={"inputs": inputs, "name": name, "tags": tags})
        new, _ = self.prepare_start(request, is_held=is_held, **fields)
        return self._store.executions.insert(new)

    def clone_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """Create a held child that copies an execution, with the same inputs or with `inputs`."""
        past = self._store.executions.get(execution_id)
        return self._store.executions.insert(self._again(past, inputs, is_held=True))

    def release_execution(self, execution_id: str, after: Sequence[str] = ()) -> Execution:
        """Release a held execution: it runs now, or once all of `after` have succeeded. No effect if it is not held."""
        self._store.control.release(execution_id, after=after)
        return self._store.executions.get(execution_id)

    def save_execution(self, execution_id: str, fields: JsonObject) -> Execution:
        """Change fields of a child. Its inputs and outputs can change only before it starts."""
        checked = checked_fields(fields)
        if self._parent_id is None or self._store.executions.get(execution_id).parent_id != self._parent_id:
            raise PermissionDenied("A flow changes the fields of itself and of its children only.")
        checked |= self._masked(execution_id, checked)
        self._store.control.save(execution_id, checked, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def _masked(self, execution_id: str, fields: JsonObject) -> JsonObject:
        """Return the fields of a child as stored: masked, with the sealed inputs and outputs added."""
        masked = {name: self.redaction.mask_value(fields[name]) for name in fields.keys() & {"name", "message", "tags"}}
        if not fields.keys() & {"input_value", "output_value"}:
            return masked
        flow = self._catalog.script(self._store.executions.source(execution_id)).flow
        if "input_value" in fields:
            inputs = self._validated(flow, fields["input_value"], self._trigger)
            shown, hidden = self._split_inputs(flow, inputs)
            masked |= {"input_value": shown, "sealed_inputs": self._store.encryption.seal_values(hidden)}
        if "output_value" in fields:
            shown, hidden = self.redaction.split(fields["output_value"], flow.metadata.protect_outputs)
            masked |= {"output_value": shown, "sealed_outputs": self._store.encryption.seal_values(hidden)}
        return masked

    def revealed_setting(self, name: str) -> Setting:
        """Return a setting with its value, even if it is a secret. Raises `SettingNotFound`."""
        self._ask("setting")
        return self._store.settings.get(name, reveal=True)

    def revealed_settings(self) -> tuple[Setting, ...]:
        """Return all saved settings, with the values of secrets."""
        self._ask("settings")
        return self._store.settings.all(reveal=True)


def checked_fields(fields: JsonObject) -> JsonObject:
    """Return the validated fields of an execution. Raises `MalformedRequest`, which names the invalid field."""
    checked: JsonObject = {}
    for field, value in fields.items():
        if field not in _FIELDS:
            raise MalformedRequest(
                f"{field!r} is no field that can be saved; these are: {', '.join(_FIELDS)}.", field=field
            )
        try:
            checked[field] = _FIELDS[field].validate_python(value)
        except ValidationError as error:
            raise MalformedRequest(f"{field}: {Fault.of(error).problem}.", field=field) from error
    return checked
