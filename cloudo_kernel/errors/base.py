"""The base of all errors."""

from __future__ import annotations


class CloudoError(Exception):
    """Base of all errors of this project."""

    code = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        #: The input, parameter or setting that is at fault, where there is one.
        self.field = field
