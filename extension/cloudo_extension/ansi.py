"""Terminal colours as HTML."""

from __future__ import annotations

import re
from html import escape

#: Control sequences; only those that end in `m` (colours and weights) mean something on a page.
_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([@-~])|\x1b\][^\x07]*\x07|\x1b.")
_WEIGHTS = {1: "bold", 3: "italic", 4: "underline"}
_ENDS = {22: "bold", 23: "italic", 24: "underline"}
_CUBE = (0, 95, 135, 175, 215, 255)


def ansi_to_html(text: str) -> str:
    """Return `text` escaped, its colours as `<span class="ansi…">`, overwritten parts of lines left out."""
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    pen = _Pen()
    pieces, end = [], 0
    for found in _SEQUENCE.finditer(text):
        pieces.append(pen.write(text[end : found.start()]))
        end = found.end()
        if found[2] == "m":
            pen.change([int(code) if code else 0 for code in found[1].split(";")])
    return "".join(pieces) + pen.write(text[end:])


class _Pen:
    """What text looks like from here on."""

    def __init__(self) -> None:
        self._weights: set[str] = set()
        #: `color` and `background` → a number of the 16 colours, or `r g b`.
        self._colours: dict[str, int | str] = {}

    def write(self, text: str) -> str:
        """Return `text` as it looks now."""
        if not text or not (self._weights or self._colours):
            return escape(text, quote=False)
        classes, styles = [f"ansi-{weight}" for weight in sorted(self._weights)], []
        for plane, colour in self._colours.items():
            classes.append(f"ansi-{plane}-{colour if isinstance(colour, int) else 'rgb'}")
            if isinstance(colour, str):
                styles.append(f"--ansi-{plane}: rgb({colour})")
        style = f' style="{"; ".join(styles)}"' if styles else ""
        return f'<span class="{" ".join(classes)}"{style}>{escape(text, quote=False)}</span>'

    def change(self, codes: list[int]) -> None:
        """Follow the numbers of one sequence."""
        while codes:
            code = codes.pop(0)
            plane = "background" if code // 10 in (4, 10) else "color"
            if code == 0:
                self._weights.clear()
                self._colours.clear()
            elif code in _WEIGHTS:
                self._weights.add(_WEIGHTS[code])
            elif code in _ENDS:
                self._weights.discard(_ENDS[code])
            elif code in (39, 49):
                self._colours.pop(plane, None)
            elif code in (38, 48):
                colour = _extended(codes)
                if colour is not None:
                    self._colours[plane] = colour
            elif code in (*range(30, 38), *range(40, 48)):
                self._colours[plane] = code % 10
            elif code in (*range(90, 98), *range(100, 108)):
                self._colours[plane] = code % 10 + 8


def _extended(codes: list[int]) -> int | str | None:
    """Take a colour of the 256, or a red-green-blue one, off the front of `codes`."""
    kind = codes.pop(0) if codes else None
    if kind == 2 and len(codes) >= 3:
        return " ".join(str(min(codes.pop(0), 255)) for _ in range(3))
    if kind != 5 or not codes:
        return None
    number = codes.pop(0)
    if number < 16:
        return number
    if number < 232:
        number -= 16
        return f"{_CUBE[number // 36]} {_CUBE[number // 6 % 6]} {_CUBE[number % 6]}"
    grey = min(8 + 10 * (number - 232), 255)
    return f"{grey} {grey} {grey}"
