"""`cloudo results`: list the results of an execution, print one as text, or save it to a file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.execution import find
from cloudo_kernel.cli.listing import print_list
from cloudo_kernel.cli.target import Target, json_option, pass_target

if TYPE_CHECKING:
    from cloudo_kernel.models import Result, ResultSummary

#: Kinds of results by MIME type, richest first.
_KINDS: Final = {
    "image/png": "image",
    "image/jpeg": "image",
    "image/gif": "image",
    "image/webp": "image",
    "image/svg+xml": "image",
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/latex": "LaTeX",
    "application/json": "JSON",
    "text/plain": "text",
}
#: Types that a terminal shows, best first.
_TEXTS: Final = ("text/markdown", "text/plain", "application/json")


@click.command()
@click.argument("execution_id", metavar="ID")
@click.argument("name", required=False)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Save the image, HTML or text to a file."
)
@json_option("the list, or the bundle of one result")
@pass_target
def results(target: Target, execution_id: str, *, name: str | None, output: Path | None, as_json: bool) -> None:
    """List the results that an execution shows, or print one of them as text.

    \b
    cloudo results 5c1f09ab
    cloudo results 5c1f09ab summary
    cloudo results 5c1f09ab chart -o chart.png
    """
    if output is not None and (name is None or as_json):
        raise click.UsageError("-o saves one result: give its NAME, and no --json.")
    api = target.connect()
    found = find(api, execution_id)
    if name is None:
        listed = api.execution_results(found)
        print_list(listed, ("NAME", "KIND", "SIZE", "WHEN", "TYPES"), _row, empty="No results.", as_json=as_json)
        return
    result = api.execution_result(found, name)
    if output is None:
        display.print_record(result, _text_of(result), as_json=as_json)
    else:
        kind = _best(result)
        output.write_bytes(_bytes_of(kind, result.data[kind]))
        click.echo(f"{output}: {kind}")


def _best(result: ResultSummary) -> str:
    return min(result.types, key=lambda kind: list(_KINDS).index(kind) if kind in _KINDS else -1)


def _row(result: ResultSummary) -> tuple[str, ...]:
    kind = _best(result)
    return (
        display.clean(result.name),
        _KINDS.get(kind, "other"),
        f"{result.size:,} B",
        display.ago(result.created_at),
        display.clean(", ".join(result.types)),
    )


def _text_of(result: Result) -> str:
    """Return the result for a terminal. Without a text in it, the words say how to see it."""
    for kind in _TEXTS:
        if kind in result.data:
            return display.clean(_plain(result.data[kind]))
    return f"No text, only {', '.join(result.types)}. Save it with -o FILE."


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _bytes_of(kind: str, value: Any) -> bytes:
    is_binary = kind.startswith("image/") and kind != "image/svg+xml"
    return base64.b64decode(value) if is_binary else _plain(value).encode()
