"""The outputs of an execution as flow authors read them."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.models import Execution

_LOG = "logging"


class Outputs(dict[str, Any]):
    """A dict of the outputs, in which the log can be read too, as `logging`, without being one of them.

    Scripts written for the original look there; each line is a dict of `time`, `level` and `text`.
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
