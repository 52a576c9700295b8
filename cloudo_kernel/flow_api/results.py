"""Results in a kernel: objects as MIME bundles, and bundles as HTML for the card of an execution."""

from __future__ import annotations

import base64
import html
import io
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.flow_api.calls import is_whole
from cloudo_kernel.flow_api.cards import Html
from cloudo_kernel.flow_api.frames import TABLE_TYPE, table_of
from cloudo_kernel.flow_api.values import to_json
from cloudo_kernel.models.results import IMAGE_TYPES, Result

#: Markup that is shown only in a sandboxed frame: a notebook trusts the outputs of its own cells.
_MARKUP: Final = ("image/svg+xml", "text/html")
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_NO_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=]")
_MAX_TEXT: Final = 10_000
#: Number of results on the card of an execution.
_MAX_CARDS: Final = 4

Bundle = tuple[dict[str, Any], dict[str, Any]]


def to_bundle(value: Any) -> Bundle:
    """Return a value as a MIME bundle and its metadata, as a notebook would display it.

    Text stays text, and a dict whose keys are MIME types is a bundle already. Raises `MalformedRequest`.
    """
    if isinstance(value, str):
        return {"text/plain": value}, {}
    if isinstance(value, Mapping) and value and all(isinstance(key, str) and "/" in key for key in value):
        data, metadata = dict(value), dict[str, Any]()
    else:
        data, metadata = _formatted(value)
    texts = {kind: base64.b64encode(part).decode() if isinstance(part, bytes) else part for kind, part in data.items()}
    return to_json(texts, name="value"), to_json(metadata, name="metadata")


def _formatted(value: Any) -> Bundle:
    from IPython.core.formatters import DisplayFormatter

    ipython = sys.modules["IPython"].get_ipython()
    formatter = DisplayFormatter() if ipython is None else ipython.display_formatter
    data, metadata = formatter.format(value)
    # Without pyplot, IPython does not know how to draw a figure. Axes and seaborn's grids have one.
    figure: Any = value if hasattr(value, "savefig") else getattr(value, "figure", None)
    if not data.keys() & {*IMAGE_TYPES, *_MARKUP} and hasattr(figure, "savefig"):
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", bbox_inches="tight")
        data["image/png"] = drawn.getvalue()
    if (table := table_of(value)) is not None:
        data[TABLE_TYPE] = table
    return data, metadata


def results_of(api: AuthorApi, execution_id: str) -> list[Result]:
    """Fetch the results of an execution."""
    return [api.execution_result(execution_id, one.name) for one in api.execution_results(execution_id)]


def cards_of(api: AuthorApi, execution_id: str) -> list[Html]:
    """Return the first results of an execution as HTML for the output of a cell; none where they cannot be fetched.

    A running flow gets none: the replay of a durable flow would have to repeat the calls of each display.
    """
    if not is_whole(api):
        return []
    try:
        return [_to_card(one) for one in results_of(api, execution_id)[:_MAX_CARDS]]
    except CloudoError:  # the server may be gone, or the execution deleted
        return []


def _to_card(result: Result) -> Html:
    """Return a result as HTML. Markup in it cannot run scripts or load anything."""
    name = html.escape(result.name)
    markup = next((kind for kind in _MARKUP if kind in result.data), None)
    if (kind := result.image) is not None:
        image = _NO_BASE64.sub("", result.data[kind])
        shown = f"<img alt='{name}' style='max-width:100%' src='data:{kind};base64,{image}'>"
    elif markup is not None:
        page = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">{result.data[markup]}'
        style = "width:100%;height:20em;border:0;background:#fff"
        shown = f"<iframe sandbox title='{name}' style='{style}' srcdoc='{html.escape(page)}'></iframe>"
    else:
        text = str(result.data.get("text/markdown") or result.data.get("text/plain") or "")
        shown = f"<pre>{html.escape(text[:_MAX_TEXT])}</pre>"
    return Html(f"<div><small><b>{name}</b></small></div>{shown}")
