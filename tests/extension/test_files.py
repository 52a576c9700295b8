"""Files of the workspace over HTTP."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of
from tests.server import RunningServer


def test_a_file_is_written_listed_read_and_deleted(http: httpx.Client, server: RunningServer) -> None:
    made = http.put("/file/notes/täglich b.txt", json={"content": "one\n"})
    assert made.status_code == 200, made.text
    assert (made.json()["path"], made.json()["size"], made.json()["content"]) == ("notes/täglich b.txt", 4, None)
    assert (server.workspace / "notes" / "täglich b.txt").read_text() == "one\n"
    assert http.get("/file/notes/täglich b.txt").json()["content"] == "one\n"
    assert http.get("/file/notes/täglich b.txt?content=0").json()["content"] is None
    content = base64.b64encode(b"\xff\x00").decode()
    http.put("/file/notes/raw", json={"content": content, "encoding": "base64"})
    assert http.get("/file/notes/raw").json()["encoding"] == "base64"
    listed = http.get("/file", params={"dir": "notes", "glob": "*b.txt"}).json()
    assert [file["path"] for file in listed["items"]] == ["notes/täglich b.txt"]
    for name in ("raw", "täglich b.txt"):
        assert http.delete(f"/file/notes/{name}").status_code == 204
    gone = http.get("/file/notes/raw")
    assert (gone.status_code, error_of(gone)["code"]) == (404, "file_not_found")


@pytest.mark.parametrize(
    "path",
    [
        "..%2fescape",
        "%2e%2e/escape",
        "a/..%2f..%2fescape",
        "%2fetc%2fpasswd",
        ".cloudo/cloudo.sqlite",
        ".cloudo/key",
        "a%5cb",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_path_leads_elsewhere(http: httpx.Client, server: RunningServer, method: str, path: str) -> None:
    reply = http.request(method, f"/file/{path}", json={"content": "x"} if method == "PUT" else None)
    assert reply.status_code in (400, 404), (path, reply.text)
    if reply.status_code == 400:
        assert error_of(reply)["code"] == "path_invalid"
    assert not (server.workspace.parent / "escape").exists()


@pytest.mark.parametrize(
    "query",
    [
        *({"dir": "../"}, {"glob": "../*"}, {"glob": ".cloudo/../../*"}, {"dir": ".cloudo"}),
        *({"dir": "a" * 256}, {"dir": "a/" * 3_000}, {"dir": "a\0"}),  # the system has names like that nowhere
    ],
)
def test_no_list_leads_elsewhere(http: httpx.Client, query: dict[str, str]) -> None:
    reply = http.get("/file", params=query)
    assert (reply.status_code, error_of(reply)["code"]) == (400, "path_invalid")


@pytest.mark.parametrize("body", [{}, {"content": 1}, {"content": "%", "encoding": "base64"}, {"content": "", "x": 1}])
def test_a_body_that_makes_no_sense_is_malformed(http: httpx.Client, body: dict[str, object]) -> None:
    reply = http.put("/file/a", json=body)
    assert reply.status_code == 400
    error_of(reply)


def test_who_may_not_change_jupyters_files_may_not_change_them_here(start: StartServer) -> None:
    inside = "tests.extension.inside"
    classes = {"identity_provider_class": f"{inside}.HeaderIdentity", "authorizer_class": f"{inside}.NoContents"}
    server = start(None, "--Cloudo.embedded_worker=False", config={"ServerApp": classes})
    with client(server, token=None) as http:
        headers = {"X-User": "linus", "X-XSRFToken": "1", "Cookie": "_xsrf=1"}
        assert http.put("/setting/a", json={"value": 1}, headers=headers).status_code == 200
        for reply in (
            http.get("/file", headers=headers),
            http.get("/file/a", headers=headers),
            http.put("/file/a", json={"content": "x"}, headers=headers),
        ):
            assert reply.status_code == 403
            error_of(reply)
