"""Limits on texts from callers, checked before they are parsed. `docs/security.md` lists them.

A small request must not keep the server busy: each limit allows about 100 ms of CPU. Callers convert `OutOfBounds` to
their own error.
"""

from __future__ import annotations

import re
from typing import Any, Final

#: Maximum JSON values in one request, and in one notebook; characters within strings do not count.
MAX_JSON_VALUES: Final = 100_000
MAX_NOTEBOOK_VALUES: Final = 300_000
#: The average without strings: numbers with thousands of digits are slow to parse.
MAX_BYTES_PER_VALUE: Final = 20
#: For format 3: nbformat upgrades and validates such a notebook cell by cell.
MAX_OLD_NOTEBOOK_VALUES: Final = 15_000
#: Python source: parsing time depends on the number of words and symbols, not on the length.
MAX_SCRIPT_BYTES: Final = 512 * 1024
MAX_SCRIPT_WORDS: Final = 20_000
MAX_PARAMETERS_BYTES: Final = 64 * 1024
MAX_PARAMETERS_WORDS: Final = 5_000
#: Inputs of one flow, and the source of their defaults: `a = b = c = [1, 2]` copies the value for each name.
MAX_INPUTS: Final = 200
MAX_DEFAULTS_BYTES: Final = 1024 * 1024
#: YAML in a script's `# cloudo:` comment.
MAX_YAML_BYTES: Final = 16 * 1024
MAX_YAML_DEPTH: Final = 30

_WORD: Final = re.compile(r"\w+|[^\w\s]")


class OutOfBounds(ValueError):
    """A text is too large or too deeply nested to parse; the message states the limit."""


def check_json(content: str | bytes, limit: int = MAX_JSON_VALUES) -> None:
    """Reject JSON with more than `limit` values, or too many bytes outside strings. Raises `OutOfBounds`."""
    text = content if isinstance(content, str) else content.decode("latin-1")  # the symbols that count are ASCII
    most = MAX_BYTES_PER_VALUE * limit
    if len(text) <= most and _signs(text) <= limit:
        return
    # Symbols within strings do not count. A regular expression would take seconds on strings with many escapes.
    plain = text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text
    parts = plain.split('"', 4 * limit + 1)
    rest = "" if len(parts) > 4 * limit + 1 else "".join(parts[::2])
    if not rest or _signs(rest) > limit:
        raise OutOfBounds(f"it holds more than {limit:,} values")
    if len(rest) > most:
        raise OutOfBounds(f"it has more than {most:,} bytes besides its texts")


def check_python(text: str, *, max_bytes: int = MAX_SCRIPT_BYTES, max_words: int = MAX_SCRIPT_WORDS) -> None:
    """Reject Python source that is slow to parse. Raises `OutOfBounds`."""
    # Characters first: most source is ASCII, and encoding a long text is slow.
    if len(text) > max_bytes or len(text.encode(errors="replace")) > max_bytes:
        raise OutOfBounds(f"it has more than {max_bytes // 1024} KiB of Python source")
    if len(text) > max_words and len(_WORD.findall(text)) > max_words:
        raise OutOfBounds(f"it has more than {max_words:,} words and signs of Python source")


def read_yaml(text: str) -> Any:
    """Parse a small YAML text. Raises `OutOfBounds`, and `ValueError` for invalid YAML."""
    if len(text.encode(errors="replace")) > MAX_YAML_BYTES:
        raise OutOfBounds(f"it has more than {MAX_YAML_BYTES // 1024} KiB")
    import yaml  # imported late, as few texts are YAML

    try:
        check_yaml(text)
        return yaml.load(text, yaml_loader())  # noqa: S506 -- it is a SafeLoader  # nosec B506
    except yaml.YAMLError as error:
        raise ValueError(getattr(error, "problem", None) or "a character that YAML does not allow") from error
    except (OverflowError, ValueError, RecursionError) as error:
        if isinstance(error, OutOfBounds):
            raise
        raise ValueError(f"a value cannot be read: {error}") from error


def check_yaml(text: str) -> None:
    """Reject aliases and deep nesting. Raises `OutOfBounds`, and `yaml.YAMLError` for invalid YAML.

    A few lines with a chain of aliases expand to gigabytes, and libyaml's loader crashes the process on a deep list.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml_loader()):  # one by one, to stop at the first that is too deep
        if isinstance(event, yaml.AliasEvent):
            raise OutOfBounds("it holds a YAML alias, which is not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:
            raise OutOfBounds(f"it is nested more than {MAX_YAML_DEPTH} deep")


def yaml_loader() -> Any:
    """Return the safe loader of libyaml, which is ten times as fast as that of Python."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _signs(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")
