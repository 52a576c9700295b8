"""A store with secrets whose key file is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import httpx
import pytest

from cloudo_kernel.errors import SecretLost
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.server import RunningServer, until


def cloudo(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cloudo_kernel", "--workspace", str(workspace.root), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ, input="x", timeout=60)


def test_a_lost_key_is_not_replaced_and_what_needs_none_works(
    workspace: Workspace, store: Store, api: Service, start_server: Callable[..., RunningServer]
) -> None:
    api.save_setting("bank.key", "4711", secret=True)
    key = workspace.key_file.read_bytes()
    workspace.key_file.unlink()
    server = start_server(workspace.root)
    with httpx.Client(headers={"Authorization": f"token {server.token}"}, timeout=60) as http:
        http.base_url = f"{server.api}/"  # httpx makes a URL of it
        assert http.get("setting/bank.key").json()["value"] == "•••"
        assert http.post("execution", json={"flow_name": "quick", "wait": 60}).json()["status"] == "ENDED_SUCCESS"
        refused = http.put("setting/other", json={"value": "x", "secret": True})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "secret_lost")
        assert "Put the file back from its backup" in refused.json()["error"]["message"]
        assert http.get("setting/other").status_code == 404
        until(lambda: "is missing, and the store holds secrets" in server.log.read_text())
        by_shell = cloudo(workspace, "settings", "set", "other", "--secret")
        assert (by_shell.returncode, by_shell.stdout) == (1, "")
        assert "is missing, and the store holds secrets" in by_shell.stderr
        assert "Traceback" not in by_shell.stderr
        assert not workspace.key_file.exists()
        workspace.key_file.write_bytes(key)
        assert http.put("setting/other", json={"value": "x", "secret": True}).status_code in (200, 201)
    assert Service(store, api._catalog, user_name="ada").revealed_setting("bank.key").value == "4711"


def test_doctor_finds_a_lost_key(workspace: Workspace, api: Service) -> None:
    api.save_setting("bank.key", "4711", secret=True)
    workspace.key_file.unlink()
    done = cloudo(workspace, "doctor")
    assert done.returncode == 1
    assert "is missing, and the store holds secrets" in done.stdout
    with closing(Store.open(workspace.database_url)) as store, pytest.raises(SecretLost, match="is missing"):
        store.encryption.encrypt(b"x")
