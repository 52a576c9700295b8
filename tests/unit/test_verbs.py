"""A verb is declared once, and each end has it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.api import VERBS, Api, errors_of
from cloudo_kernel.api.run import RunVerbs
from cloudo_kernel.api.verb import verbs_of
from cloudo_kernel.client import Client
from cloudo_kernel.service import Service

#: Ends, and what they implement.
ENDS = [(Service, Api), (Client, Api)]


def public(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("kind", [Api, RunVerbs])
def test_each_method_is_declared_as_a_verb(kind: type[Any]) -> None:
    assert verbs_of(kind).keys() == public(kind)
    for name, verb in verbs_of(kind).items():
        assert verb.name == name
        assert verb.documentation, name
        assert {"return", *verb.defaults} == set(inspect.get_annotations(verb.declaration)), name


@pytest.mark.parametrize(("end", "api"), ENDS)
def test_each_end_implements_each_verb_as_it_is_declared(end: type[Any], api: type[Any]) -> None:
    for name, verb in verbs_of(api).items():
        method = getattr(end, name)
        assert method is not verb.declaration, f"{end.__name__} does not implement {name}"
        assert inspect.signature(method) == inspect.signature(verb.declaration), name


@pytest.mark.parametrize("name", VERBS)
def test_a_docstring_names_errors_that_exist(name: str) -> None:
    """Errors of REST are read from there, so a misspelt one would be missing without notice."""
    _, _, raises = VERBS[name].documentation.partition("Raises")
    for word in re.findall(r"`([A-Z]\w+)`", raises):
        assert issubclass(getattr(errors, word), errors.CloudoError), word
    assert bool(raises) == bool(errors_of(name))
