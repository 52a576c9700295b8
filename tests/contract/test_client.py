"""What only the client can meet: no server, another server, a line that breaks, a server that restarts."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cloudo_kernel import errors
from cloudo_kernel.client import Client
from cloudo_kernel.client import waiting as module
from cloudo_kernel.discovery import connect, running_servers
from cloudo_kernel.models import ExecutionFilter, StartExecution, Status
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, free_port


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start


@pytest.fixture(scope="module")
def server(start: Callable[..., RunningServer]) -> RunningServer:
    server = start(None, "--ServerApp.ip=0.0.0.0")  # so that its own address of it has the name of the machine
    write_flow(server.workspace, "quick", "1")
    return server


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_server_of_this_machine_is_found_and_asked_without_a_proxy(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.runtime))
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    [running] = running_servers()
    assert urlsplit(running["url"]).hostname not in ("localhost", "127.0.0.1")
    for where in (server.workspace, f"{running['url']}cloudo/?token={server.token}", server.url):
        found = connect(where, token=server.token)
        assert isinstance(found, Client)
        with found:
            assert found.health().version
    with pytest.raises(errors.Unavailable, match=r"No server answers|proxy"), Client("http://192.0.2.1/") as away:
        away.health()


def test_where_no_server_is_the_error_names_the_address_and_the_cure() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with Client(url) as client, pytest.raises(errors.Unavailable) as caught:
        client.flows()
    assert url in str(caught.value)
    assert "cloudo up" in str(caught.value)


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if "flow" in self.path else 200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_args: object) -> None:
        pass


def test_a_token_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing, binary = tmp_path / "gone", tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path, reason in ((missing, "No such file"), (binary, "not text")):
        monkeypatch.setenv("CLOUDO_TOKEN_FILE", str(path))
        with pytest.raises(errors.MalformedRequest, match=f"CLOUDO_TOKEN_FILE names {path}.*{reason}"):
            connect("http://127.0.0.1:9/")


def test_a_server_that_is_not_cloudo_is_told_apart() -> None:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as stranger:
        thread = threading.Thread(target=stranger.serve_forever)
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{stranger.server_port}") as client:
                for ask in (client.flows, client.user):
                    with pytest.raises(errors.Unavailable, match="not like Cloudo"):
                        ask()
        finally:
            stranger.shutdown()
            thread.join()


def test_a_wrong_token_is_no_permission(server: RunningServer) -> None:
    with server.client(token="wrong") as client, pytest.raises(errors.PermissionDenied):
        client.flows()


class Line:
    """A line to a server that breaks after the request has gone through, before its reply comes back."""

    def __init__(self, server: RunningServer, *, breaks: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = int(server.url.rstrip("/").rpartition(":")[2])
        self._breaks = breaks
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", self._port)) as far:
                far.settimeout(10)
                far.sendall(_whole_request(near))
                reply = far.recv(65536)
                if self._breaks:
                    self._breaks -= 1
                    continue
                near.sendall(reply)
                near.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)


def _whole_request(near: socket.socket) -> bytes:
    request = b""
    while not (found := re.search(rb"(?i)^(.*?)\r\n\r\n(.*)$", request, re.DOTALL)):
        request += near.recv(65536)
    length = re.search(rb"(?i)content-length: (\d+)", found[1])
    missing = int(length[1]) - len(found[2]) if length else 0
    while missing > 0:
        piece = near.recv(65536)
        request, missing = request + piece, missing - len(piece)
    return request


@pytest.fixture
def line(server: RunningServer) -> Iterator[Line]:
    line = Line(server, breaks=1)
    yield line
    line.close()


def test_a_start_whose_reply_was_lost_starts_one_execution(server: RunningServer, line: Line) -> None:
    with Client(line.url, token=server.token) as client:
        request = StartExecution(flow_name="quick", name="lost and found", delay_seconds=1e6)
        started = client.start_execution(request)
    with server.client() as client:
        (found,) = client.executions(ExecutionFilter(q="lost and found")).items
    assert found.id == started.id


def test_reading_is_tried_again_and_deleting_is_not(server: RunningServer, line: Line) -> None:
    with Client(line.url, token=server.token) as client:
        assert client.user().name
        line._breaks = 1
        with pytest.raises(errors.Unavailable, match="See whether it did"):
            client.delete_setting("none")


def test_a_wait_outlasts_a_restart_of_the_server(
    server: RunningServer, start: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.client() as client, ThreadPoolExecutor(1) as threads:
        execution = client.start_execution(StartExecution(flow_name="quick", delay_seconds=1e6))
        wait = threads.submit(client.wait, execution.id)
        server.stop()
        port = int(server.url.rstrip("/").rpartition(":")[2])
        again = start(server.workspace, token=server.token, port=port)
        with again.client() as other:
            other.cancel_execution(execution.id)
            assert wait.result(timeout=30).status is Status.ENDED_CANCELLED
            unended = other.start_execution(StartExecution(flow_name="quick", delay_seconds=1e6))
            monkeypatch.setattr(module, "_ABSENCE_SECONDS", 0.5)
            wait = threads.submit(client.wait, unended.id, timeout=timedelta(seconds=30))
            while not other.executions(ExecutionFilter(status=(Status.PENDING,))).items:
                pass
            again.stop()
            with pytest.raises(errors.Unavailable):
                wait.result(timeout=60)
