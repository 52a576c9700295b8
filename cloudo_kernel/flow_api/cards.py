"""Cards and tables for the output of a cell: HTML for light and dark themes, and text.

The colours are JupyterLab's, with fallbacks that can be read on both backgrounds. All text is escaped here.
"""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, Self, TypeVar
from urllib.parse import quote, urlsplit

from cloudo_kernel import discovery
from cloudo_kernel.api import API_ROOT, AuthorApi
from cloudo_kernel.flow_api.calls import is_whole
from cloudo_kernel.models import Execution, LogLine, Status

_COLOURS: Final = {
    Status.ENDED_SUCCESS: "var(--jp-success-color1, #2da44e)",
    Status.ENDED_ERROR: "var(--jp-error-color1, #e5534b)",
    Status.ENDED_CANCELLED: "var(--jp-ui-font-color3, #888)",
    Status.RUNNING: "var(--jp-info-color1, #2f8fd8)",
}
_WAITING: Final = "var(--jp-warn-color1, #d29922)"
_BORDER: Final = "1px solid var(--jp-border-color2, rgba(128, 128, 128, .4))"
_CARD: Final = f"border:{_BORDER};border-radius:4px;padding:8px 12px;max-width:60em;line-height:1.5"
_CELL: Final = "text-align:left;vertical-align:top;padding:2px 12px 2px 0;overflow-wrap:anywhere"
#: A page in quirks mode gives tables a colour and a size of their own.
_TABLE: Final = "color:inherit;font-size:inherit"
_FAINT: Final = "opacity:.75"
_LINK: Final = "color:var(--jp-content-link-color, #4493f8)"
_BAR: Final = "width:16em;vertical-align:middle;accent-color:var(--jp-brand-color1, #2f8fd8)"
_MAX_TEXT: Final = 500
_MAX_COLUMN: Final = 60
#: Number of lines of the log on a card.
_LOG_LINES: Final = 5
_CANCEL: Final = (
    "const one=this;fetch('{}',{{method:'POST',headers:{{'X-XSRFToken':"
    "(document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)||[])[1]||''}}}})"
    ".then(reply=>{{one.disabled=reply.ok;one.textContent=reply.ok?'Cancelling…':'Cancel failed: '+reply.status}})"
)


class Html(str):
    """HTML, which needs no escaping, and the same as plain text."""

    __slots__ = ("plain",)
    plain: str

    def __new__(cls, markup: str, plain: str = "") -> Self:
        """Return the HTML."""
        made = super().__new__(cls, markup)
        made.plain = plain
        return made


class _Row(Protocol):
    def _row(self) -> Mapping[str, str]: ...


Item = TypeVar("Item", bound=_Row)


class Rows(tuple[Item, ...]):
    """A tuple of flow author's objects. A cell displays it as a table, and `print` prints one."""

    _empty: str

    @classmethod
    def of(cls, items: Iterable[Item], *, empty: str) -> Self:
        """Return the items; `empty` stands in the place of a table without rows."""
        made = cls(items)
        made._empty = empty
        return made

    def __str__(self) -> str:
        """Return the table as text."""
        rows = [one._row() for one in self]
        return to_text(list(rows[0]), [list(row.values()) for row in rows]) if rows else self._empty

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        rows = [one._row() for one in self]
        return to_table(list(rows[0]), [list(row.values()) for row in rows]) if rows else escaped(self._empty)


def shell() -> Any:
    """Return the shell of IPython, None outside of it."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def current_cell() -> object | None:
    """Return a value that is another one in each cell of a notebook; None outside of notebooks."""
    found = shell()
    return found.execution_count if found is not None and hasattr(found, "kernel") else None


def pages_of(api: AuthorApi) -> str | None:
    """Return the address of the server's pages, with a slash at its end; None without a server.

    It is only a path for the server that started this kernel: the browser may know that by another name.
    """
    url = getattr(api, "url", None) if is_whole(api) else None
    if url is None:
        return None
    return urlsplit(url).path if discovery.is_parent_server(url) else str(url)


def escaped(value: str) -> str:
    """Return text as HTML."""
    return value if isinstance(value, Html) else html.escape(value)


def short(value: Any) -> str:
    """Return a value as text, or as JSON, cut to a readable length."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def link(address: str, words: str) -> Html:
    """Return a link that opens in another tab."""
    href = html.escape(address)
    return Html(f"<a href='{href}' target='_blank' rel='noopener' style='{_LINK}'>{escaped(words)}</a>", words)


def status_of(status: Status | str) -> Html:
    """Return the state with its colour."""
    colour = _COLOURS.get(status, _WAITING) if isinstance(status, Status) else _WAITING
    word = word_of(status)
    return Html(f"<span style='color:{colour}'>●</span> {html.escape(word)}", word)


def word_of(status: Status | str) -> str:
    """Return the state as a word: `success`."""
    return status.removeprefix("ENDED_").lower()


def to_card(title: str, note: str = "", parts: Sequence[str] = ()) -> str:
    """Return a card with a title. The other parts follow below it; HTML has to be `Html`."""
    head = Html(f"<b>{escaped(title)}</b>&ensp;{escaped(note)}")
    return f"<div style='{_CARD}'>{''.join(f'<div>{escaped(part)}</div>' for part in (head, *parts))}</div>"


def to_facts(facts: Mapping[str, Any]) -> Html:
    """Return names and values in two columns."""
    cell = f"<td style='{_CELL}'>"
    rows = "".join(
        f"<tr>{cell}<code>{escaped(name)}</code></td>{cell}{escaped(short(value))}</td></tr>"
        for name, value in facts.items()
    )
    return Html(f"<table style='margin:4px 0;{_TABLE}'>{rows}</table>")


def to_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    """Return a table as HTML."""

    def line(kind: str, cells: Sequence[str]) -> str:
        return "".join(f"<{kind} style='{_CELL}'>{escaped(cell)}</{kind}>" for cell in cells)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return Html(f"<table style='{_TABLE}'><thead><tr>{line('th', heads)}</tr></thead><tbody>{body}</tbody></table>")


def to_text(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text."""
    lines = [[_plain(cell) for cell in line] for line in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def execution_card(record: Execution, *, pages: str | None = None, results: Sequence[Html] = ()) -> str:
    """Return an execution as a card; `results` are the cards of its results."""
    seconds = seconds_of(record)
    note = status_of(record.status) + ("" if seconds is None else f" · {seconds:.1f} s")
    parts: list[str] = []
    if not record.is_ended:
        parts += _progress(record)
    if record.message:
        parts.append(record.message)
    if record.error is not None and record.error.traceback:
        lines = html.escape("\n".join(record.error.traceback))
        parts.append(Html(f"<details><summary>Traceback</summary><pre>{lines}</pre></details>"))
    parts += results
    if record.output_value and record.is_ended:
        parts.append(to_facts(record.output_value))
    if pages is not None:
        parts.append(links_of(record, pages))
    return to_card(record.name, Html(note), parts)


def execution_text(record: Execution) -> str:
    """Return an execution as a few lines of text."""
    seconds = seconds_of(record)
    lines = [f"{record.name}: {word_of(record.status)}{'' if seconds is None else f' after {seconds:.1f} s'}"]
    if record.message:
        lines.append(f"  {record.message}")
    lines += [f"  {name} = {short(value)}" for name, value in record.output_value.items() if record.is_ended]
    return "\n".join([*lines, f"  {record.id}"])


def links_of(record: Execution, pages: str, *, can_cancel: bool = False) -> Html:
    """Return the links to the pages of an execution, and a button that cancels it.

    The button is only for the server of the notebook itself: a browser does not let it reach another one.
    """
    root, request = f"{pages}cloudo/", f"{pages}{API_ROOT}/execution/{record.id}"
    links = [link(f"{root}executions/{record.id}", "Execution")]
    if record.notebook is not None:
        links.append(link(f"{request}/notebook?format=html", "Executed notebook"))
    links.append(link(root, "Dashboard"))
    if can_cancel and pages.startswith("/"):
        script = html.escape(_CANCEL.format(f"{request}/cancel"))
        links.insert(0, Html(f"<button type='button' onclick='{script}'>Cancel</button>"))
    return Html(f"<small>{' · '.join(links)}</small>")


def flow_page(name: str, pages: str) -> str:
    """Return the address of a flow's page."""
    return f"{pages}cloudo/flows/{quote(name)}"


def time_of(moment: datetime | None) -> str:
    """Return a moment in this machine's time zone."""
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def seconds_of(record: Execution) -> float | None:
    """Return the duration of the run up to now or its end; None before its start."""
    if record.started_at is None:
        return None
    return ((record.ended_at or datetime.now(UTC)) - record.started_at).total_seconds()


def progress_bar(done: int, total: int, noun: str) -> Html:
    """Return a progress bar with its numbers."""
    return Html(f"<progress value='{done}' max='{total}' style='{_BAR}'></progress> {done} of {total} {noun}")


def _progress(record: Execution) -> list[str]:
    """Return the progress by cell, and the end of the log."""
    parts: list[str] = []
    if record.progress.total:
        cell = f" · <code>{html.escape(record.progress.cell)}</code>" if record.progress.cell else ""
        parts.append(Html(progress_bar(record.progress.done, record.progress.total, "cells") + cell))
    if record.log:
        lines = html.escape("\n".join(map(_log_line, record.log[-_LOG_LINES:])))
        parts.append(Html(f"<pre style='margin:4px 0;{_FAINT};white-space:pre-wrap'>{lines}</pre>"))
    return parts


def _log_line(line: LogLine) -> str:
    return f"{line.time.astimezone():%H:%M:%S}  {short(line.text)}"


def _plain(cell: str) -> str:
    """Return the text of a cell on one line, without HTML."""
    text = " ".join((cell.plain if isinstance(cell, Html) else cell).split())
    return text if len(text) <= _MAX_COLUMN else f"{text[: _MAX_COLUMN - 1]}…"
