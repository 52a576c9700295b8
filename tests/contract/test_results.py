"""Results that flows show: kept by name within limits, masked, and deleted with their execution. Over both ends."""

from __future__ import annotations

import base64
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from cloudo_kernel import errors
from cloudo_kernel.flow_api import System
from cloudo_kernel.models import Execution, ExecutionFilter, StartExecution, Status
from cloudo_kernel.models.results import MAX_RESULT_BYTES, MAX_RESULT_VALUES, MAX_RESULTS, ResultSummary
from tests.contract.conftest import End
from tests.flows import write_flow

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SHOWS = f"""
import pandas as pd
from IPython.display import Markdown
this.show("table", pd.DataFrame({{"a": [1, 2]}}))
this.show("words", Markdown("**bold** <script>"))
this.show("picture", {{"image/png": {PNG!r}}})
this.show("table", "replaced")
"""


def ended(end: End, *sources: str) -> Execution:
    started = end.api.start_execution(StartExecution(flow_name=end.flow(*sources)))
    return end.api.wait(started.id, timeout=timedelta(seconds=60))


def names(found: tuple[ResultSummary, ...]) -> list[str]:
    return [one.name for one in found]


def test_results_are_kept_by_name_and_replaced_in_place(end: End) -> None:
    execution = ended(end, SHOWS)
    assert execution.status is Status.ENDED_SUCCESS, execution.error
    table, words, picture = end.api.execution_results(execution.id)
    assert [table.name, words.name, picture.name] == ["table", "words", "picture"]
    assert (table.types, words.types[0], picture.types) == (("text/plain",), "text/plain", ("image/png",))
    assert not picture.is_from_notebook
    assert end.api.execution_result(execution.id, "table").data == {"text/plain": "replaced"}
    bold = end.api.execution_result(execution.id, "words")
    assert bold.data["text/markdown"] == "**bold** <script>"
    assert bold.markdown_html == "<p><strong>bold</strong> &lt;script&gt;</p>\n"
    shown = end.api.execution_result(execution.id, "picture")
    assert base64.b64decode(shown.data["image/png"]) == PNG
    assert 0 < shown.size < MAX_RESULT_BYTES
    [listed] = end.api.executions(ExecutionFilter(ids=(execution.id,))).items
    assert (listed.thumbnail, end.api.execution(execution.id).thumbnail) == ("picture", None)
    with pytest.raises(errors.ResultNotFound):
        end.api.execution_result(execution.id, "none")
    for call in (end.api.execution_results, lambda one: end.api.execution_result(one, "table")):
        with pytest.raises(errors.ExecutionNotFound):
            call("01a20713-815a-789c-b71f-4353094d94ca")


def test_a_figure_without_pyplot_is_drawn(end: End) -> None:
    execution = ended(
        end,
        "from matplotlib.figure import Figure\nfigure = Figure()\naxes = figure.subplots()\naxes.plot([1, 2])",
        "this.show('figure', figure)\nthis.show('axes', axes)",
    )
    assert execution.status is Status.ENDED_SUCCESS, execution.error
    for name in ("figure", "axes"):
        shown = end.api.execution_result(execution.id, name)
        assert base64.b64decode(shown.data["image/png"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("source", "error", "told"),
    [
        (f"this.show('big', 'x' * {MAX_RESULT_BYTES})", "TooLarge", "at most 2 MiB"),
        (
            f"this.show('many', {{'application/json': [1] * {MAX_RESULT_VALUES}}})",
            "TooLarge",
            "more than 100,000 values",
        ),
        (f"for n in range({MAX_RESULTS + 1}): this.show(f'n{{n}}', n)", "MalformedRequest", "at most 20"),
        ("this.show('png', {'image/png': '><script>'})", "MalformedRequest", "neither bytes nor base64"),
        ("this.show('a/b', 1)", "MalformedRequest", "without a slash"),
        ("this.show('', 1)", "MalformedRequest", "1 to 100 characters"),
        ("this.show(1, 1)", "MalformedRequest", "A result's name is text"),
    ],
)
def test_limits_are_named(end: End, source: str, error: str, told: str) -> None:
    execution = ended(end, source)
    assert execution.error is not None
    assert execution.error.name == error
    assert told in execution.error.value
    assert len(end.api.execution_results(execution.id)) in (0, MAX_RESULTS)


def test_secrets_are_masked_also_those_that_are_learned_later(end: End) -> None:
    source = (
        "this.show('words', 'key ' + key)\n"
        "this.show('table', {'text/html': f'<b>{key}</b>', 'application/json': {'key': key}})\n"
        "this.show('late', 'the session is 41dd2ab')",
        "this.set_output('session', '41dd2ab')\nthis.show('41dd2ab', 1)",
    )
    flow, metadata = end.flow(), {"protect_inputs": ["key"], "protect_outputs": ["session"]}
    write_flow(end.workspace, flow, *source, parameters="key: str = 'none'", metadata=metadata)
    started = end.api.start_execution(StartExecution(flow_name=flow, inputs={"key": "s3cret<&>"}))
    execution = end.api.wait(started.id, timeout=timedelta(seconds=60))
    assert execution.error is not None
    assert "The name of a result holds a secret" in execution.error.value
    found = [end.api.execution_result(execution.id, name).data for name in ("words", "table", "late")]
    assert found == [
        {"text/plain": "key •••"},
        {"text/html": "<b>•••</b>", "application/json": {"key": "•••"}},
        {"text/plain": "the session is •••"},
    ]


def test_the_card_of_an_execution_shows_its_results_without_running_them(end: End) -> None:
    html = "<script>alert(1)</script><img src='https://example.com/x' onerror='alert(2)'>"
    hostile = f"""
this.show("<b>html", {{"text/html": {html!r}}})
this.show("svg", {{"image/svg+xml": "<svg onload='alert(3)'/>"}})
this.show("good", {{"image/png": {PNG!r}}})
"""
    execution = ended(end, hostile)
    assert execution.status is Status.ENDED_SUCCESS, execution.error
    shown = System(end.api).execution(execution.id)
    assert [*shown.results()] == ["<b>html", "svg", "good"]
    card = _Tags(shown._repr_html_())
    assert {"script", "svg", "meta"}.isdisjoint(card.tags)
    assert card.sources[-1] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert all(source.startswith("data:image/png;base64,") for source in card.sources)
    frames = [attributes for tag, attributes in card.found if tag == "iframe"]
    assert len(frames) == 2
    for frame in frames:
        assert frame["sandbox"] is None  # nothing is allowed
        page = frame["srcdoc"] or ""
        assert page.startswith('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'')


class _Tags(HTMLParser):
    """The tags of a page, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.found}

    @property
    def sources(self) -> list[str]:
        return [attributes["src"] or "" for tag, attributes in self.found if tag == "img"]


def test_the_last_figure_of_the_notebook_stands_in(end: End) -> None:
    show = f"from IPython.display import Image, display\ndisplay(Image({PNG!r}))"
    execution = ended(end, show, "print('after')")
    [found] = end.api.execution_results(execution.id)
    assert (found.name, found.is_from_notebook, "image/png" in found.types) == ("figure", True, True)
    assert base64.b64decode(end.api.execution_result(execution.id, "figure").data["image/png"]) == PNG
    other = ended(end, show, "this.show('own', 'one')")
    assert names(end.api.execution_results(other.id)) == ["own"]
    with pytest.raises(errors.ResultNotFound):
        end.api.execution_result(other.id, "figure")
    assert end.api.execution_results(ended(end, "1").id) == ()
    assert end.api.execution_results(end.later(end.flow(show)).id) == ()


def test_a_notebook_that_is_slow_to_read_offers_no_figure(end: End) -> None:
    show = f"from IPython.display import Image, display\ndisplay(Image({PNG!r}))"
    values = f"display({{'application/json': [1] * {MAX_RESULT_VALUES}}}, raw=True)"
    assert end.api.execution_results(ended(end, show, values).id) == ()


def test_results_go_with_their_execution(end: End) -> None:
    execution = ended(end, "this.show('a', 1)")
    assert names(end.api.execution_results(execution.id)) == ["a"]
    end.api.delete_execution(execution.id)
    with pytest.raises(errors.ExecutionNotFound):
        end.api.execution_result(execution.id, "a")
