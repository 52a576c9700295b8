"""Outbound HTTP calls: which addresses may be called, and the call itself.

A user who names an address must not reach services that only this machine can reach: its own, those of its network, or
the metadata service of its cloud. So a name is resolved once, the resolved address is checked, and the connection goes
to the checked address. Redirects are not followed, and proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from urllib.parse import urlsplit

from cloudo_kernel.errors import AddressRefused, MalformedRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The environment variable with the private networks that may be called, separated by commas.
VARIABLE = "CLOUDO_ALLOWED_PRIVATE_NETWORKS"

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
#: From IANA's registries of special addresses, besides those that `ipaddress` knows, which vary with Python's version.
#: In addition 168.63.129.16, where Azure serves its own machines.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)


class CallFailed(Exception):
    """A call could not be made or got no reply; the text is the reason, safe to log."""


def networks(texts: Iterable[str], *, field: str) -> tuple[Network, ...]:
    """Parse networks such as `10.0.0.0/8`. Raises `MalformedRequest`, which names the setting `field`."""
    try:
        return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts if text.strip())
    except ValueError as error:
        raise MalformedRequest(
            f"{field}: {error}. Give networks such as 10.0.0.0/8 or fd00::/8.", field=field
        ) from error


def networks_of_environment() -> tuple[Network, ...]:
    """Return the private networks that the environment allows. Raises `MalformedRequest`."""
    return networks(os.environ.get(VARIABLE, "").split(","), field=VARIABLE)


def check(url: str, allowed: Sequence[Network]) -> None:
    """Raise `AddressRefused` if the host is an address, in any notation, that may not be called."""
    host = urlsplit(url).hostname or ""
    address = literal(host)
    if address is not None and not is_allowed(address, allowed):
        raise AddressRefused(host, str(address))


def literal(host: str) -> Address | None:
    """Return the address that a host stands for, or None if it is a name.

    As in resolvers, IPv4 may be one number, octal or hexadecimal: `2130706433`, `0177.1`, `0x7f.0.0.1`.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Tell whether an address may be called: it is public, or in an allowed network."""
    meant = _meant(address)
    if any(meant in network or address in network for network in allowed):
        return True
    is_odd = meant.is_multicast or meant.is_reserved or meant.is_unspecified or meant.is_loopback or meant.is_link_local
    return meant.is_global and not is_odd and not any(meant in network for network in _SPECIAL)


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allowed: Sequence[Network], timeout_seconds: float
) -> int:
    """Send a body and return the status of the reply; the rest of the reply is not read.

    Raises `AddressRefused`, and `CallFailed` if the call fails or exceeds the timeout in total.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = _resolved(host, port, allowed)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port)
    timer, is_late = None, threading.Event()
    try:
        connection.sock = sock = _connected(addresses, port, host if parts.scheme == "https" else None, timeout_seconds)
        # A timeout for each read would not suffice: a receiver may send one byte at a time.
        timer = threading.Timer(timeout_seconds, _cut, [sock, is_late])
        timer.daemon = True
        timer.start()
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        connection.request("POST", path if path.startswith("/") else f"/{path}", body, dict(headers))
        status = connection.getresponse().status
        if is_late.is_set():  # http.client accepts headers that are cut off by the end of the connection
            raise TimeoutError
        return status
    except (OSError, http.client.HTTPException) as error:
        is_in_time = not (is_late.is_set() or isinstance(error, TimeoutError))
        why = _said(error) if is_in_time else f"there was no reply within {timeout_seconds:g} s"
        raise CallFailed(why) from error
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()


def _resolved(host: str, port: int, allowed: Sequence[Network]) -> list[Address]:
    """Return the addresses of a host that may be called. Raises `AddressRefused`, `CallFailed`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CallFailed(f"the name {host!r} was not found: {_said(error)}") from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found))
    fitting = [address for address in addresses if is_allowed(address, allowed)]
    if not fitting:
        raise AddressRefused(host, ", ".join(map(str, addresses)))
    return fitting


def _connected(addresses: Sequence[Address], port: int, tls_name: str | None, timeout_seconds: float) -> socket.socket:
    """Return a connection to the first address that accepts one, before its TLS handshake."""
    for address in addresses:
        try:
            sock = socket.create_connection((str(address), port), timeout=timeout_seconds / len(addresses))
        except OSError:
            if address == addresses[-1]:
                raise
        else:
            break
    sock.settimeout(timeout_seconds)
    if tls_name is None:
        return sock
    return _tls().wrap_socket(sock, server_hostname=tls_name, do_handshake_on_connect=False)


@cache
def _tls() -> ssl.SSLContext:
    import httpx  # trust the same authorities as the client, including SSL_CERT_FILE

    return httpx.create_ssl_context()


def _cut(sock: socket.socket, is_late: threading.Event) -> None:
    """Shut a connection down while another thread reads from it."""
    is_late.set()
    try:
        # Not the TLS socket's own method, which changes state that the reader is using.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # already closed
        return


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in _NAT64 or (address in _COMPATIBLE and int(address) > 1)):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address if inner is None else inner


def _said(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)[:300]
