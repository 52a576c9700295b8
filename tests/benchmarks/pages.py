"""Measures the page of a large executed notebook: `python -m tests.benchmarks.pages`. nbconvert takes turns with it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import httpx
import nbformat
from nbconvert import HTMLExporter
from nbformat import v4

from tests.benchmarks.timing import head, play, ratio, row, serving, timed
from tests.flows import write_flow
from tests.server import WITHOUT_LAB


def book(cells: int) -> str:
    """Return a notebook of cells, half of them text and half of them code with two outputs."""
    made = v4.new_notebook()
    for number in range(cells // 2):
        words = f"## Part {number}\n\nSome *text* about part {number}."
        made.cells.append(v4.new_markdown_cell(words, id=f"t{number}"))
        printed = v4.new_output("stream", name="stdout", text="value 0\n")
        result = v4.new_output("execute_result", data={"text/plain": str(number)}, execution_count=number)
        source = f"x = {number}\nfor k in range(x % 3):\n    print('value', k)\nx"
        cell = v4.new_code_cell(source, id=f"c{number}", execution_count=number, outputs=[printed, result])
        made.cells.append(cell)
    return str(nbformat.writes(made))


def seen(http: httpx.Client, address: str) -> tuple[float, float]:
    """Return after how many milliseconds the first cells of a page are there, and the whole of it."""
    begun, first, text = time.perf_counter(), 0.0, ""
    with http.stream("GET", address) as stream:
        for part in stream.iter_text():
            text += part
            if not first and "Part 9<" in text:
                first = (time.perf_counter() - begun) * 1000
    assert text.endswith("</html>\n"), text[-200:]
    return first, (time.perf_counter() - begun) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    text = book(given.cells)
    with serving(extensions=WITHOUT_LAB) as (server, api):
        write_flow(server.workspace, "trivial", "1")
        ended = play(api, "trivial")
        Path(server.workspace, str(ended.notebook)).write_text(text)
        headers = {"Authorization": f"token {server.token}"}
        firsts, wholes, peers = [], [], []
        with httpx.Client(base_url=server.api, headers=headers, timeout=600, trust_env=False) as http:
            for _ in range(given.rounds):
                first, whole = seen(http, f"/execution/{ended.id}/notebook?format=html")
                firsts.append(first)
                wholes.append(whole)
                exporter = HTMLExporter(sanitize_html=True)
                peers.append(timed(lambda: exporter.from_notebook_node(nbformat.reads(text, 4))))  # noqa: B023 -- now
    head()
    row(f"page of {given.cells:,} cells: first screen", firsts, "the first one starts the process that renders")
    row(f"page of {given.cells:,} cells: whole", wholes, f"{ratio(wholes, peers)} nbconvert")
    row("nbconvert, sanitising", peers)


if __name__ == "__main__":
    main()
