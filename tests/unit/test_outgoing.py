"""Which addresses outside may be called, and that the call goes to the address that was checked; over real sockets."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel.errors import AddressRefused, MalformedRequest
from cloudo_kernel.security import outbound_http
from cloudo_kernel.security.outbound_http import CallFailed
from tests.certificate import certificate
from tests.receiver import Receiver, receiving
from tests.server import free_port

HERE = outbound_http.networks(["127.0.0.0/8", "::1"], field="test")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def post(url: str, allowed: Any = HERE, timeout_seconds: float = 10) -> int:
    return outbound_http.post(url, b"{}", {"X-Word": "hello"}, allowed=allowed, timeout_seconds=timeout_seconds)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "127.255.255.254", "2130706433", "017700000001", "0x7f.1", "0x7f000001", "0"),
        *("0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200", "192.0.2.1"),
        *("169.254.169.254", "2852039166", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[fe80::1]"),
        *("[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]"),
        *("[2001:db8::1]", "[fec0::1]", "[2001::1]", "[100::1]"),
    ],
)
def test_addresses_that_are_not_of_the_public_internet_are_refused(host: str) -> None:
    with pytest.raises(AddressRefused, match="allowed_private_networks"):
        outbound_http.check(f"http://{host}/", ())
    with pytest.raises(AddressRefused):
        post(f"http://{host}:1/", allowed=())


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:4700:4700::1111]", "[::ffff:8.8.8.8]", "example.com"])
def test_public_addresses_and_names_pass_the_door(host: str) -> None:
    outbound_http.check(f"https://{host}/hook", ())


@pytest.mark.parametrize("url", ["http://localhost:{}/", "http://LOCALHOST:{}/"])
def test_a_name_that_stands_for_this_machine_is_refused_at_the_call(receiver: Receiver, url: str) -> None:
    url = url.format(receiver.url.rsplit(":", 1)[1].strip("/"))
    outbound_http.check(url, ())
    with pytest.raises(AddressRefused, match=r"\(.*127\.0\.0\.1.*\) may not be called"):
        post(url, allowed=())
    assert receiver.received == []
    assert post(url) == 204


def test_private_networks_are_called_where_they_are_allowed(receiver: Receiver) -> None:
    assert post(receiver.url + "hook?a=1#part") == 204
    assert post(receiver.url[:-1]) == 204
    assert [one.path for one in receiver.received] == ["/hook?a=1", "/"]
    assert receiver.received[0].headers["x-word"] == "hello"
    assert receiver.received[0].headers["host"] == receiver.url.removeprefix("http://").strip("/")
    mapped = ipaddress.ip_address("::ffff:10.1.2.3")
    assert outbound_http.is_allowed(mapped, outbound_http.networks(["10.0.0.0/8"], field="test"))
    assert not outbound_http.is_allowed(mapped, HERE)
    with pytest.raises(MalformedRequest, match=r"such as 10\.0\.0\.0/8"):
        outbound_http.networks(["here"], field="c.x")


def test_a_name_is_resolved_once_and_what_was_checked_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = int(receiver.url.rsplit(":", 1)[1].strip("/")), []

    def changing(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: (changing if host == "rebinding.example" else real)(host, *a, **k)
    )
    assert post(f"http://rebinding.example:{port}/") == 204
    assert asked == ["rebinding.example"]
    assert receiver.received[0].headers["host"] == f"rebinding.example:{port}"
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        post(f"http://rebinding.example:{port}/")


def test_redirections_are_not_followed(receiver: Receiver) -> None:
    receiver.answer, receiver.headers = lambda _: 307, {"Location": receiver.url + "elsewhere"}
    assert post(receiver.url) == 307
    assert len(receiver.received) == 1


def test_a_receiver_that_says_nothing_is_left_in_time(receiver: Receiver) -> None:
    is_over = threading.Event()
    receiver.answer = lambda _: is_over.wait(30) and None
    with pytest.raises(CallFailed, match=r"no reply within 0\.2 s"):
        post(receiver.url, timeout_seconds=0.2)
    is_over.set()


def test_a_receiver_that_says_one_letter_at_a_time_is_left_in_time() -> None:
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not is_over.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(CallFailed, match=r"no reply within 0\.5 s"):
            post(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_seconds=0.5)
        is_over.set()
        thread.join()


def test_what_is_no_reply_is_a_failure(receiver: Receiver) -> None:
    receiver.answer = lambda _: None
    with pytest.raises(CallFailed, match="closed connection"):
        post(receiver.url)
    with pytest.raises(CallFailed, match="refused"):
        post(f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(CallFailed, match=r"'no\.such\.invalid' was not found"):
        post("http://no.such.invalid/")


def test_tls_is_checked_against_the_name_that_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, context = certificate(tmp_path)
    with receiving(tls=context) as receiver:
        by_name = receiver.url.replace("127.0.0.1", "localhost")
        outbound_http._tls.cache_clear()
        with pytest.raises(CallFailed, match=r"(?i)certificate.verify.failed"):
            post(by_name)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        outbound_http._tls.cache_clear()
        assert post(by_name) == 204
        with pytest.raises(CallFailed, match="IP address mismatch"):
            post(receiver.url)
        outbound_http._tls.cache_clear()
    assert len(receiver.received) == 1
