"""Keeps the secrets of one run in its worker: learns them from its calls, and masks them in its reports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cloudo_kernel.errors import MessageNotFound
from cloudo_kernel.forms.flow_elements import FlowInputs
from cloudo_kernel.forms.form import Form
from cloudo_kernel.models import ErrorDetail, Execution, JsonObject, LogLine, Progress
from cloudo_kernel.models.results import IMAGE_TYPES
from cloudo_kernel.security.redaction import PROTECTED, Redaction
from cloudo_kernel.store import Assignment, Claim, Outcome, Store
from cloudo_kernel.workspace.catalog import Catalog, defaults
from cloudo_kernel.workspace.layout import executed_notebook

#: Maximum characters of a log line; a record holds a thousand lines.
MAX_LINE = 100_000
#: Maximum characters of a status message; lists contain it in full.
MAX_MESSAGE = 4_000


class RunSecrets:
    """The values that only the run itself may see."""

    def __init__(
        self, store: Store, claim: Claim, redaction: Redaction, *, protected_outputs: Collection[str] = ()
    ) -> None:
        self._store = store
        self._claim = claim
        self.redaction = redaction
        self._protected_outputs = protected_outputs

    def protect_outputs(self, keys: Collection[str]) -> None:
        """Set the keys of the protected outputs, if they were not known from the beginning."""
        self._protected_outputs = keys

    def this(self) -> Execution:
        """Return the record of the run, with its protected values."""
        record = self.seen(self._store.executions.get(self._claim.id))
        # The file exists before the first cell, but its path is stored with the first progress.
        written = executed_notebook(self._claim.flow_name, self._claim.id)
        return record if record.notebook else record.model_copy(update={"notebook": written})

    def seen(self, execution: Execution) -> Execution:
        """Return the record of an execution, with protected values if it is the run itself or its child."""
        if self._claim.id not in (execution.id, execution.parent_id):
            return execution
        if PROTECTED not in f"{execution.input_value}{execution.output_value}":
            return execution
        protected = self._store.executions.protected(execution.id)
        if execution.id != self._claim.id:  # its own were learned when it began and when it set them
            self.redaction.learn([protected.inputs, protected.outputs])
        return protected.revealed(execution)

    def note(self, verb: str, arguments: Mapping[str, Any], result: Any) -> None:
        """Learn the secrets in the arguments and the result of a call, also of a replayed one."""
        told = None
        if verb == "save_setting" and result["secret"]:
            told = arguments["value"]
        elif verb == "start_child":
            told = _hidden(arguments["request"].get("inputs") or {}, result["input_value"])
        elif verb == "create_schedule":
            told = _hidden(arguments["request"].get("inputs") or {}, result["inputs"])
        if told is not None:
            self._learn_late(told)
        elif verb == "setting" and result["secret"]:
            self.redaction.learn(result["value"])
        elif verb == "settings":
            self.redaction.learn([setting["value"] for setting in result if setting["secret"]])
        elif verb in ("message", "wait_message") and result["response"] and result["body"]:
            self.redaction.learn(self._secret_answers(result))

    def _secret_answers(self, message: Mapping[str, Any]) -> list[Any]:
        """Return the protected values in the answer that a flow has got."""
        form, response = Form(message["body"]), message["response"]
        found = [value for key, value in response.items() if key in form.protected]
        inputs = [one.key for one in form.elements if isinstance(one, FlowInputs) and one.key in response]
        if inputs:
            with suppress(MessageNotFound):  # a replayed call may be older than its message
                masked = self._store.messages.get(message["id"]).response or {}
                found += [part for key in inputs for part in _masked_parts(response[key], masked.get(key))]
        return found

    def split_outputs(self, output: Mapping[str, Any]) -> JsonObject:
        """Return outputs as fields of the store: the values that anyone may see, and the hidden ones.

        Protected outputs are also masked in the existing log, which may contain them.
        """
        self._learn_late([value for key, value in output.items() if key in self._protected_outputs])
        masked, hidden = self.redaction.split(output, self._protected_outputs)
        return {"output_value": masked, "hidden_outputs": hidden}

    def _learn_late(self, secret: Any) -> None:
        """Learn a secret that the run already knew, and mask it in the existing log and results."""
        if self.redaction.learn(secret):
            self._store.log.mask(self._claim.id, self.redaction.mask)
            self._store.results.mask(self._claim.id, self.bundle)

    def bundle(self, values: JsonObject) -> JsonObject:
        """Return the data or metadata of a MIME bundle with secrets masked, but for binary images."""
        images = {kind: value for kind, value in values.items() if kind in IMAGE_TYPES}
        return {**self.redaction.mask_value(values), **images}

    def line(self, line: LogLine) -> LogLine:
        """Return a log line with secrets masked."""
        text = self.redaction.mask(line.text)
        return line if text == line.text else line.model_copy(update={"text": text})

    def progress(self, progress: Progress) -> Progress:
        """Return progress with secrets masked: the first line of a cell may contain one."""
        return progress.model_copy(update={"cell": progress.cell and self.redaction.mask(progress.cell)})

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return an outcome with secrets masked."""
        mask, error = self.redaction.mask, outcome.error
        if error is not None:
            traceback = tuple(mask("\n".join(error.traceback)).split("\n")) if error.traceback else ()
            error = ErrorDetail(name=mask(error.name), value=mask(error.value), cell=error.cell, traceback=traceback)
        message = outcome.message and shortened(mask(outcome.message), MAX_MESSAGE)
        return replace(outcome, message=message, error=error)


def _masked_parts(value: Any, masked: Any) -> Iterator[Any]:
    """Yield the parts of a value that are masked in `masked`."""
    if masked == PROTECTED:
        yield value
    elif isinstance(value, Mapping) and isinstance(masked, Mapping):
        for name in value.keys() & masked.keys():
            yield from _masked_parts(value[name], masked[name])


def secrets_of(assignment: Assignment, store: Store, catalog: Catalog, claim: Claim) -> RunSecrets:
    """Return the secrets that a run has when it begins.

    The default of an input is not a secret: it is part of the flow.
    """
    redaction, hidden = Redaction(), assignment.protected
    if hidden.inputs:
        usual = defaults(catalog.script(assignment.source).flow.input_schema)
        redaction.learn([value for name, value in hidden.inputs.items() if name not in usual or usual[name] != value])
    redaction.learn(hidden.outputs)
    return RunSecrets(store, claim, redaction, protected_outputs=assignment.protected_outputs)


def shortened(text: str, most: int) -> str:
    """Cut a text to `most` characters, and say how many are missing. Mask its secrets before, not after."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} characters more)"


def _hidden(given: Mapping[str, Any], masked: Mapping[str, Any]) -> list[Any]:
    """Return the given values that are shown as hidden."""
    return [value for name, value in given.items() if masked.get(name) == PROTECTED]
