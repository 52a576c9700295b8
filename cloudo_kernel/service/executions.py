"""Verbs for existing executions, for many at once, and for the children of a running flow."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from cloudo_kernel.errors import (
    CloudoError,
    ExecutionNotEnded,
    ExecutionNotFound,
    IllegalTransition,
    MalformedRequest,
    NotebookNotFound,
    PermissionDenied,
)
from cloudo_kernel.models import (
    BulkAction,
    BulkError,
    BulkItem,
    BulkOutcome,
    BulkRequest,
    Execution,
    ExecutionBrief,
    ExecutionCount,
    ExecutionFilter,
    ExecutionOrder,
    Fault,
    JsonObject,
    Page,
    StartExecution,
    Status,
)
from cloudo_kernel.models.executions import BULK_LIMIT, Tags
from cloudo_kernel.service.base import MAX_QUERY, id_cursor, page_limit
from cloudo_kernel.service.starts import StartVerbs

#: The fields of an execution that a flow may change, with the type of each value.
_FIELDS: dict[str, TypeAdapter[Any]] = {
    "name": TypeAdapter(Annotated[str, Field(min_length=1, max_length=500)]),
    "message": TypeAdapter(str | None),
    "tags": TypeAdapter(Tags),
    "input_value": TypeAdapter(JsonObject),
    "output_value": TypeAdapter(JsonObject),
}


#: Maximum number of executions to which a bulk request with a filter applies.
_MAX_FILTERED = 10_000
_VERB_OF = {
    BulkAction.CANCEL: "cancel_execution",
    BulkAction.RETRY: "retry_execution",
    BulkAction.DELETE: "delete_execution",
}


class ExecutionVerbs(StartVerbs):
    """Read, list, await, cancel, pause, resume and delete executions, one or many. Create and change children."""

    def executions(
        self,
        where: ExecutionFilter | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
        order: ExecutionOrder = ExecutionOrder.NEWEST,
    ) -> Page[Execution]:
        """See `Api.executions`."""
        self._ask("executions")
        wanted, flows = checked_filter(where), self._rights.flows
        size, before = page_limit(limit), id_cursor(cursor)
        return self._store.executions.page(wanted, flows=flows, limit=size, before=before, order=order)

    def execution_count(self, where: ExecutionFilter | None = None) -> ExecutionCount:
        """See `Api.execution_count`."""
        self._ask("execution_count")
        return self._store.counts.of(checked_filter(where), flows=self._rights.flows)

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""
        self._ask_execution("execution", execution_id)
        return self._store.executions.get(execution_id)

    def started(self, execution_id: str) -> Execution:
        """Return an execution that the caller has started. The right to start it is enough to see it."""
        return self._store.executions.get(execution_id)

    def execution_notebook(self, execution_id: str) -> str:
        """See `Api.execution_notebook`."""
        self._ask_execution("execution_notebook", execution_id)
        path = self._store.executions.get(execution_id).notebook
        if path is None:
            raise NotebookNotFound(execution_id)
        try:
            return (self._catalog.workspace.root / path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NotebookNotFound(execution_id) from error

    def execution_source(self, execution_id: str) -> str:
        """See `Api.execution_source`."""
        self._ask_execution("execution_source", execution_id)
        return self._store.executions.source(execution_id)

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`."""
        self._ask_execution("wait", execution_id)
        self._until(lambda: self._store.executions.status(execution_id).is_ended, timeout)
        return self._store.executions.get(execution_id)

    def cancel_execution(self, execution_id: str, *, tree: bool = False) -> Execution:
        """See `Api.cancel_execution`."""
        self._ask_execution("cancel_execution", execution_id)
        if tree:
            reason = f"cancelled by {self._user_name}"
            self._store.control.cancel_tree(execution_id, user_name=self._user_name, reason=reason)
        else:
            self._cancel(execution_id)
        return self._store.executions.get(execution_id)

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        self._ask_execution("pause_execution", execution_id)
        self._store.control.pause(execution_id, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        self._ask_execution("resume_execution", execution_id)
        self._store.control.resume(execution_id, user_name=self._user_name)
        return self._store.executions.get(execution_id)

    def delete_execution(self, execution_id: str) -> None:
        """See `Api.delete_execution`."""
        self._ask_execution("delete_execution", execution_id)
        execution = self._store.executions.get(execution_id)
        if not execution.is_ended:
            raise ExecutionNotEnded(execution_id, execution.status)
        self._delete(execution)

    def delete_expired(self) -> None:
        """Delete records past their retention, expire messages past their timeout. Worker housekeeping calls it."""
        self._store.messages.expire()
        self._store.messages.delete_expired()
        self._store.schedules.delete_expired()
        self._store.workers.delete_expired()
        self._store.tokens.delete_expired()
        self._store.webhooks.delete_expired()
        while expired := self._store.executions.expired():
            for execution in expired:
                self._delete(execution)
        self._store.executions.forget_idempotency_keys()

    def bulk_executions(self, request: BulkRequest) -> BulkOutcome:
        """See `Api.bulk_executions`."""
        self._ask("bulk_executions")
        if request.action is BulkAction.START:
            return _outcome(self._start_all(request))
        ids = request.ids or ()
        if request.filter is not None:
            self._ask(_VERB_OF[request.action])  # an error of the request, not of each item
            ids = self._matching(request.action, checked_filter(request.filter))
        return _outcome(tuple(self._done(request, execution_id) for execution_id in ids))

    def _matching(self, action: BulkAction, where: ExecutionFilter) -> tuple[str, ...]:
        """Return the ids of matching executions in a state that allows the action, newest first."""
        fitting = [status for status in where.status or Status if status.is_ended != (action is BulkAction.CANCEL)]
        if not fitting:
            return ()
        wanted = where.model_copy(update={"status": tuple(fitting)})
        return self._store.executions.ids(wanted, limit=_MAX_FILTERED, flows=self._rights.flows)

    def _start_all(self, request: BulkRequest) -> tuple[BulkItem, ...]:
        """Start the flows of the request in one commit."""
        names = request.flow_names or ()
        prepared: list[Any] = []
        for name in names:
            try:
                wanted = StartExecution(flow_name=name, inputs=request.inputs or {})
                prepared.append(self.prepare_start(wanted))
            except CloudoError as error:
                prepared.append(error)
        fitting = [one for one in prepared if not isinstance(one, CloudoError)]
        inserted = iter(self._store.executions.insert_all(fitting) if fitting else ())
        outcomes = [one if isinstance(one, CloudoError) else next(inserted) for one in prepared]
        items = []
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, CloudoError):
                items.append(BulkItem(flow_name=name, ok=False, error=_told(outcome)))
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                items.append(BulkItem(flow_name=name, ok=True, execution=_brief(outcome.execution)))
        return tuple(items)

    def _done(self, request: BulkRequest, execution_id: str) -> BulkItem:
        """Apply the requested action to one execution and return the outcome."""
        try:
            execution = self._act(request, execution_id)
        except CloudoError as error:
            return BulkItem(id=execution_id, ok=False, error=_told(error))
        return BulkItem(id=execution_id, ok=True, execution=None if execution is None else _brief(execution))

    def _act(self, request: BulkRequest, execution_id: str) -> Execution | None:
        match request.action:
            case BulkAction.CANCEL:
                return self.cancel_execution(execution_id, tree=request.tree)
            case BulkAction.PAUSE:
                return self.pause_execution(execution_id)
            case BulkAction.RESUME:
                return self.resume_execution(execution_id)
            case BulkAction.RETRY:
                return self.retry_execution(execution_id, request.inputs)
            case _:
                self.delete_execution(execution_id)
                return None

    # Only workers expose the verbs for children.

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

    def _cancel(self, execution_id: str) -> None:
        """Cancel an execution and all its descendants, whichever flows they run."""
        self._store.control.cancel(execution_id, user_name=self._user_name, reason=f"cancelled by {self._user_name}")
        for child in self._store.executions.unended_children(execution_id):
            with contextlib.suppress(IllegalTransition):  # it has ended meanwhile
                self._cancel(child)

    def _delete(self, execution: Execution) -> None:
        """Delete the notebook, then the row. After a crash in between, the next call finds the row and finishes."""
        self._executed(execution).unlink(missing_ok=True)
        try:
            self._store.executions.delete(execution.id, user_name=self._user_name)
        except ExecutionNotFound:
            return  # already deleted by another caller


def checked_filter(where: ExecutionFilter | None) -> ExecutionFilter:
    """Return a filter. Raises `MalformedRequest` for a text that is too long."""
    wanted = where or ExecutionFilter()
    if wanted.q is not None and len(wanted.q) > MAX_QUERY:
        raise MalformedRequest(f"q has at most {MAX_QUERY:,} characters.", field="q")
    return wanted


def checked_fields(fields: JsonObject) -> JsonObject:
    """Return the validated fields of an execution. Raises `MalformedRequest`, which names the invalid field."""
    checked: JsonObject = {}
    for field, value in fields.items():
        if field not in _FIELDS:
            raise MalformedRequest(
                f"{field!r} is not a field that can be saved. These are: {', '.join(_FIELDS)}.", field=field
            )
        try:
            checked[field] = _FIELDS[field].validate_python(value)
        except ValidationError as error:
            raise MalformedRequest(f"{field}: {Fault.of(error).problem}.", field=field) from error
    return checked


def _outcome(items: tuple[BulkItem, ...]) -> BulkOutcome:
    done = sum(item.ok for item in items)
    return BulkOutcome(matched=len(items), done=done, failed=len(items) - done, items=items[:BULK_LIMIT])


def _brief(execution: Execution) -> ExecutionBrief:
    return ExecutionBrief.model_validate(execution.model_dump(include=set(ExecutionBrief.model_fields)))


def _told(error: CloudoError) -> BulkError:
    return BulkError.model_validate(error.payload)
