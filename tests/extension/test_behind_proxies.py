"""The shipped configurations of nginx and Caddy, before a real server: webhooks pass, and nothing else does."""

from __future__ import annotations

import http.client as http_client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.certificate import certificate
from tests.extension.conftest import StartServer, client
from tests.extension.webhooks import ECHO, KEY, got, make
from tests.flows import write_script
from tests.server import RunningServer, free_port, until

DOCS = Path(__file__).parents[2] / "docs"
#: What stands around nginx on a real machine, in folders of the test.
AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/webhooks.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs, and what it calls itself."""

    name: str
    port: int
    certificate: Path
    clients: list[httpx.Client]

    def caller(self, address: str = "127.0.0.1") -> httpx.Client:
        """Return a caller from outside, from an address of its own."""
        trusting = ssl.create_default_context(cafile=str(self.certificate))
        trusting.check_hostname = False
        transport = httpx.HTTPTransport(local_address=address, verify=trusting)
        self.clients.append(httpx.Client(transport=transport, base_url=f"https://127.0.0.1:{self.port}", timeout=30))
        return self.clients[-1]


@pytest.fixture(scope="module")
def hidden(start: StartServer) -> RunningServer:
    """The server that the world does not see."""
    server = start(None, "--ServerApp.trust_xheaders=True")
    write_script(server.workspace, "echo", ECHO)
    return server


@pytest.fixture(scope="module")
def http(hidden: RunningServer) -> Iterator[httpx.Client]:
    """Who manages webhooks, on the inside."""
    with client(hidden) as http:
        yield http


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, hidden: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Each of the proxies, with its shipped configuration."""
    name, folder, port = request.param, tmp_path_factory.mktemp(request.param), free_port()
    program = shutil.which(name, path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if program is None and "CI" not in os.environ:
        pytest.skip(f"There is no {name}; on Debian: apt-get install nginx-light caddy.")
    assert program is not None, f"CI needs {name}"
    file, _ = certificate(folder, "hooks.example.com")
    inside = hidden.url.removeprefix("http://").strip("/")
    command = {"nginx": _nginx, "caddy": _caddy}[name](folder, port, inside, file)
    environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "said.log").open("w") as said:
        process = subprocess.Popen([program, *command], stderr=said, stdout=said, env=environment)
    until(lambda: _listens(port), what=(folder / "said.log").read_text)
    running = Proxy(name, port, file, [])
    yield running
    for one in running.clients:
        one.close()
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture(scope="module")
def outside(proxy: Proxy) -> Callable[..., httpx.Client]:
    """Callers from outside, each from an address of its own."""
    return proxy.caller


def _nginx(folder: Path, port: int, inside: str, file: Path) -> list[str]:
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "127.0.0.1:8888": inside,
        "/etc/ssl/certs/hooks.example.com.pem": str(file),
        "/etc/ssl/private/hooks.example.com.key": str(file),
    }
    (folder / "webhooks.conf").write_text(_changed(DOCS / "nginx-webhooks.conf", changes))
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    return ["-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-p", str(folder)]


def _caddy(folder: Path, port: int, inside: str, file: Path) -> list[str]:
    site = f"{{\n\tadmin off\n}}\nhttps://:{port} {{\n\tbind 127.0.0.1\n\ttls {file} {file}\n"
    text = _changed(DOCS / "Caddyfile-webhooks", {"hooks.example.com {": site, "127.0.0.1:8888": inside})
    (folder / "Caddyfile").write_text(text)
    return ["run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _changed(file: Path, changes: dict[str, str]) -> str:
    text = file.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_calls_of_webhooks_pass_and_leak_nothing(
    http: httpx.Client, proxy: Proxy, outside: Callable[..., httpx.Client]
) -> None:
    name = make(http, "open.one-two", key=KEY)
    headers = {"Cookie": "_xsrf=a", "Authorization": f"Bearer {KEY}", "X-Github-Event": "push"}
    reply = outside().post(f"/cloudo/webhook/{name}?a=1&b=%2F", json={"n": 1}, headers=headers)
    call = got(reply)
    assert (call["query"], call["json"], call["path"]) == ({"a": "1", "b": "/"}, {"n": 1}, f"/cloudo/webhook/{name}")
    assert call["headers"]["X-Github-Event"] == "push"
    assert not call["headers"].keys() & {"Cookie", "Authorization"}
    assert reply.headers.get("Server", "").lower() in ("", proxy.name)
    assert "Set-Cookie" not in reply.headers
    assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert outside().get(f"/cloudo/webhook/{name}?key={KEY}").status_code == 200
    assert outside().delete(f"/cloudo/webhook/{name}").status_code == 405
    assert outside().get("/cloudo/webhook/no-such-one").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api", "/api/contents", "/api/kernels", "/login", "/lab", "/tree", "/cloudo/", "/cloudo"),
        *("/cloudo/api/1/health", "/cloudo/api/1/user/me", "/cloudo/api/1/webhook", "/static/favicon.ico"),
        *("/cloudo/webhook", "/cloudo/webhook/", "/cloudo/webhook/a/b", "/cloudo/webhook/../api/1/health"),
        *("/cloudo/webhook/..%2fapi%2f1%2fhealth", "/cloudo/webhook/%2e%2e/api/1/health", "/cloudo/webhook/a%2fb"),
        *("//cloudo/api/1/health", "/cloudo/webhook/x%00", "/cloudo/webhook/x%0d%0aA:b", "/cloudo/webhook/x;y"),
    ],
)
def test_nothing_else_passes(hidden: RunningServer, proxy: Proxy, path: str) -> None:
    reply = _exactly(proxy.caller(), path, hidden.token)
    assert reply.status_code in {400, 404}
    # Its own page: the server was not asked.
    assert "X-Content-Type-Options" not in reply.headers
    assert "<center>nginx</center>" in reply.text if proxy.name == "nginx" else reply.text == ""


@pytest.mark.parametrize(
    "path",
    [
        "/api/contents/..%2f..%2fcloudo/webhook/disguised",
        "/cloudo/api/1/flow/..%2f..%2f..%2f..%2fcloudo/webhook/disguised",
        "/api/./../cloudo//webhook/disguised",
    ],
)
def test_a_disguised_path_is_a_webhooks_to_the_server_too(
    http: httpx.Client, hidden: RunningServer, outside: Callable[..., httpx.Client], path: str
) -> None:
    make(http, "disguised")
    reply = _exactly(outside(), path, hidden.token)
    assert got(reply)["path"] == "/cloudo/webhook/disguised"


def _exactly(caller: httpx.Client, path: str, token: str) -> httpx.Response:
    """Send a path as it stands, with a token that opens everything inside."""
    request = caller.build_request("GET", "/", headers={"Authorization": f"token {token}"})
    request.url = request.url.copy_with(raw_path=path.encode())
    return caller.send(request)


def test_the_callers_address_cannot_be_made_up(http: httpx.Client, outside: Callable[..., httpx.Client]) -> None:
    name = make(http, "near", allowed_networks=["127.0.0.2/32"])
    path, lies = f"/cloudo/webhook/{name}", {"X-Real-IP": "127.0.0.2", "X-Forwarded-For": "127.0.0.2"}
    assert outside("127.0.0.1").get(path, headers=lies).status_code == 404
    assert outside("127.0.0.2").get(path, headers={"X-Real-IP": "10.0.0.1"}).status_code == 200

    def addresses() -> set[str]:
        return {one["source_ip"] for one in http.get(f"/webhook/{name}/delivery").json()["items"]}

    until(lambda: addresses() == {"127.0.0.1", "127.0.0.2"}, what=lambda: str(addresses()))


def test_each_caller_has_a_rate_of_its_own(http: httpx.Client, proxy: Proxy) -> None:
    name = make(http, f"seldom-{proxy.name}", rate_limit=1)
    path = f"/cloudo/webhook/{name}?async"
    near, far = proxy.caller("127.0.0.1"), proxy.caller("127.0.0.2")
    assert [near.get(path).status_code, near.get(path).status_code, far.get(path).status_code] == [202, 429, 202]


def test_a_body_that_is_too_large_is_refused_on_the_way(http: httpx.Client, proxy: Proxy) -> None:
    name = make(http, "small", max_body_bytes=1000)
    caller, path = proxy.caller(), f"/cloudo/webhook/{name}"
    assert caller.post(path, content=b"x" * 1000).status_code == 200
    refused = caller.post(path, content=b"x" * 1001)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    beyond = 64 * 1024 * 1024 + 1
    if proxy.name == "caddy":  # it counts while it passes on, and some versions blame the server behind it
        assert caller.post(path, content=b"x" * beyond).status_code in (413, 502)
        return
    line = http_client.HTTPSConnection("127.0.0.1", proxy.port, context=_trusting_nobody(), timeout=30)
    line.putrequest("POST", path)
    line.putheader("Content-Length", str(beyond))  # of which nothing comes
    line.endheaders()
    assert line.getresponse().status == 413
    line.close()


def _trusting_nobody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
