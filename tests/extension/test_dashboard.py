"""The page of the dashboard, as the server sends it: its data, its rows, its policy and its files."""

from __future__ import annotations

import gzip
import json
import re
import urllib.parse
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.extension.conftest import StartServer, client, later
from tests.extension.front_end import CHUNK, EVENTS, SCRIPT, STYLE, write_build
from tests.flows import write_flow
from tests.server import RunningServer

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028"
NONE = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_build(tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="module")
def server(start: StartServer, build: Path) -> RunningServer:
    """A server with Voila, whose renderer the page needs, and with a build of the front end."""
    server = start(None, f"--Cloudo.frontend={build}")
    write_flow(server.workspace, "quick", "1")
    write_flow(server.workspace, "reports/täglich wöchentlich", "1")
    return server


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server) as http:
        yield http


@pytest.fixture
def open_page(server: RunningServer, http: httpx.Client) -> Any:
    def get(path: str = "", **headers: str) -> httpx.Response:
        return http.get(f"{server.url}cloudo/{path}", headers=headers)

    return get


class Elements(HTMLParser):
    """The elements of a page: each tag with its attributes, and the text of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.found:
            self.found[-1][2].append(data)

    def by_id(self, name: str) -> tuple[dict[str, str | None], str]:
        [(_, attributes, text)] = [one for one in self.found if one[1].get("id") == name]
        return attributes, "".join(text)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.found if name == tag]


def data_of(page: httpx.Response) -> dict[str, Any]:
    attributes, text = Elements(page.text).by_id("cloudo-data")
    assert attributes["type"] == "application/json"
    return dict(json.loads(text))


def test_the_page_is_whole_without_a_kernel(server: RunningServer, http: httpx.Client, open_page: Any) -> None:
    page = open_page()
    assert page.status_code == 200, page.text
    assert page.text.startswith('<!doctype html>\n<html lang="en">')
    assert page.text.rstrip().endswith("</html>")
    elements = Elements(page.text)
    mount, _ = elements.by_id("cloudo")
    assert (mount["data-base-url"], mount["data-view"], mount["data-version"]) == ("/", "flows", "0.1.0")
    assert mount["data-events-url"] == f"/cloudo/static/{EVENTS}"
    assert f"{STYLE}</style>" in page.text
    assert f'import("/cloudo/static/{SCRIPT}")' in page.text
    assert http.get(f"{server.url}api/kernels").json() == []


def test_rows_are_in_the_html(http: httpx.Client, open_page: Any) -> None:
    execution = later(http, name="report of the year")
    flows = open_page().text
    assert "reports/<wbr>täglich wöchentlich<wbr>" in flows
    assert f'href="/cloudo/executions/{execution["id"]}"' in flows
    assert re.search(r'<rect width="8" y="\d+" height="\d+"/>', flows)
    assert "<span>Never run</span>" in flows
    executions = open_page("executions").text
    assert "report of the year" in executions
    assert 'data-status="PENDING"' in executions
    assert "cloudo-skeleton" in open_page("settings").text


@pytest.mark.parametrize(
    ("path", "view", "asked"),
    [
        ("", "flows", ["flow?brief=true&limit=100", "message?unanswered=true&limit=500"]),
        ("flows", "flows", ["flow?brief=true&limit=100", "message?unanswered=true&limit=500"]),
        ("flows/quick", "flow", []),
        ("flows/reports%2Ft%C3%A4glich%20w%C3%B6chentlich", "flow", []),
        ("flows/reports/t%C3%A4glich%20w%C3%B6chentlich", "flow", []),
        ("executions", "executions", ["execution?top_level=true&limit=100"]),
        ("executions/{id}", "execution", ["execution/{id}"]),
        (f"executions/{NONE}", "execution", []),
        ("schedules", "schedules", ["schedule?limit=100"]),
        (f"schedules/{NONE}", "schedule", []),
        ("messages", "messages", ["message?limit=50"]),
        (f"messages/{NONE}", "message", []),
        ("webhooks", "webhooks", ["webhook?limit=100"]),
        ("webhooks/deploy", "webhook", []),
        ("tokens", "tokens", []),
        ("settings", "settings", []),
        ("workers", "workers", []),
    ],
)
def test_each_view_brings_what_rest_would_answer(
    http: httpx.Client, open_page: Any, path: str, view: str, asked: list[str]
) -> None:
    one = later(http)["id"]
    page = open_page(path.format(id=one))
    assert page.status_code == 200
    assert Elements(page.text).by_id("cloudo")[0]["data-view"] == view
    found = data_of(page)
    activity = [address for address in found if address.startswith("flow/activity?recent=12&names=")]
    assert len(activity) == (view == "flows")
    assert list(found) == ["user/me", *(address.format(id=one) for address in asked), *activity]
    for address, value in found.items():
        assert value == http.get(f"/{address}").json(), address


@pytest.mark.parametrize(
    "path", ["flow", "flows/", "executions/x", "executions/1/2", "webhooks/a/b", "nothing", "dashboard", "static/"]
)
def test_an_unknown_address_gets_a_page_that_says_so(open_page: Any, path: str) -> None:
    page = open_page(path)
    assert page.status_code == 404
    assert "There is no page at this address" in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_hostile_texts_stay_texts(http: httpx.Client, server: RunningServer, open_page: Any) -> None:
    write_flow(server.workspace, "hostile", "1", metadata={"title": HOSTILE, "description": HOSTILE, "tags": [HOSTILE]})
    one = later(http, name=HOSTILE, flow_name="hostile", tags=[HOSTILE])
    for path in ("", "executions", f"executions/{one['id']}"):
        page = open_page(path)
        elements = Elements(page.text)
        assert len(elements.all("script")) == (3 if path else 4)
        assert not elements.all("img")
        assert "\u2028" not in page.text.partition('id="cloudo-data"')[2]
        assert HOSTILE in json.dumps(data_of(page), ensure_ascii=False).replace('\\"', '"')
        assert not [name for _, attributes, _ in elements.found for name in attributes if name.startswith("on")]
    flows = open_page("").text
    assert "&lt;/script&gt;" in flows


def test_the_policy_allows_nothing_but_the_page_itself(server: RunningServer) -> None:
    nonces = []
    for _ in range(2):
        with client(server) as http:
            page = http.get(f"{server.url}cloudo/")
        parts = [part.strip().partition(" ") for part in page.headers["Content-Security-Policy"].split(";")]
        told = {name: value for name, _, value in parts}
        [nonce] = re.findall(r"'nonce-([\w-]{20,})'", told["script-src"])
        nonces.append(nonce)
        assert told == {
            "default-src": "'none'",
            "script-src": f"'self' 'nonce-{nonce}'",
            "style-src": f"'self' 'nonce-{nonce}'",
            "img-src": "'self' data: blob:",
            "font-src": "'self' data:",
            "connect-src": "'self'",
            "worker-src": "'self'",
            "frame-src": "'self'",
            "object-src": "'none'",
            "base-uri": "'self'",
            "form-action": "'self'",
            "frame-ancestors": "'self'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "cloudo",
        }
        elements = Elements(page.text)
        for attributes in (*elements.all("script"), *elements.all("style")):
            is_data = attributes.get("type") == "application/json"
            assert (
                attributes.get("nonce") == nonce or is_data or str(attributes.get("src")).startswith("/cloudo/static/")
            )
        assert not [attributes for _, attributes, _ in elements.found if "style" in attributes]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
        assert "ETag" not in page.headers
        assert "_xsrf" in page.cookies
    assert nonces[0] != nonces[1]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, deflate, br", "gzip"), ("*", "gzip"), ("gzip;q=0.5", "gzip"), ("gzip;q=0, *", None), ("br", None)],
)
def test_the_page_is_compressed_if_that_is_accepted(
    server: RunningServer, http: httpx.Client, open_page: Any, accepted: str, coding: str | None
) -> None:
    for reply in (
        open_page(**{"Accept-Encoding": accepted}),
        http.get(f"{server.url}cloudo/static/{CHUNK}", headers={"Accept-Encoding": accepted}),
    ):
        assert reply.headers.get("Content-Encoding") == coding
        assert reply.headers["Vary"] == "Accept-Encoding"
        assert reply.num_bytes_downloaded < len(reply.content) or coding is None


def test_the_head_of_the_page_is_sent_before_the_store_is_read(server: RunningServer, http: httpx.Client) -> None:
    headers = {"Accept-Encoding": "identity"}
    with http.stream("GET", f"{server.url}cloudo/", headers=headers) as reply:
        parts = list(reply.iter_raw())
    assert parts[0].endswith(b"</head>")
    assert b"".join(parts).rstrip().endswith(b"</html>")


def test_files_are_kept_for_good_and_compared_by_their_tag(
    server: RunningServer, http: httpx.Client, build: Path
) -> None:
    address = f"{server.url}cloudo/static/{CHUNK}"
    tags = set()
    for accepted in ("gzip", "identity"):
        reply = http.get(address, headers={"Accept-Encoding": accepted})
        assert reply.content == (build / CHUNK).read_bytes() == gzip.decompress((build / f"{CHUNK}.gz").read_bytes())
        assert reply.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
        again = http.get(address, headers={"Accept-Encoding": accepted, "If-None-Match": reply.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        tags.add(reply.headers["ETag"])
    assert len(tags) == 2
    assert http.head(address).headers["Content-Type"] == "text/javascript; charset=utf-8"
    style = http.get(f"{server.url}cloudo/static/style-3A2b3C4d.css")
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "no-such-1234.js",
        f"{CHUNK}.gz",
        "..%2F..%2Fapp.py",
        "%2e%2e/secret.js",
        "../secret.js",
        "..%5Csecret.js",
        "%2Fetc%2Fpasswd",
        f".%2F{CHUNK}",
        f"x%00{CHUNK}",
        "",
    ],
)
def test_nothing_but_the_files_of_the_build_is_sent(
    server: RunningServer, http: httpx.Client, build: Path, name: str
) -> None:
    (build.parent / "secret.js").write_text("secret")
    reply = http.get(httpx.URL(server.url, raw_path=f"/cloudo/static/{name}".encode()))
    assert reply.status_code == 404
    assert "secret" not in reply.text


def test_strangers_are_sent_to_the_login(server: RunningServer) -> None:
    with client(server, token=None) as stranger:
        for path in ("", "flows/quick", "nothing", f"static/{CHUNK}"):
            reply = stranger.get(f"{server.url}cloudo/{path}?q=1")
            assert reply.status_code == 302, path
            assert reply.headers["Location"] == "/login?" + urllib.parse.urlencode({"next": f"/cloudo/{path}?q=1"})


@pytest.mark.parametrize("path", ["", "executions", "flows/reports%2Fa%20b", "nothing"])
def test_the_token_leaves_the_address_at_once(server: RunningServer, path: str) -> None:
    with client(server, token=None) as browser:
        reply = browser.get(f"{server.url}cloudo/{path}?q=a+%26b&token={server.token}&status=")
        assert reply.status_code == 302
        assert reply.headers["Location"] == f"/cloudo/{path}?q=a+%26b&status="
        assert reply.headers["Referrer-Policy"] == "same-origin"
        page = browser.get(f"{server.url.rstrip('/')}{reply.headers['Location']}")
        assert page.status_code == (404 if path == "nothing" else 200)
        wrong = browser.get(f"{server.url}cloudo/{path}?token=wrong")  # the cookie still says who it is
        assert (wrong.status_code, wrong.headers["Location"]) == (302, f"/cloudo/{path}")


def test_a_page_below_another_base_url_names_it_everywhere(start: StartServer, build: Path) -> None:
    server = start(None, f"--Cloudo.frontend={build}", "--Cloudo.embedded_worker=False", base_url="/user/ada/")
    with client(server) as http:
        page = http.get(f"{server.url}cloudo/?token={server.token}", follow_redirects=True)
        assert page.url.path == "/user/ada/cloudo/"
        assert Elements(page.text).by_id("cloudo")[0]["data-base-url"] == "/user/ada/"
        assert http.get(f"{server.url}cloudo/static/{SCRIPT}").status_code == 200
        assert not re.search(r'(?:href|src)="(?!data:|/user/ada/)', page.text)


def test_a_missing_build_is_named(start: StartServer, tmp_path: Path) -> None:
    server = start(None, f"--Cloudo.frontend={tmp_path / 'none'}")
    with client(server) as http:
        page = http.get(f"{server.url}cloudo/")
        assert page.status_code == 500
        assert "The front end is not built. Run `make frontend`." in page.text
        write_build(tmp_path / "none")
        assert http.get(f"{server.url}cloudo/").status_code == 200


def test_a_store_that_cannot_be_opened_leaves_the_page_without_data(start: StartServer, build: Path) -> None:
    server = start(None, f"--Cloudo.frontend={build}")
    (server.workspace / ".cloudo").write_text("in the way")
    with client(server) as http:
        page = http.get(f"{server.url}cloudo/")
        assert page.status_code == 200
        assert data_of(page) == {}
        assert "cloudo-skeleton" in page.text
