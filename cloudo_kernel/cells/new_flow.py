"""A cell as a flow: its names that it uses and does not define become inputs and imports.

Pure: reads the source and the values of a shell, and saves nothing.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import re
import symtable
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api.values import to_json

#: Marks the start of a part of a cell, as in Jupytext's percent format, and the title of the parameters cell.
_PART: Final = "# %%"
_PARAMETERS: Final = "parameters"
#: Names that a running flow has.
_GIVEN: Final = frozenset({"this", "system", "display", "get_ipython", "__name__", "__file__", "__doc__"})
_SECRET: Final = re.compile(r"pass(word|wd|phrase)|secret|token|api_?key|credential", re.IGNORECASE)
_MAX_SHOWN: Final = 60
#: Maximum length of an input with its value. Data belongs in a file.
_MAX_INPUT: Final = 2_000


@dataclass(frozen=True)
class NewFlow:
    """The source of a flow that is made of a cell."""

    #: Title and source of each part of the cell.
    parts: tuple[tuple[str, str], ...]
    #: Lines of the parameters cell that were added, such as `region: str = "north"`.
    inputs: tuple[str, ...] = ()
    #: Lines with imports that were added.
    imports: tuple[str, ...] = ()

    @property
    def is_changed(self) -> bool:
        """Whether something was added to the cell."""
        return bool(self.inputs or self.imports)

    @property
    def notebook(self) -> str:
        """The notebook as JSON text."""
        import nbformat

        made = nbformat.v4.new_notebook()
        made.metadata["kernelspec"] = {"name": "cloudo", "display_name": "Cloudo", "language": "python"}
        for title, source in self._cells():
            tags = {"tags": [_PARAMETERS]} if title == _PARAMETERS else {}
            made.cells.append(nbformat.v4.new_code_cell(source, metadata=tags))
        return str(nbformat.writes(made))

    def _cells(self) -> Iterator[tuple[str, str]]:
        added = "\n".join(self.inputs)
        if added and all(title != _PARAMETERS for title, _ in self.parts):
            yield _PARAMETERS, added
            added = ""
        if self.imports:
            yield "", "\n".join(self.imports)
        for title, source in self.parts:
            yield title, f"{source}\n{added}".strip("\n") if title == _PARAMETERS else source


def read(cell: str, values: Mapping[str, Any]) -> NewFlow:
    """Return the flow of a cell. `values` are the names of the notebook.

    Raises `MalformedRequest`, naming each name that can be neither an input nor an import.
    """
    parts = tuple(_parts(cell))
    inputs, imports, wrong = [], [], []
    for name in _free_names([source for _, source in parts]):
        if name not in values:
            wrong.append(f"{name} is not defined")
        elif isinstance(values[name], ModuleType):
            imports.append(_import(name, values[name].__name__))
        elif (line := _input(name, values[name])) is not None:
            if len(line) > _MAX_INPUT:
                wrong.append(f"{name} is too long for an input")
            inputs.append(line)
        elif (found := _imported(name, values[name])) is not None:
            imports.append(found)
        else:
            wrong.append(f"{name} is a {type(values[name]).__name__}")
    if wrong:
        raise MalformedRequest(
            f"The cell cannot be a flow yet: {'; '.join(wrong)}. An input is a number, text, true or false, None, or a "
            "list or dict of these. Define or import everything else in the cell.",
            field="cell",
        )
    return NewFlow(parts, tuple(inputs), tuple(imports))


def _parts(cell: str) -> Iterator[tuple[str, str]]:
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in cell.splitlines():
        if line.startswith(_PART):
            parts.append((line.removeprefix(_PART).strip(), []))
        else:
            parts[-1][1].append(line)
    for title, lines in parts:
        if source := "\n".join(lines).strip("\n"):
            yield title, source


def _free_names(sources: Iterable[str]) -> list[str]:
    """Return the names that the sources read and do not define, in the order of their first use."""
    from IPython.core.inputtransformer2 import TransformerManager

    plain = "\n".join(map(TransformerManager().transform_cell, sources))  # magics and `!` are calls
    try:
        table = symtable.symtable(plain, "cell", "exec")
    except SyntaxError as error:
        raise MalformedRequest(f"The cell is not Python: {error.msg} (line {error.lineno}).", field="cell") from error
    assigned = {one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()}
    known = assigned | _GIVEN | set(dir(builtins))
    used = {name for name in _globals(table) if name not in known}
    return _in_order(plain, used)


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    is_top = table.get_type() == "module"
    for one in table.get_symbols():
        if one.is_referenced() and (is_top or one.is_global()):
            yield one.get_name()
    for child in table.get_children():
        yield from _globals(child)


def _in_order(source: str, names: Iterable[str]) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    left = set(names)
    found = [token.string for token in tokens if token.type == tokenize.NAME and token.string in left]
    return list(dict.fromkeys(found)) + sorted(left - set(found))  # those of f-strings are inside of their tokens


def _input(name: str, value: Any) -> str | None:
    """Return the line of an input with the type of its value; None for a value that is not JSON.

    A value that looks like a secret by its name is not written into the flow.
    """
    try:
        plain = to_json(value, name=name)
        text = repr(plain)
        if ast.literal_eval(text) != plain:
            return None
    except (MalformedRequest, ValueError, SyntaxError):
        return None
    if _SECRET.search(name):
        return f"{name}: {type(plain).__name__}"
    kind = type(plain)
    return f"{name} = None" if plain is None else f"{name}: {kind.__name__} = {_literal(plain)}"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _imported(name: str, value: Any) -> str | None:
    """Return the import of a class or function of a module; None for one that a cell defines, and other values."""
    module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(own, str) or module == "__main__" or "." in own or "<" in own:
        return None
    return f"from {module} import {own}" + ("" if own == name else f" as {name}")


def _import(name: str, module: str) -> str:
    return f"import {module}" if module == name else f"import {module} as {name}"


def in_words(flow: NewFlow, name: str) -> str:
    """Return what would be saved."""
    lines = [f"The flow {name!r} gets these names of the notebook:"]
    lines += [f"  input   {_shortened(line)}" for line in flow.inputs]
    lines += [f"  import  {line}" for line in flow.imports]
    return "\n".join([*lines, "Nothing is saved yet. Save it with --save behind the name, or define them in the cell."])


def _shortened(line: str) -> str:
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"
