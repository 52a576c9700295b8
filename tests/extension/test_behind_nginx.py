"""The shipped configuration of nginx, before a real server: webhooks pass, and nothing else does."""

from __future__ import annotations

import http.client as http_client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.certificate import certificate
from tests.extension.conftest import StartServer, client
from tests.extension.test_webhook_calls import ECHO, got, make
from tests.flows import write_script
from tests.server import RunningServer, free_port, until

CONFIGURATION = Path(__file__).parents[2] / "docs" / "nginx-webhooks.conf"
#: What stands around it on a real machine, in folders of the test.
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


@pytest.fixture(scope="module")
def nginx() -> str:
    found = shutil.which("nginx", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if found is None and "CI" not in os.environ:
        pytest.skip("There is no nginx; on Debian: apt-get install nginx-light.")
    assert found is not None, "CI needs nginx"
    return found


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


@pytest.fixture(scope="module")
def outside(
    nginx: str, hidden: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., httpx.Client]]:
    """Callers from outside, each from an address of its own."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    file, _ = certificate(folder, "hooks.example.com")
    text = CONFIGURATION.read_text()
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "127.0.0.1:8888": hidden.url.removeprefix("http://").strip("/"),
        "/etc/ssl/certs/hooks.example.com.pem": str(file),
        "/etc/ssl/private/hooks.example.com.key": str(file),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "webhooks.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    trusting = ssl.create_default_context(cafile=str(file))
    trusting.check_hostname = False
    clients = []

    def caller(address: str = "127.0.0.1") -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=address, verify=trusting)
        clients.append(httpx.Client(transport=transport, base_url=f"https://127.0.0.1:{port}", timeout=30))
        return clients[-1]

    command = [nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-p", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until(lambda: _listens(port), what=(folder / "error.log").read_text)
    yield caller
    for one in clients:
        one.close()
    process.terminate()
    process.wait(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_calls_of_webhooks_pass_and_leak_nothing(http: httpx.Client, outside: Callable[..., httpx.Client]) -> None:
    name = make(http, "open.one-two")
    headers = {"Cookie": "_xsrf=a", "Authorization": "token stolen", "X-Github-Event": "push"}
    reply = outside().post(f"/cloudo/webhook/{name}?a=1&b=%2F", json={"n": 1}, headers=headers)
    call = got(reply)
    assert (call["query"], call["json"], call["path"]) == ({"a": "1", "b": "/"}, {"n": 1}, f"/cloudo/webhook/{name}")
    assert call["headers"]["X-Github-Event"] == "push"
    assert not call["headers"].keys() & {"Cookie", "Authorization"}
    assert reply.headers["Server"] == "nginx"
    assert "Set-Cookie" not in reply.headers
    assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert outside().get(f"/cloudo/webhook/{name}").status_code == 200
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
def test_nothing_else_passes(hidden: RunningServer, outside: Callable[..., httpx.Client], path: str) -> None:
    reply = _exactly(outside(), path, hidden.token)
    assert reply.status_code in {400, 404}
    assert reply.headers["Server"] == "nginx"
    assert "<center>nginx</center>" in reply.text  # its own page: the server was not asked


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
    addresses = {one["source_ip"] for one in http.get(f"/webhook/{name}/delivery").json()["items"]}
    assert addresses == {"127.0.0.1", "127.0.0.2"}


def test_each_caller_has_a_rate_of_its_own(http: httpx.Client, outside: Callable[..., httpx.Client]) -> None:
    name = make(http, "seldom", rate_limit=1)
    path = f"/cloudo/webhook/{name}?async"
    near, far = outside("127.0.0.1"), outside("127.0.0.2")
    assert [near.get(path).status_code, near.get(path).status_code, far.get(path).status_code] == [202, 429, 202]


def test_a_body_that_is_too_large_is_refused_on_the_way(
    http: httpx.Client, outside: Callable[..., httpx.Client]
) -> None:
    name = make(http, "small", max_body_bytes=1000)
    caller, path = outside(), f"/cloudo/webhook/{name}"
    assert caller.post(path, content=b"x" * 1000).status_code == 200
    refused = caller.post(path, content=b"x" * 1001)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    line = http_client.HTTPSConnection("127.0.0.1", caller.base_url.port, context=_trusting_nobody(), timeout=30)
    line.putrequest("POST", path)
    line.putheader("Content-Length", str(65 * 1024 * 1024))  # of which nothing comes
    line.endheaders()
    assert line.getresponse().status == 413
    line.close()


def _trusting_nobody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
