"""YAML that people type as inputs."""

from __future__ import annotations

import re

import pytest

from cloudo_kernel.security.documents import mapping


def test_values_are_those_of_json() -> None:
    text = 'a: 1\nb: [x, no, 010]\nc: {d: null}\nday: 2026-03-31\n"1": yes\n'
    assert mapping(text) == {"a": 1, "b": ["x", "no", "010"], "c": {"d": None}, "day": "2026-03-31", "1": "yes"}
    assert mapping("") == mapping("# only a comment") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [", "Line 2: did not find"),
        ("a\n b: c: d", "Line 2: mapping values are not allowed"),
        ("a: 1\na: 2", "Line 2: the name 'a' stands here twice."),
        ("a:\n  b: 1\n  b: 2", "Line 3: the name 'b'"),
        ("a:\tb\n\tc: d", "Line 2: found a tab"),
        ("- a", "Line 1: each input needs a name"),
        ("1: 2", "The name 1 is not a text"),
        ("a: 1e999", "A value is not valid"),
        ("a: &x 1\nb: *x", "alias"),
        ("a: !!python/object:os.system x", "Line 1: could not determine a constructor"),
        ("a: !!binary aGk=", "A value is not valid"),
        ("a: " + "[" * 40, "nested more than 30 deep"),
        ("a: " + "9" * 5000, "A value is not valid"),
        ("a: \x00", "a character that YAML does not allow"),
        ("? [1]\n: 2", "Line 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        mapping(text)
