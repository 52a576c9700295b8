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
_STYLES: Final = ("frame", "controls", "table", "notices", "execution", "narrow")
_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)
_COMMENT: Final = re.compile(r"^ */\*.*?\*/\n|^ *//[^\n]*\n", re.MULTILINE | re.DOTALL)
_INDENT: Final = re.compile(r"^ +|^\n", re.MULTILINE)
#: Spaces around a sign of JavaScript; strings, templates and regular expressions come first, and stay as they are.
_SPACED: Final = re.compile(
    r'("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|/(?:[^/\\\n ]|\\.)+/[a-z]*(?=[.,);]))|[ ]*([=?:&|<>{}(),;*]+)[ ]*'
)
#: Line ends that end nothing: after an opening bracket, a comma or a semicolon, and before a closing bracket.
_BROKEN: Final = re.compile(r"(?<=[{(\[,;])\n|;?\n(?=[})\]])")


@cache
def script(entry: str = "dashboard") -> str:
    """Return the module and all that it imports as one, without comments and spaces.

    The modules share one scope here, so names are unique over all files, and no template holds another one; tests
    keep both.
    """
    texts = _in_order(entry).values()
    joined = "".join(_short(_EXPORT.sub("", _IMPORT.sub("", text))) for text in texts)
    return _BROKEN.sub("", _SPACED.sub(lambda found: found[1] or found[2], joined))


@cache
def style() -> str:
    """Return the style sheet; the template of the page has it inline too, for its first paint."""
    return "".join(_short((_FOLDER / f"{name}.css").read_text(encoding="utf-8")) for name in _STYLES)


def _short(text: str) -> str:
    return _INDENT.sub("", _COMMENT.sub("", text))


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
