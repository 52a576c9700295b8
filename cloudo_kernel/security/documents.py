"""YAML as people type it, limited to JSON values: in a shell, and for inputs in a form."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cloudo_kernel.security.bounds import OutOfBounds, check_yaml, yaml_loader

if TYPE_CHECKING:
    from yaml import SafeLoader

#: Patterns of values that are not text: YAML 1.2's core schema, limited to JSON. YAML 1.1 would read `no` as false,
#: `010` as 8 and `2025-03-31` as a date.
_WORDS: Final = {
    "bool": "true|True|TRUE|false|False|FALSE",
    "null": "null|Null|NULL",
    "int": "-?(?:0|[1-9][0-9]*)",
    "float": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
}
#: A text that is not text in YAML.
PLAIN: Final = re.compile("|".join(_WORDS.values()))


def document(text: str) -> Any:
    """Parse a whole YAML document, limited to JSON values. Raises `ValueError`."""
    import yaml

    try:
        check_yaml(text)
        return yaml.load(text, _loader())  # noqa: S506 -- it is a SafeLoader  # nosec B506
    except (yaml.YAMLError, OutOfBounds) as error:
        raise ValueError(f"That is not YAML: {error}") from error


def mapping(text: str) -> dict[str, Any]:
    """Parse a YAML mapping of names to JSON values. Raises `ValueError`, naming the line."""
    import yaml

    try:
        check_yaml(text)
        value = yaml.load(text, _loader())  # noqa: S506 -- it is a SafeLoader  # nosec B506
        json.dumps(value, allow_nan=False)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line if mark else 0, text.rstrip().count("\n")) + 1  # the end counts as a line of its own
        raise ValueError(f"Line {line}: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ValueError("There is a character that YAML does not allow.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"A value is not valid: {error}.") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("Line 1: each input needs a name, such as `region: north`.")
    if wrong := [name for name in value if not isinstance(name, str)]:
        raise ValueError(f"The name {json.dumps(wrong[0])} is not a text: write it in quotes.")
    return value


def _loader() -> type[SafeLoader]:
    import yaml

    class Loader(yaml_loader()):  # type: ignore[misc]  # libyaml's class, where it is installed
        """Reads fewer words as something other than text, and a name once."""

        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # add_implicit_resolver fills it

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    problem = f"the name {key.value!r} stands here twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
            found: dict[Any, Any] = super().construct_mapping(node, deep)
            return found

    for tag, words in _WORDS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{words})$"), None)
    return Loader
