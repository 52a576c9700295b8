"""Executed notebooks and sources over REST."""

from __future__ import annotations

import re
import time

import httpx

from tests.extension.conftest import client
from tests.flows import notebook, write_flow
from tests.server import RunningServer

HOSTILE = """
from IPython.display import HTML, Markdown, display
display(HTML("<script>alert(1)</script><p onclick='x()'>kept</p><img src=http://evil.example/x.png>"))
display(HTML("<iframe src=http://evil.example></iframe><a href='javascript:x()'>a</a><form action=/x><input></form>"))
display(Markdown("# Heading\\n<svg onload=alert(2)><style>@import 'http://evil.example'</style>"))
"""


def run(http: httpx.Client, script: str, wait: float = 60) -> str:
    """Run a script to its end; return its id."""
    reply = http.post("/execution", json={"script": script, "wait": wait}, timeout=wait + 10)
    assert reply.json()["status"] == "ENDED_SUCCESS", reply.text
    return str(reply.json()["id"])


def test_an_executed_notebook_comes_as_download_and_as_page_and_nothing_runs_in_either(http: httpx.Client) -> None:
    execution_id = run(http, HOSTILE)
    policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    reply = http.get(f"/execution/{execution_id}/notebook")
    assert reply.headers["Content-Type"] == "application/x-ipynb+json"
    assert reply.headers["Content-Disposition"] == f"attachment; filename*=utf-8''{execution_id}.ipynb"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"].startswith(policy)
    assert any("kept" in str(cell.get("outputs")) for cell in reply.json()["cells"])

    reply = http.get(f"/execution/{execution_id}/notebook", params={"format": "html"})
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"].startswith(policy)
    page = reply.text
    assert "<p>kept</p>" in page
    assert ">Heading</h1>" in page
    assert "prefers-color-scheme" in page
    main = page[page.index("<main>") :]
    outputs = re.sub(r'<div class="highlight[^>]*>.*?</div>', "", main, flags=re.DOTALL)
    assert not re.search(r"<(script|iframe|svg|style|form|input|link|meta|object)|javascript:|evil\.example", outputs)
    assert not re.search(r"(src|href)=[\"']?https?:", outputs)


def test_an_output_of_50_mb_neither_hangs_the_server_nor_floods_the_page(
    server: RunningServer, http: httpx.Client
) -> None:
    execution_id = run(http, "print(('x' * 99 + '\\n') * 500_000)")
    assert len(http.get(f"/execution/{execution_id}/notebook").content) > 50_000_000
    with client(server) as other, http.stream("GET", f"/execution/{execution_id}/notebook?format=html") as stream:
        begun = time.monotonic()
        assert other.get("/user/me").status_code == 200
        assert time.monotonic() - begun < 5
        page = stream.read()
    assert len(page) < 1_000_000
    assert b"output shortened, open the notebook to see it all" in page


def test_a_source_is_returned_as_it_was_run(server: RunningServer, http: httpx.Client) -> None:
    script = "# täglich\nprint('hello')\n"
    started = http.post("/execution", json={"script": script, "delay_seconds": 1e6}).json()
    (cell,) = http.get(f"/execution/{started['id']}/source").json()["cells"]
    assert cell["source"] == script
    path = write_flow(server.workspace, "to be changed", "1")
    before = path.read_text()
    execution = http.post("/execution", json={"flow_name": "to be changed", "delay_seconds": 1e6}).json()
    path.write_text(notebook("2"))
    reply = http.get(f"/execution/{execution['id']}/source")
    assert reply.text == before
    assert reply.headers["Content-Disposition"].endswith(f"{execution['id']}-source.ipynb")


def test_the_source_of_a_script_with_a_handler_is_python(http: httpx.Client) -> None:
    script = "# täglich\ndef handler(system, this):\n    this.success('ok')\n"
    started = http.post("/execution", json={"script": script, "delay_seconds": 1e6}).json()
    reply = http.get(f"/execution/{started['id']}/source")
    assert (reply.text, reply.headers["Content-Type"]) == (script, "text/x-python; charset=utf-8")
    assert reply.headers["Content-Disposition"].endswith(f"{started['id']}-source.py")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_what_has_not_run_has_no_notebook_yet(http: httpx.Client) -> None:
    execution = http.post("/execution", json={"flow_name": "quick", "delay_seconds": 1e6}).json()
    for query in ("", "?format=html"):
        reply = http.get(f"/execution/{execution['id']}/notebook{query}")
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "notebook_not_found"
