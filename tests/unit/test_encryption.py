"""Secrets that have to be readable again."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.forms import form
from cloudo_kernel.models import MessageLevel
from cloudo_kernel.security import encryption
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store import NewMessage, Store
from cloudo_kernel.workspace.layout import Workspace


def test_a_secret_comes_back_and_only_with_its_key(tmp_path: Path) -> None:
    mine = Encryption(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    sealed = mine.encrypt(b"secret")
    assert "secret" not in sealed
    assert Encryption(tmp_path / "key").decrypt(sealed) == b"secret"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    with pytest.raises(errors.SecretLost, match="another key"):
        Encryption(tmp_path / "other").decrypt(sealed)


def test_all_who_need_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    everybody = [Encryption(tmp_path / "key") for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        sealed = list(threads.map(lambda one: one.encrypt(b"x"), everybody))
    assert {Encryption(tmp_path / "key").decrypt(one) for one in sealed} == {b"x"}


def test_all_get_the_same_key_on_a_file_system_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All find no key first, and then name the one they made."""
    everyone = threading.Barrier(16)

    def refuse(*_paths: Path) -> None:
        everyone.wait(timeout=10)
        raise PermissionError("this file system has no hard links")

    monkeypatch.setattr(os, "link", refuse)
    with ThreadPoolExecutor(16) as threads:  # not through `Encryption`, whose cached property lets one thread in
        keys = set(threads.map(lambda _: encryption._read_or_make(tmp_path / "key"), range(16)))
    assert keys == {(tmp_path / "key").read_bytes()}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("nonsense")
    with pytest.raises(errors.Unavailable, match="key file"):
        Encryption(tmp_path / "key").encrypt(b"x")
    with pytest.raises(errors.Unavailable, match="CLOUDO_KEY_FILE"):
        Encryption(None).encrypt(b"x")


def test_a_password_in_an_answer_is_not_in_the_database(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.create()
    store = Store.open(workspace.database_url)
    body = form.checked_body({"properties": {"password": {"element": "password"}}})
    new: dict[str, Any] = {"body": body, "level": MessageLevel.INFO, "execution_id": None, "user_name": "ada"}
    store.messages.insert(NewMessage(id="m", subject="?", **new))
    store.messages.answer("m", {"password": "open sesame"}, masks={"password": "•••"}, user_name="ada")
    assert store.messages.revealed("m").response == {"password": "open sesame"}
    store.close()
    for file in workspace.state.iterdir():
        assert b"open sesame" not in file.read_bytes(), file
    assert workspace.key_file == workspace.state / "key"
    assert workspace.key_file.exists()
