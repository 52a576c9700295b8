"""Labels of workers, such as `gpu`, and the labels that a flow requires."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.base import Fault

_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def _label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError(
            f"{name[:70]!r} is not a label: use up to 63 lower-case letters, digits, '.', '_' and '-', beginning with "
            "a letter or a digit"
        )
    return name


def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


#: Sorted, each label once.
Labels = Annotated[
    tuple[Annotated[str, AfterValidator(_label)], ...], Field(max_length=20, fail_fast=True), AfterValidator(_sorted)
]
_LABELS: Final = TypeAdapter(Labels)


def labels_of(names: Sequence[str], *, field: str) -> tuple[str, ...]:
    """Return the labels that a command or a configuration gives, sorted. Raises `MalformedRequest`, naming `field`."""
    try:
        return _LABELS.validate_python(tuple(names))
    except ValidationError as error:
        raise MalformedRequest(f"{field}: {Fault.of(error).problem}.", field=field) from error
