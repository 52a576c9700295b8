"""The page side as one script and one style sheet.

anywidget loads a single ES module, and relative imports do not work from it. There is no build step: the files are
joined when the widget is made. Each is an ES module by itself, so that editors, tests and browsers read it as it is.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
#: In the order of the cascade.
_STYLES: Final = ("frame", "controls", "table", "notices", "execution", "messages", "narrow")
_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def script(entry: str = "dashboard") -> str:
    """Return the module and all that it imports as one; they share one scope, so names are unique over all files."""
    return "".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in _in_order(entry).values())


@cache
def style() -> str:
    """Return the style sheet; the template of the page has it inline too, for its first paint."""
    return "".join((_FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES)


def _in_order(entry: str) -> dict[str, str]:
    """Return the texts of the modules by name, each after those that it imports."""
    found: dict[str, str] = {}

    def visit(name: str) -> None:
        text = (_FOLDER / f"{name}.js").read_text(encoding="utf-8")
        for imported in _IMPORT.findall(text):
            if imported not in found:
                visit(imported)
        found[name] = text

    visit(entry)
    return found
