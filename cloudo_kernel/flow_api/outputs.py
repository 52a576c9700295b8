"""The outputs of an execution and the inputs of a webhook call, for flow authors."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.models import Execution

_LOG = "logging"
_JSON = "json"


class Outputs(dict[str, Any]):
    """A dict of the outputs. Its key `logging` also returns the log, without being one of the outputs.

    Scripts written for the original read the log there. Each line is a dict of `time`, `level` and `text`.
    """

    def __init__(self, record: Execution) -> None:
        super().__init__(record.output_value)
        self._log = record.log or ()

    def __missing__(self, key: str) -> Any:
        if key == _LOG:
            return [line.model_dump(mode="json") for line in self._log]
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return an output, or the log for `logging`."""
        return self[key] if key in self or key == _LOG else default


class CallInputs(dict[str, Any]):
    """A dict of the inputs from a webhook call. Without JSON input, its key `json` returns the form, or None.

    Scripts written for the original read `json` for any kind of call. A repeated field has its first value.
    """

    def __missing__(self, key: str) -> Any:
        if key != _JSON:
            raise KeyError(key)
        form: dict[str, Any] | None = dict.get(self, "form")
        if form is None:
            return None
        return {name: value[0] if isinstance(value, list) else value for name, value in form.items()}

    def get(self, key: str, default: Any = None) -> Any:
        """Return an input. For `json`, return the form if there is no JSON input."""
        found = self[key] if key in self or key == _JSON else default
        return default if found is None and key not in self else found
