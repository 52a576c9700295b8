"""Finds Cloudo: a running server, else the workspace's store with a private worker."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cloudo_kernel.api import Api
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import Origin
from cloudo_kernel.workspace.layout import Workspace


class FoundServer(NamedTuple):
    """The server that `connect` uses."""

    url: str
    token: str | None
    #: Whether it is known to run on this machine. If so, requests to it bypass proxies.
    is_local: bool


def connect(
    where: str | Path | None = None,
    *,
    token: str | None = None,
    trigger: Origin = Origin.CELL,
    keep_running: bool = False,
) -> Api:
    """Return an `Api`.

    `where` is a server's URL or a workspace's folder. Without it, the first of these is used: `CLOUDO_URL`, the server
    that started this kernel, a running server with the workspace as its root, the workspace's store.

    With the store, a private worker process runs the executions started here and their children. It ends with this
    process, or with `keep_running` once it has finished them.
    """
    if server := find_server(where, token=token):
        from cloudo_kernel.client import Client  # imported late: httpx takes 0.2 s

        return Client(server.url, token=server.token, trigger=trigger, is_local=server.is_local)
    if token is not None:
        raise MalformedRequest("A token is for a server, and no server is running here.", field="token")
    from cloudo_kernel.service.local import LocalService  # imported late: SQLAlchemy takes 0.3 s

    return LocalService(Workspace.at(where), trigger=trigger, keep_running=keep_running)


def find_server(where: str | Path | None = None, *, token: str | None = None) -> FoundServer | None:
    """Return the server that `connect` uses, None if it uses the store itself."""
    if where is not None and urlsplit(str(where)).scheme in {"http", "https"}:
        return _address(str(where), token)
    if where is None:
        if url := os.environ.get("CLOUDO_URL"):
            return _address(url, token)
        if server := _parent_server():
            return FoundServer(server["url"], token or server["token"], is_local=True)
    if server := server_of(Workspace.at(where)):
        return FoundServer(server["url"], token or server["token"], is_local=True)
    return None


def running_servers() -> list[dict[str, Any]]:
    """Return the contents of the `jpserver-*.json` files of this user's running Jupyter servers."""
    from jupyter_core.paths import jupyter_runtime_dir

    found = []
    for path in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            server = json.loads(path.read_text())
            os.kill(server["pid"], 0)
            server["root_dir"], server["url"], server["token"]
        except (OSError, ValueError, KeyError):
            continue
        found.append(server)
    return found


def server_of(workspace: Workspace) -> dict[str, Any] | None:
    """Return the running server that has Cloudo and has this workspace as its root, or None."""
    for server in running_servers():
        if Path(server["root_dir"]).resolve() == workspace.root and _has_cloudo(server):
            return server
    return None


def _address(url: str, token: str | None) -> FoundServer:
    """Return the server at `url`, which may be the dashboard's URL from the browser, including the token."""
    parts = urlsplit(url)
    [*_, written] = parse_qs(parts.query).get("token", [None])
    base = parts._replace(path=parts.path.partition("/cloudo")[0], query="", fragment="").geturl()
    has_proxies = any(name.lower().endswith("_proxy") for name in os.environ)
    is_local = has_proxies and parts.netloc in {urlsplit(server["url"]).netloc for server in running_servers()}
    return FoundServer(base, token or written or _token_at_hand(), is_local)


def _token_at_hand() -> str | None:
    """Return the token in the file that `CLOUDO_TOKEN_FILE` names, or `CLOUDO_TOKEN`.

    Raises `MalformedRequest` if the file cannot be read.
    """
    path = os.environ.get("CLOUDO_TOKEN_FILE")
    if not path:
        return os.environ.get("CLOUDO_TOKEN")
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise MalformedRequest(
            f"CLOUDO_TOKEN_FILE names {path}, which cannot be read: {reason}. Correct the variable, or unset it and "
            "set CLOUDO_TOKEN.",
            field="token",
        ) from error


def is_parent_server(url: str) -> bool:
    """Tell whether the server that started this kernel has this URL."""
    server = _parent()
    return server is not None and server["url"] == url


def _parent_server() -> dict[str, Any] | None:
    """Return the server that started this kernel, if it has Cloudo."""
    server = _parent()
    return server if server is not None and _has_cloudo(server) else None


def _parent() -> dict[str, Any] | None:
    parent = os.environ.get("JPY_PARENT_PID")
    return next((server for server in running_servers() if str(server["pid"]) == parent), None)


def _has_cloudo(server: dict[str, Any]) -> bool:
    """Tell whether the server has the extension."""
    import urllib.request

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not reach this machine
    try:
        with direct.open(f"{server['url']}cloudo/api/1/alive", timeout=5) as reply:
            return bool(json.loads(reply.read())["alive"])
    except (OSError, ValueError, KeyError):
        return False
