"""Executed notebooks and sources over REST."""

from __future__ import annotations

import json
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
print('one', flush=True)
print('two', flush=True)
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
    assert "<pre>one\ntwo\n</pre>" in page  # not a paragraph for each flush
    assert "prefers-color-scheme" in page
    main = page[page.index("<main>") :]
    outputs = re.sub(r'<div class=" ?highlight[^>]*>.*?</div>', "", main, flags=re.DOTALL)
    assert not re.search(r"<(script|iframe|svg|style|form|input|link|meta|object)|javascript:|evil\.example", outputs)
    assert not re.search(r"(src|href)=[\"']?https?:", outputs)


def test_the_log_comes_as_a_file_with_what_cells_printed(http: httpx.Client) -> None:
    execution_id = run(http, "this.log('low', level='warning')\nprint('printed')\nfor n in range(600): this.log(n)")
    reply = http.get(f"/execution/{execution_id}/log/file")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["Content-Disposition"] == f"attachment; filename*=utf-8''{execution_id}.log"
    assert reply.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    lines = [line.split(" ", 2)[1:] for line in reply.text.splitlines()]
    assert sorted(lines[:2]) == [["WARNING", "low"], ["stdout", "printed"]]
    assert lines[2:] == [["INFO", str(n)] for n in range(600)]
    assert http.get("/execution/none/log/file").status_code == 404


def test_a_result_comes_as_bundle_and_as_page_and_nothing_runs_in_it(http: httpx.Client) -> None:
    html = "<script>alert(1)</script><p onclick='x()'>kept</p><img src=http://evil.example/x.png>"
    svg = "<svg onload='alert(2)'><script>alert(3)</script></svg>"
    shows = f"this.show('Täglich 1', {{'text/html': {html!r}}})\nthis.show('drawn', {{'image/svg+xml': {svg!r}}})"
    shows += "\nthis.show('dot', {'image/gif': b'GIF89a'})"
    path = f"/execution/{run(http, shows)}/results"
    listed = http.get(path).json()
    assert [(one["name"], one["types"]) for one in listed["items"]] == [
        ("Täglich 1", ["text/html"]),
        ("drawn", ["image/svg+xml"]),
        ("dot", ["image/gif"]),
    ]
    assert http.get(path, params={"limit": 1}).json()["next"] == "Täglich 1"
    assert [one["name"] for one in http.get(path, params={"cursor": "drawn"}).json()["items"]] == ["dot"]
    assert http.get(f"{path}/Täglich 1").json()["data"] == {"text/html": html}
    for name in ("Täglich 1", "drawn"):
        page = http.get(f"{path}/{name}", params={"format": "html"})
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert not re.search(r"<script|onload|onclick|evil\.example", page.text)
    assert "<p>kept</p>" in http.get(f"{path}/Täglich 1", params={"format": "html"}).text
    image = http.get(f"{path}/dot", params={"format": "image"})
    assert (image.headers["Content-Type"], image.content) == ("image/gif", b"GIF89a")
    assert image.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    no_image = http.get(f"{path}/drawn", params={"format": "image"})  # SVG may hold scripts
    assert (no_image.status_code, no_image.json()["error"]["field"]) == (400, "format")
    missing = http.get(f"{path}/other", params={"format": "html"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "result_not_found")


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
    assert b"output shortened; open the notebook to see all of it" in page


def test_a_page_comes_in_parts_while_it_is_rendered(server: RunningServer, http: httpx.Client) -> None:
    execution_id = run(http, "1")
    path = server.workspace / http.get(f"/execution/{execution_id}").json()["notebook"]
    book = json.loads(path.read_text())
    book["cells"] = [{**book["cells"][0], "id": f"c{number}", "source": f"# cell {number}"} for number in range(2_000)]
    path.write_text(json.dumps(book))
    with http.stream("GET", f"/execution/{execution_id}/notebook?format=html") as stream:
        assert stream.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert stream.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Length" not in stream.headers
        pieces = list(stream.iter_text())
    begun = next(number for number, piece in enumerate(pieces) if "# cell 0<" in piece)
    done = next(number for number, piece in enumerate(pieces) if "# cell 1999<" in piece)
    assert begun < done
    page = "".join(pieces)
    assert page.count("</html>") == 1
    assert page.endswith("</main></body></html>\n")


def test_an_output_that_needs_scripts_has_a_link_to_jupyterlab(http: httpx.Client) -> None:
    script = (
        "from IPython.display import display\n"
        "display({'application/vnd.vegalite.v5+json': {}, 'text/html': '<div id=v></div><script>draw()</script>',"
        " 'text/plain': 'alt.Chart(...)'}, raw=True)"
    )
    execution_id = run(http, script)
    link = f"lab/tree/executions/_script/{execution_id}.ipynb"
    page = http.get(f"/execution/{execution_id}/notebook?format=html").text
    assert page.count("This output needs scripts, which do not run on this page.") == 1
    assert re.search(f'<a href="[^"]*/{link}"[^>]*>Open the notebook in JupyterLab</a>', page)
    assert "draw()" not in page.split('class="output"')[-1]
    # The dashboard shows the page in a frame from which nothing can be opened, beside a link of its own.
    framed = http.get(f"/execution/{execution_id}/notebook?format=html", headers={"Sec-Fetch-Dest": "empty"}).text
    assert "Open the notebook in JupyterLab to see all of it." in framed
    assert link not in framed


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
