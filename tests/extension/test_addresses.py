"""Addresses: every list comes in pages, and no name in one is more than the server can answer."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.extension.conftest import error_of
from tests.server import RunningServer

AWKWARD = [
    "a" * 256,
    "ä" * 128,
    "a" * 5000,
    "%00",
    "%ED%A0%80",
    "%FF",
    "..",
    "%2e%2e%2fx",
    "a%0d%0ab",
    "%F0%9F%98%80" * 70,
]


@pytest.mark.parametrize("name", AWKWARD)
def test_no_name_in_an_address_is_a_fault_of_the_server(server: RunningServer, http: httpx.Client, name: str) -> None:
    routes = json.loads((server.runtime / "routes").read_text())
    asked = 0
    for route in routes:
        path = re.sub(r"\([^()]*\)", lambda _: name, route).strip("/")
        if path == route.strip("/") or "kernel" in path:
            continue
        for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
            body = None if method in ("GET", "DELETE") else {"value": 1, "content": "", "name": name}
            reply = http.request(method, f"{server.url}{path}", json=body, follow_redirects=False)
            assert reply.status_code < 500, (method, path[:80], reply.text)
            asked += 1
    assert asked > 50
    texts = {"dir": name, "glob": name, "q": name, "flow_name": name, "cursor": name, "user_name": name, "state": name}
    for path in ("/file", "/flow", "/execution", "/schedule", "/message", "/webhook", "/setting", "/token", "/event"):
        for field, text in texts.items():
            reply = http.get(f"{path}?{field}={text}")
            assert reply.status_code < 500, (path, field, reply.text)
        assert http.get(f"{path}?{name}=1").status_code == 400


@pytest.mark.parametrize(
    ("path", "code", "field"),
    [
        ("/file?dir=" + "a" * 256, "path_invalid", "dir"),
        ("/file?glob=" + "a" * 256, "path_invalid", "glob"),
        ("/file/" + "a" * 256, "path_invalid", "path"),
        ("/flow/" + "a" * 256, "name_invalid", None),
    ],
)
def test_a_name_that_is_too_long_is_told_with_its_field(
    http: httpx.Client, path: str, code: str, field: str | None
) -> None:
    reply = http.get(path)
    assert (reply.status_code, error_of(reply)["code"]) == (400, code)
    assert field is None or error_of(reply)["field"] == field


@pytest.mark.parametrize(
    ("path", "key"), [("/flow", "name"), ("/setting", "name"), ("/token", "id"), ("/file?dir=pages", "path")]
)
def test_every_list_comes_in_pages(http: httpx.Client, path: str, key: str) -> None:
    for number in range(3):
        http.put(f"/setting/pages.{number}", json={"value": number}).raise_for_status()
        http.post("/token", json={"name": "pages", "actions": ["read"]}).raise_for_status()
        http.put(f"/file/pages/{number}", json={"content": ""}).raise_for_status()
    query = dict(parse_qsl(urlsplit(path).query))

    def ask(**more: Any) -> Any:
        reply = http.get(urlsplit(path).path, params={**query, **more})
        assert reply.status_code == 200, reply.text
        return reply.json()

    whole = ask(limit=500)
    keys = [item[key] for item in whole["items"]]
    assert whole["next"] is None
    assert len(keys) >= 3
    found: list[Any] = []
    cursor = None
    while cursor is not None or not found:
        page = ask(limit=2, **({} if cursor is None else {"cursor": cursor}))
        assert len(page["items"]) <= 2
        found += [item[key] for item in page["items"]]
        cursor = page["next"]
    assert found == keys
    reply = http.get(urlsplit(path).path, params={**query, "limit": 501})
    assert (reply.status_code, error_of(reply)["field"]) == (400, "limit")
