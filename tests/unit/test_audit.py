"""The look for known vulnerabilities, in front of a database of advisories of the test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
LOCK = """\
httpx==0.28.1 \\
    --hash=sha256:00
jinja2==2.4.1 ; sys_platform == 'linux' \\
    --hash=sha256:00
pandas[excel]==2.2.0
    # via cloudo
"""
TORNADO = {("tornado", "6.1"): "GHSA-753j-mpmx-qq6g"}


@contextmanager
def database(advisories: dict[tuple[str, str], str]) -> Iterator[str]:
    """Answer as the database at api.osv.dev does."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            assert self.path == "/v1/querybatch"
            found = [advisories.get((one["package"]["name"], one["version"])) for one in asked]
            results = [{"vulns": [{"id": one, "modified": "…"}]} if one else {} for one in found]
            body = json.dumps({"results": results})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def audit(folder: Path, *arguments: str) -> tuple[int, str]:
    (folder / "lock.txt").write_text(LOCK)
    command = [sys.executable, str(AUDIT), str(folder / "lock.txt"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


def test_a_vulnerable_package_fails_the_build(tmp_path: Path) -> None:
    with database({**TORNADO, ("jinja2", "2.4.1"): "PYSEC-2014-8"}) as url:
        code, said = audit(tmp_path, "--url", url)
    assert (code, said) == (1, "jinja2 2.4.1 is vulnerable: https://osv.dev/PYSEC-2014-8\n")


def test_nothing_is_said_to_be_safe_that_was_not_checked(tmp_path: Path) -> None:
    with database(TORNADO) as url:
        assert audit(tmp_path, "--url", url) == (0, "None of the 3 locked packages is known to be vulnerable.\n")
    code, said = audit(tmp_path, "--url", url)  # it is gone
    assert code == 0
    assert said.startswith("WARNING: the dependencies were NOT checked")
    assert len(said.splitlines()) == 1
    assert audit(tmp_path, "--url", url, "--strict")[0] == 2


@pytest.mark.parametrize("strict", [0, 2])
def test_a_database_without_advisories_counts_as_none(tmp_path: Path, strict: int) -> None:
    with database({}) as url:
        code, said = audit(tmp_path, "--url", url, *(["--strict"] if strict else []))
    assert code == strict
    assert "it knows nothing of tornado 6.1" in said
