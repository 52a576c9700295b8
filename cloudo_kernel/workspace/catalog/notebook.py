"""Reads notebook files for the catalog. Reads them as JSON, because nbformat and its schema take a second to load.

Only a notebook of nbformat 3 takes that second, because nbformat upgrades it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudo_kernel.models import JsonObject
from cloudo_kernel.security import bounds
from cloudo_kernel.workspace.catalog.places import is_below

_MAX_BYTES = 50 * 1024 * 1024
#: Maximum characters of Markdown to search for the first heading.
_MAX_TEXT = 100_000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HALF_CHARACTER = "it holds half a character (an unpaired surrogate)"
_KINDS = ("code", "markdown", "raw")
#: papermill's tags for the cell that declares inputs, and for the cell that papermill inserts after it.
PARAMETERS = "parameters"
INJECTED = "injected-parameters"


class Unreadable(Exception):
    """A file that cannot be run as a flow; the text is the reason, as for `Flow.broken`."""


@dataclass(frozen=True)
class Notebook:
    """A notebook of nbformat 4, normalized for a run; see `_normal`."""

    document: JsonObject

    @property
    def metadata(self) -> JsonObject:
        """Return the metadata of the notebook."""
        return _object(self.document["metadata"])

    @property
    def cells(self) -> list[JsonObject]:
        """Return the cells."""
        return list(self.document["cells"])

    @property
    def kernel_name(self) -> str | None:
        """Return the name of its kernelspec."""
        name = _object(self.metadata.get("kernelspec")).get("name")
        return name if isinstance(name, str) and name else None

    @property
    def language(self) -> str | None:
        """Return the language that it declares."""
        declared = _object(self.metadata.get("language_info")).get("name")
        language = declared or _object(self.metadata.get("kernelspec")).get("language")
        return language if isinstance(language, str) and language else None

    @cached_property
    def parameters(self) -> str | None:
        """Return the source of the first cell tagged `parameters`, as papermill finds it."""
        return next((_source(cell) for cell in self.cells if PARAMETERS in cell["metadata"].get("tags", ())), None)

    @cached_property
    def heading(self) -> str | None:
        """Return the first heading `# …` in its Markdown."""
        left = _MAX_TEXT
        for cell in self.cells:
            fenced = False
            text = (_source(cell) or "")[:left] if cell["cell_type"] == "markdown" else ""
            left -= len(text)
            for line in text.split("\n"):
                fenced ^= line.lstrip().startswith(("```", "~~~"))
                if line.startswith("# ") and not fenced and (heading := line[2:].strip().rstrip("#").strip()):
                    return heading
        return None


def read(folder: Path, path: Path) -> str:
    """Return the exact text of the file. Raises `Unreadable`, and `FileNotFoundError` if it is gone."""
    if path.is_symlink() and not is_below(folder, path):
        raise Unreadable("its link leaves the folder of the flows")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block forever
            raise Unreadable("it is not a file")
        _check_size(status.st_size)
        return path.read_bytes().decode()
    except FileNotFoundError:
        if not path.is_symlink():
            raise
        raise Unreadable("it is a link to a file that does not exist") from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is not text in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise Unreadable(f"it cannot be read: {os.strerror(error.errno or 0)}") from None


def check(text: str) -> None:
    """Check that text can be written and read back as a notebook. Raises `Unreadable`."""
    try:
        _check_size(len(text.encode()))
    except UnicodeEncodeError:
        raise Unreadable(_HALF_CHARACTER) from None
    parse(text)


def parse(text: str) -> Notebook:
    """Read a notebook from its JSON text. Raises `Unreadable`."""
    try:
        bounds.check_json(text, bounds.MAX_NOTEBOOK_VALUES)
    except bounds.OutOfBounds as error:
        raise Unreadable(f"{error}; clear its outputs") from None
    try:
        document = json.loads(text)
        # A text with half a character cannot be stored or sent, and nbformat could not write the executed notebook.
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable(_HALF_CHARACTER) from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON (line {error.lineno}: {error.msg})" if text else "it is empty") from None
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON that can be read: nested too deeply, or an endless number") from None
    return _checked(_upgraded(document, text))


def of_python(*sources: str) -> str:
    """Return the JSON text of a notebook with one cell per Python source."""
    cells: list[JsonObject] = [
        {
            "cell_type": "code",
            "id": f"script-{number}" if number else "script",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}, ensure_ascii=False)


def _check_size(size: int) -> None:
    if size > _MAX_BYTES:
        raise Unreadable(f"it is larger than {_MAX_BYTES // 1024**2} MB; clear its outputs")


def _upgraded(document: Any, text: str) -> Any:
    """Return the document in nbformat 4; nbformat 3 is upgraded in memory, and again for each run."""
    form = _object(document).get("nbformat")
    if not isinstance(form, int) or isinstance(form, bool):
        raise Unreadable("it is JSON, but not a notebook")
    if form < 3:
        raise Unreadable(
            f"it has the notebook format {form}, which is too old to be run; "
            "`jupyter nbconvert --to notebook --nbformat 4 --inplace` upgrades the file"
        )
    if form > 4:
        raise Unreadable(f"it has the notebook format {form}, which is newer than the 4 known here")
    if form == 4:
        return document
    try:
        bounds.check_json(text, bounds.MAX_OLD_NOTEBOOK_VALUES)
    except bounds.OutOfBounds as error:
        raise Unreadable(f"it has the notebook format 3, and {error}; upgrade the file") from None
    import nbformat  # only here: it takes a second
    from nbformat import reader

    try:
        return json.loads(json.dumps(nbformat.convert(reader.reads(text), 4)))
    except Exception as error:  # nbformat raises any error for missing parts
        why = f"{type(error).__name__}: {error}".rstrip(": ")
        raise Unreadable(f"it has the notebook format 3 and cannot be upgraded to 4 ({why})") from error


def _checked(document: Any) -> Notebook:
    cells, metadata = document.get("cells"), document.get("metadata", {})
    if not isinstance(cells, list) or not isinstance(metadata, dict):
        raise Unreadable("it is not a notebook: its cells are not a list, or its metadata is not an object")
    for number, cell in enumerate(cells, start=1):
        if _object(cell).get("cell_type") not in _KINDS or _source(cell) is None:
            raise Unreadable(f"its cell {number} is not a cell of a notebook")
    return Notebook(_normal(document, metadata, cells))


def _normal(document: JsonObject, metadata: JsonObject, cells: list[JsonObject]) -> JsonObject:
    """Return the notebook without traces of earlier runs, and with everything that papermill and nbclient require.

    papermill would run an `injected-parameters` cell of an earlier run again, unless inputs replace it.
    """
    kept = {key: value for key, value in metadata.items() if key != "papermill"}
    for key in ("kernelspec", "language_info"):
        if not isinstance(kept.get(key, {}), dict):
            del kept[key]
    minor = document.get("nbformat_minor")
    normal = [_normal_cell(cell) for cell in cells]
    return {
        **document,
        "nbformat_minor": minor if isinstance(minor, int) else 0,
        "metadata": kept,
        "cells": [cell for cell in normal if INJECTED not in cell["metadata"].get("tags", ())],
    }


def _normal_cell(cell: JsonObject) -> JsonObject:
    """Return the cell with metadata. A code cell gets empty outputs; other cells lose the tag `parameters`."""
    is_code = cell["cell_type"] == "code"
    metadata = dict(_object(cell.get("metadata")))
    tags = metadata.pop("tags", None)
    if isinstance(tags, list):
        metadata["tags"] = [tag for tag in tags if isinstance(tag, str) and (is_code or tag != PARAMETERS)]
    kept = {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
    outputs: JsonObject = {"execution_count": None, "outputs": []} if is_code else {}
    return {**kept, "metadata": metadata, **outputs}


def _source(cell: JsonObject) -> str | None:
    """Return the text of a cell, stored as a text or as a list of lines, or None for anything else."""
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
