"""Verbs that start executions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cloudo_kernel import settings
from cloudo_kernel.errors import (
    CloudoError,
    ExecutionNotEnded,
    FlowBroken,
    FlowNotFound,
    IdempotencyConflict,
    InputsInvalid,
    MalformedRequest,
    NameInvalid,
    TooDeep,
    WorkedOnByHand,
)
from cloudo_kernel.models import (
    Action,
    Execution,
    ExecutionType,
    Flow,
    FlowMetadata,
    JsonObject,
    Occasion,
    Origin,
    RunOptions,
    Schedule,
    StartExecution,
)
from cloudo_kernel.models.executions import MAX_TAGS
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.service.base import Base
from cloudo_kernel.store import IdempotencyKey, NewExecution
from cloudo_kernel.workspace.catalog import CLOUDO, Source, defaults, kernel_fault, script_text, validate, write_only

#: Triggers that keep unknown inputs, because no person is there to see an error.
_LENIENT = (Origin.FLOW, Origin.SCHEDULE, Origin.WEBHOOK)

NO_OPTIONS = RunOptions()

#: Errors of a start that was possible before its flow changed.
NO_LONGER = (FlowNotFound, FlowBroken, InputsInvalid)


class StartVerbs(Base):
    """Start flows and scripts, and retry ended executions."""

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`."""
        try:
            new, idempotency = self.prepare_start(request, idempotency_key=idempotency_key)
        except NO_LONGER as error:
            return self.first_start(request, idempotency_key, error)
        return self._store.executions.insert(new, idempotency=idempotency)

    def first_start(self, request: StartExecution, idempotency_key: str | None, error: CloudoError) -> Execution:
        """Return the execution that an earlier request with this key has started. Without one, raise `error`.

        `error` is why the request cannot start now. Raises `IdempotencyConflict` if the earlier request was different.
        """
        if idempotency_key is None:
            raise error
        first = self._store.executions.first_of(self._user_name, idempotency_key)
        if first is None:
            raise error
        execution_id, digest = first
        body = request.model_dump_json()
        if digest not in (_digest(body), self._store.encryption.digest(body)):
            raise IdempotencyConflict(idempotency_key) from error
        return self._store.executions.get(execution_id)

    def prepare_start(
        self, request: StartExecution, *, idempotency_key: str | None = None, hides: Collection[str] = (), **more: Any
    ) -> tuple[NewExecution, IdempotencyKey | None]:
        """Check a request and return the records to insert. The server inserts many at once.

        `hides` are names of inputs to protect besides those that the flow protects. `more` are fields of
        `NewExecution` that no request has.
        """
        if (request.flow_name is None) == (request.script is None):
            raise MalformedRequest("Give either flow_name or script.", field="flow_name")
        if request.flow_name is not None:
            self._ask_flow("start_execution", request.flow_name)
        else:
            self._rights.check(Action.SCRIPT_RUN)
        source = self._source_of(request)
        new = self._new(
            source,
            ExecutionType.SCRIPT if request.flow_name is None else ExecutionType.FLOW,
            name=request.name or request.flow_name or "script",
            input_value=self._validated(source.flow, request.inputs, self._trigger, hides),
            hides=hides,
            tags=request.tags,
            scheduled_for=self._scheduled_for(request),
            timeout_seconds=request.timeout_seconds or source.flow.metadata.timeout_seconds,
            options=RunOptions.model_validate(request.model_dump(include=set(RunOptions.model_fields))),
            **more,
        )
        return new, self._idempotency(request, new, idempotency_key)

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`."""
        self._ask_execution("retry_execution", execution_id)
        past = self._store.executions.get(execution_id)
        if past.type is ExecutionType.SCRIPT:
            self._rights.check(Action.SCRIPT_RUN)
        if not past.is_ended:
            raise ExecutionNotEnded(execution_id, past.status)
        return self._store.executions.insert(self._again(past, inputs, retry_of=past.id))

    def _again(self, past: Execution, inputs: JsonObject | None, **more: Any) -> NewExecution:
        """Return a new execution that repeats `past`, with the current source of its flow or with the same script."""
        if past.type is ExecutionType.INTERACTIVE:
            raise WorkedOnByHand(past.id, "retried")
        if past.flow_name is None:
            source = self._catalog.script(self._store.executions.source(past.id))
        else:
            source = self._flow_source(past.flow_name)
        # Repeated inputs follow their own trigger's rules, so they pass again. New ones follow those of this trigger.
        trigger = past.trigger if inputs is None else self._trigger
        hidden = self._store.executions.protected(past.id).inputs
        given = {**past.input_value, **hidden} if inputs is None else restored(inputs, hidden)
        return self._new(
            source,
            past.type,
            name=past.name,
            input_value=self._validated(source.flow, given, trigger, hidden),
            hides=hidden.keys(),
            tags=past.tags,
            timeout_seconds=self._store.executions.time_limit(past.id),
            options=self._store.executions.run_options(past.id),
            **more,
        )

    def prepare_by_hand(self, execution_id: str, flow_name: str | None) -> NewExecution:
        """Return an interactive execution for a notebook, which has a `flow_name` if it is a flow.

        Its inputs are the defaults of the notebook's parameters cell.
        """
        try:
            source = self._catalog.script("") if flow_name is None else self._catalog.snapshot(flow_name)
        except (FlowNotFound, FlowBroken, NameInvalid):  # not saved yet, or in the middle of a change
            source = self._catalog.script("")
        inputs = defaults(source.flow.input_schema)
        name = flow_name or "notebook"
        new = self._new(source, ExecutionType.INTERACTIVE, name=name, input_value=inputs)
        new = replace(new, id=execution_id, flow_name=flow_name, parent_id=None, reserved_for=None)
        return replace(
            new, trigger=Origin.CELL, retries=0, max_running=None, durable=False, follow_ups=None, requires=()
        )

    def _source_of(self, request: StartExecution) -> Source:
        if request.flow_name is None:
            assert request.script is not None
            return self._catalog.script(script_text(request.script, request.script_encoding))
        if request.script_encoding is not None:
            raise MalformedRequest("script_encoding is only for a script.", field="script_encoding")
        return self._flow_source(request.flow_name)

    def _flow_source(self, name: str) -> Source:
        try:
            source = self._catalog.snapshot(name)
            if not self._is_offered(source.flow):
                raise FlowNotFound(name)
        except (FlowNotFound, FlowBroken, NameInvalid) as error:
            error.field = "flow_name"  # a request for the flow itself has the name in its URL
            raise
        return source

    def _new(
        self,
        source: Source,
        kind: ExecutionType,
        *,
        hides: Collection[str] = (),
        common: JsonObject | None = None,
        options: RunOptions = NO_OPTIONS,
        **more: Any,
    ) -> NewExecution:
        """Return a new execution of the source, with the fields that the flow's metadata and this caller set.

        `hides` are names of inputs to protect besides those that the flow protects. To start many, pass the result of
        `_common` as `common`.
        """
        if self._depth and self._depth > (most := self._store.settings.value(settings.MAX_DEPTH)):
            raise TooDeep(more["name"], most)
        common = self._common(source, kind, options) if common is None else common
        if kind is ExecutionType.FLOW and (inherited := source.flow.tags):
            more["tags"] = tuple(dict.fromkeys((*more.get("tags", ()), *inherited)))[:MAX_TAGS]
        return NewExecution(id=new_id(), **{**common, **more, **self._protected(source.flow, hides, **more)})

    def _common(self, source: Source, kind: ExecutionType, options: RunOptions = NO_OPTIONS) -> JsonObject:
        """Return the fields that all new executions of the source by this caller share."""
        flow, is_flow = source.flow, kind is ExecutionType.FLOW
        return {
            "type": kind,
            "flow_name": flow.name if is_flow else None,
            "trigger": self._trigger,
            "user_name": self._user_name,
            "source_text": source.text,
            "source_sha256": source.sha256,
            "kernel": self._kernel(source, kind, options.kernel),
            "run_options": options.over(flow.metadata).stored,
            "folder": str(source.folder),
            "parent_id": self._parent_id,
            "rank": -flow.metadata.priority,
            "max_running": flow.metadata.max_running if is_flow else None,
            "retries": flow.metadata.retries,
            "retry_delay_seconds": flow.metadata.retry_delay_seconds,
            "engine": flow.metadata.engine,
            "memory_limit_mb": flow.metadata.memory_limit_mb,
            "durable": flow.metadata.durable,
            "retention_minutes": flow.metadata.retention_minutes,
            "requires": flow.metadata.requires,
            # A private worker has no labels, so any worker with them may run it.
            "reserved_for": None if flow.metadata.requires else self._reserved_for,
            "depth": self._depth,
            "protected_outputs": flow.metadata.protect_outputs or None,
            "follow_ups": follow_ups_of(flow.metadata),
        }

    def _kernel(self, source: Source, kind: ExecutionType, chosen: str | None) -> str:
        """Return the chosen kernel, else the source's own. Raises `MalformedRequest`, `FlowBroken`."""
        kernel = source.flow.kernel if chosen is None else self._catalog.native(chosen)
        fault = kernel_fault(kernel)
        if chosen is not None and source.kind == "script" and kernel != CLOUDO.name:
            fault = "a script that defines a handler runs in the kernel cloudo only"
        if fault is None or kind is ExecutionType.INTERACTIVE:  # its user has chosen the kernel
            return kernel
        if chosen is None and kind is ExecutionType.FLOW:
            raise FlowBroken(source.flow.name, fault)
        raise MalformedRequest(f"It cannot be started: {fault}.", field="kernel")

    def _protected(
        self, flow: Flow, hides: Collection[str], *, name: str, input_value: JsonObject, **more: Any
    ) -> JsonObject:
        """Return the fields of a new execution that may hold secrets: masked, with the hidden values sealed."""
        metadata = flow.metadata
        if not (hides or metadata.protect_inputs or metadata.protect_outputs or self.redaction.knows_any):
            return {"name": name, "input_value": input_value}  # the usual case
        inputs = self._split_inputs(flow, input_value, hides)
        outputs = self.redaction.split(more.get("output_value", {}), metadata.protect_outputs)
        encrypt = self._store.encryption.seal_values
        return {
            "name": self.redaction.mask(name),
            **{field: self.redaction.mask_value(more[field]) for field in more.keys() & {"tags", "message"}},
            "input_value": inputs[0],
            "sealed_inputs": encrypt(inputs[1]),
            "output_value": outputs[0],
            "sealed_outputs": encrypt(outputs[1]),
        }

    def _split_inputs(
        self, flow: Flow, inputs: JsonObject, hides: Collection[str] = ()
    ) -> tuple[JsonObject, JsonObject]:
        """Return the inputs as anyone may see them, and separately the full values of those that are masked."""
        protected = {*hides, *flow.metadata.protect_inputs}
        for name in protected & inputs.keys():
            if inputs[name] == PROTECTED:
                raise InputsInvalid(
                    f"{PROTECTED} is only shown in the place of {name!r}; give the value itself.", field=name
                )
        return self.redaction.split(inputs, protected)

    def _idempotency(
        self, request: StartExecution, new: NewExecution, idempotency_key: str | None
    ) -> IdempotencyKey | None:
        if idempotency_key is None:
            return None
        body = request.model_dump_json()
        # A plain digest of a short secret can be reversed by brute force.
        is_open = new.sealed_inputs is None
        digest = _digest(body) if is_open else self._store.encryption.digest(body)
        return IdempotencyKey(idempotency_key, digest)

    def _validated(self, flow: Flow, inputs: JsonObject, trigger: Origin, hides: Collection[str] = ()) -> JsonObject:
        """Return the checked inputs. Unknown ones are kept if `trigger` is in `_LENIENT`, and an error otherwise.

        No error shows the values of `hides` or of inputs that the flow protects.
        """
        schema = write_only(flow.input_schema, hides) if hides else flow.input_schema
        known = schema["properties"]
        if trigger not in _LENIENT or schema["additionalProperties"]:
            return validate(schema, inputs)
        strangers = {name: value for name, value in inputs.items() if name not in known}
        fitting = validate(schema, {name: value for name, value in inputs.items() if name in known})
        return {**validate({}, strangers), **fitting}

    def _scheduled_for(self, request: StartExecution) -> datetime | None:
        if request.delay_seconds is None:
            return request.scheduled_at
        if request.scheduled_at is not None:
            raise MalformedRequest("Give either scheduled_at or delay_seconds.", field="delay_seconds")
        try:
            return self._store.now + timedelta(seconds=request.delay_seconds)
        except OverflowError as error:
            raise MalformedRequest("delay_seconds is too large.", field="delay_seconds") from error


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def restored(inputs: JsonObject, hidden: JsonObject) -> JsonObject:
    """Return given inputs, with each mask replaced by the hidden value that it stands for."""
    return {name: hidden.get(name, value) if value == PROTECTED else value for name, value in inputs.items()}


def follow_ups_of(metadata: FlowMetadata, schedule: Schedule | None = None) -> JsonObject | None:
    """Return the follow-ups of an execution by occasion: those of its schedule, else those of its flow."""
    found: JsonObject = {}
    for occasion in Occasion:
        own = None if schedule is None else getattr(schedule, occasion)
        following = getattr(metadata, occasion) if own is None else own
        if following:
            found[occasion.value] = [one.model_dump(mode="json", exclude_defaults=True) for one in following]
    return found or None
