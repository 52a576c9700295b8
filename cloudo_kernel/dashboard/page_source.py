"""The page side as one script and one style sheet, and parts of it that come later.

anywidget loads a single ES module, and relative imports do not work from it. There is no build step: the files are
joined when the widget is made. Each is an ES module by itself, so that editors, tests and browsers read it as it is.
What a reader may never open is not in the script: `later.js` asks for it when it is needed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
#: In the order of the cascade.
_STYLES: Final = ("frame", "controls", "table", "notices", "execution", "messages", "schedules", "webhooks", "narrow")
#: The modules that come later, with those that only they import.
LATER: Final = ("answers", "inputs", "schedule", "message", "webhook", "tokens")
_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)
_EXPORTED: Final = re.compile(r"^export (?:async )?(?:const|function|class) (\w+)", re.MULTILINE)
#: Comments on lines of their own are for those who read the files.
_COMMENT: Final = re.compile(r"^[ ]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)


@cache
def script() -> str:
    """Return the module `dashboard` and all that it imports as one.

    They share one scope, so names are unique over all files. `SHARED` has what the later parts take of it.
    """
    modules = _in_order("dashboard")
    taken = sorted({name for entry in LATER for name in _taken(_in_order(entry), modules)})
    return f"{_joined(modules)}\nconst SHARED = {{ {', '.join(taken)} }};\n"


@cache
def later(entry: str) -> str:
    """Return a part as a module whose default is a function: of `SHARED`, giving what the part exports."""
    modules, there = _in_order(entry), _in_order("dashboard")
    own = {name: text for name, text in modules.items() if name not in there}
    taken = ", ".join(_taken(modules, there))
    given = ", ".join(name for text in own.values() for name in _EXPORTED.findall(text))
    return f"export default ({{ {taken} }}) => {{\n{_joined(own)}\nreturn {{ {given} }};\n}};\n"


@cache
def style() -> str:
    """Return the style sheet; the template of the page has it inline too, for its first paint."""
    return "".join((_FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES)


def _joined(modules: dict[str, str]) -> str:
    return "".join(_COMMENT.sub("", _EXPORT.sub("", _IMPORT.sub("", text))) for text in modules.values())


def _taken(modules: dict[str, str], there: dict[str, str]) -> list[str]:
    """Return the names that modules import from those that are there already."""
    found: set[str] = set()
    for name, text in modules.items():
        if name not in there:
            for names, imported in _IMPORT.findall(text):
                found |= {word.strip() for word in names.split(",")} - {""} if imported in there else set()
    return sorted(found)


def _in_order(entry: str) -> dict[str, str]:
    """Return the texts of the modules by name, each after those that it imports."""
    found: dict[str, str] = {}

    def visit(name: str) -> None:
        text = (_FOLDER / f"{name}.js").read_text(encoding="utf-8")
        for _, imported in _IMPORT.findall(text):
            if imported not in found:
                visit(imported)
        found[name] = text

    visit(entry)
    return found
