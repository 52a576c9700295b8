"""Reads the project's documents for tests."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


@dataclass
class Block:
    """A fenced block of a document."""

    line: int
    language: str
    words: list[str]
    text: str

    def value(self, key: str) -> str | None:
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{key}=")), None)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> Iterator[Block]:
    text = text_of(name)
    for found in re.finditer(r"^```(\w+)?([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found[1] or "", found[2].split(), found[3])


def prose(name: str) -> str:
    """Return the text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)


def spans(name: str) -> list[str]:
    """Return what stands between backquotes in the running text."""
    return re.findall(r"`([^`\n]+)`", prose(name))


def rows(name: str, head: str) -> list[list[str]]:
    """Return the cells of the table that begins with this line, without its head."""
    table = re.search(rf"^\| {head} \|.*\n\|.*\n((?:\|.*\n)+)", text_of(name), re.MULTILINE)
    assert table, f"{name} has no table {head}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[1].splitlines()]


def resolve(dotted: str) -> Any:
    """Return what a dotted name names, or fail."""
    parts = dotted.split(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for length in range(len(parts), 0, -1):
            try:
                found: Any = importlib.import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:]:
                found = getattr(found, part)
            return found
    raise AssertionError(dotted)
