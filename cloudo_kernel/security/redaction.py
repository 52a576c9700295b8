"""Redaction: learns the secrets of a run, and masks them in everything that leaves it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

#: Shown in place of a protected value.
PROTECTED: Final = "•••"
#: Shorter texts would match everywhere, and are not masked.
_MIN_LENGTH = 4
#: Lines of a longer text are masked from this length on, as they are shown one by one.
_MIN_LINE = 8
#: Maximum number of texts of one value; a value with more is not a password.
_MAX_TEXTS = 2_000

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


#: JSON values by name.
Named = dict[str, Any]


class Redaction:
    """The secrets of one run. It learns them during the run, from settings and answers."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: dict[str, None] = {}
        #: Their written forms, and for how many texts these are: threads may learn while others mask.
        self._written: tuple[int, list[str]] = (0, [])
        self.add_texts(texts)

    def learn(self, value: Any) -> bool:
        """Treat a JSON value and all its parts as secret; tell whether any of it was new."""
        known = len(self._texts)
        for _, text in zip(range(_MAX_TEXTS), _texts_of(value), strict=False):
            self._texts.setdefault(text)
        return known < len(self._texts)

    def add_texts(self, texts: Iterable[str]) -> None:
        """Learn the `texts` of another redaction."""
        self._texts |= dict.fromkeys(texts)

    @property
    def knows_any(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._texts)

    def texts(self, *, after: int = 0) -> list[str]:
        """Return the secret texts in the order in which they were learned, without the first `after`."""
        return list(self._texts)[after:]

    def mask(self, text: str) -> str:
        """Return a text with all secrets masked, including their forms in JSON, Python, HTML and URLs."""
        if not self._texts:
            return text
        masked = self._replaced(text)
        if "\x1b" in text and (plain := _COLOURS.sub("", masked)) != (replaced := self._replaced(plain)):
            return replaced  # a secret contained colour codes
        return masked

    def mask_value(self, value: Any) -> Any:
        """Return a JSON value with the secrets in its texts masked; a number that is a secret is masked whole."""
        if not self._texts or value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return PROTECTED if repr(value) in self._texts else value
        if isinstance(value, Mapping):
            return {self.mask_value(name): self.mask_value(part) for name, part in value.items()}
        return [self.mask_value(part) for part in value] if isinstance(value, list | tuple) else self.mask(value)

    def holds(self, value: Any) -> bool:
        """Tell whether a JSON value contains a secret."""
        return bool(self._texts) and self.mask_value(value) != value

    def split(self, values: Mapping[str, Any], protected: Collection[str] = ()) -> tuple[Named, Named]:
        """Return named values as everyone may see them, and the original values of those that are masked."""
        if not self._texts and not protected:
            return dict(values), {}
        shown = {name: PROTECTED if name in protected else self.mask_value(value) for name, value in values.items()}
        return shown, {name: value for name, value in values.items() if shown[name] != value}

    def _replaced(self, text: str) -> str:
        """Return a text with each secret replaced by the mask.

        Each form is searched for separately, and the pattern only contains those that were found. With a hundred
        secrets, a pattern of all forms takes seconds for a megabyte, and the rest of the process stands still.
        """
        found = [form for form in self._forms if form in text]
        return re.sub("|".join(map(re.escape, found)), PROTECTED, text) if found else text

    @property
    def _forms(self) -> list[str]:
        """The forms to search for, the longest first: one secret may contain another."""
        written = self._written
        if written[0] != len(self._texts):
            texts = list(self._texts)
            forms = sorted({form for text in texts for form in _forms(text)}, key=len, reverse=True)
            written = self._written = (len(texts), forms)
        return written[1]


def _texts_of(value: Any) -> Iterator[str]:
    """Yield the texts to mask: the texts and numbers of a value, and the lines of texts."""
    match value:
        case str():
            if len(value.strip()) >= _MIN_LENGTH:
                yield value
                yield value.strip()
            lines = [line.strip() for line in value.splitlines()]
            if len(lines) > 1:
                yield from (line for line in lines if len(line) >= _MIN_LINE)
        case bool() | None:
            return
        case int() | float():
            if len(repr(value)) >= _MIN_LENGTH:
                yield repr(value)
        case Mapping():
            for part in value.values():
                yield from _texts_of(part)
        case list() | tuple():
            for part in value:
                yield from _texts_of(part)


def _forms(text: str) -> set[str]:
    """Return the forms of a text: plain, escaped once and twice by JSON and Python, and encoded for HTML and URLs."""
    written = {text, *_escaped(text)}
    written |= {twice for once in written for twice in _escaped(once)}
    return written | {
        html.escape(text),
        html.escape(text, quote=False),
        quote(text, safe=""),
        quote(text),
        quote_plus(text),
    }


def _escaped(text: str) -> Iterator[str]:
    for literal in (json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text), ascii(text)):
        yield literal[1:-1]


def without_secrets(notebook: Named, redaction: Redaction) -> Named:
    """Return a notebook that is safe to save: masked wherever it has text of its flow or its run."""
    if not redaction.texts():
        return notebook
    kept = {
        name: notebook["metadata"][name] for name in ("kernelspec", "language_info") if name in notebook["metadata"]
    }
    cells = [_cell(cell, redaction) for cell in notebook["cells"]]
    return {**notebook, "cells": cells, "metadata": {**redaction.mask_value(notebook["metadata"]), **kept}}


def _cell(cell: Named, redaction: Redaction) -> Named:
    told = ("source", "metadata", "attachments")
    masked = {**cell, **{name: redaction.mask_value(cell[name]) for name in told if name in cell}}
    if "outputs" in cell:
        masked["outputs"] = [_output(output, redaction) for output in _joined(cell["outputs"])]
    return masked


def _joined(outputs: Iterable[Named]) -> list[Named]:
    """Return outputs with consecutive stream outputs joined, as printed text arrives in arbitrary pieces."""
    joined: list[Named] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            joined[-1] = {**last, "text": last["text"] + output["text"]}
        else:
            joined.append(output)
    return joined


def _output(output: Named, redaction: Redaction) -> Named:
    told = ("text", "metadata", "ename", "evalue", "traceback")
    masked = {**output, **{name: redaction.mask_value(output[name]) for name in told if name in output}}
    if "data" in output:
        masked["data"] = {kind: redaction.mask_value(value) for kind, value in output["data"].items()}
    return masked
