"""`cloudo webhooks` and `cloudo webhook` as people use them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloudo_kernel.cli.webhook import SCHEMES
from cloudo_kernel.models import SignatureScheme
from tests.acceptance.shell import Shell
from tests.flows import write_script
from tests.server import CAN_FORK, WITHOUT_LAB, RunningServer, start_server

ECHO = "def handler(system, this):\n    this.set_output('got', this.get('input_value')['json'])\n"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("home"))
    write_script(shell.workspace, "on_push", ECHO)
    return shell


@pytest.fixture(scope="module")
def server(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = start_server(
        shell.workspace, tmp_path_factory.mktemp("server"), extensions=WITHOUT_LAB, is_forked=CAN_FORK
    )
    shell.environment |= {"CLOUDO_URL": server.url, "CLOUDO_TOKEN": server.token}
    yield server
    server.stop()


def test_one_is_made_called_listed_replayed_and_deleted(shell: Shell, server: RunningServer) -> None:
    made = shell.run("webhook", "create", "deploy", "--flow", "on_push", "--signature", "github")
    assert made.returncode == 0, made
    [url, key] = [line.split()[1] for line in made.stdout.splitlines()]
    assert url == f"{server.url}cloudo/webhook/deploy"
    body = b'{"ref": "main"}'
    signature = hmac.new(key.encode(), body, "sha256").hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    assert httpx.post(url, content=body, headers=headers, timeout=60).json()["output_value"] == {"got": {"ref": "main"}}
    assert shell.run("webhooks").stdout.splitlines()[1].split() == [
        "deploy",
        "on_push",
        shell.json("webhooks")[0]["user_name"],
        "github",
        "enabled",
    ]
    shown = shell.run("webhook", "show", "deploy").stdout
    assert url in shown
    assert key not in shown
    [delivery] = shell.json("webhook", "deliveries", "deploy")
    assert delivery["execution_id"][-8:] in shell.run("webhook", "deliveries", "deploy").stdout
    assert "Started on_push" in shell.run("webhook", "replay", "deploy", delivery["id"]).stdout
    assert shell.run("webhook", "disable", "deploy").stdout == "deploy is disabled.\n"
    assert httpx.post(url, content=body, headers=headers).status_code == 404
    assert shell.run("webhook", "enable", "deploy").stdout == "deploy is enabled.\n"
    assert shell.run("webhook", "delete", "deploy").stdout == "deploy is deleted.\n"
    assert shell.json("webhooks") == []


def test_what_is_special_of_a_sender_is_said_in_options(shell: Shell, server: RunningServer, tmp_path: Path) -> None:
    assert set(SCHEMES) == {scheme.value for scheme in SignatureScheme}
    (tmp_path / "secret").write_text("the secret of square")
    made = shell.json(
        *("webhook", "create", "paid", "--flow", "on_push", "--signature", "square", "--raw", "--sync-timeout", "60"),
        *("--key-from", str(tmp_path / "secret"), "--public-url", "https://hooks.example.com/paid"),
        *("--origin", "https://shop.example.com", "--challenge-parameter", "echo"),
    )
    assert {name: made[name] for name in ("delivery_id", "public_url", "allowed_origins", "raw")} == {
        "delivery_id": "$.event_id",
        "public_url": "https://hooks.example.com/paid",
        "allowed_origins": ["https://shop.example.com"],
        "raw": True,
    }
    body = b'{"event_id": "e-1"}'
    digest = hmac.digest(b"the secret of square", b"https://hooks.example.com/paid" + body, "sha256")
    headers = {"x-square-hmacsha256-signature": base64.b64encode(digest).decode(), "Content-Type": "application/json"}
    url = f"{server.url}cloudo/webhook/paid"
    first, again = (httpx.post(url, content=body, headers=headers, timeout=60).json() for _ in range(2))
    assert first["output_value"] == {"got": {"event_id": "e-1"}}
    assert again["id"] == first["id"]
    assert httpx.get(url, params={"echo": "a word"}).text == "a word"
    shell.run("webhook", "delete", "paid")


def test_a_key_comes_from_a_file_and_what_does_not_fit_is_named(
    shell: Shell, server: RunningServer, tmp_path: Path
) -> None:
    del server
    (tmp_path / "secret").write_text("correct-horse-battery\n")
    (tmp_path / "empty").write_text("\n")
    made = shell.json("webhook", "create", "a", "--flow", "on_push", "--key-from", str(tmp_path / "secret"))
    assert (made["key"], made["has_key"]) == ("correct-horse-battery", True)
    assert shell.json("webhook", "create", "b", "--flow", "on_push", "--no-key")["key"] is None
    for words, code, told in (
        (("a", "--flow", "on_push"), 1, "already a webhook"),
        (("c", "--flow", "nope"), 1, "no flow"),
        (("c d", "--flow", "on_push"), 2, "name"),
        (("c", "--flow", "on_push", "--network", "here"), 2, "not a network"),
        (("c", "--flow", "on_push", "--no-key", "--signature", "github"), 2, "--no-key"),
        (("c", "--flow", "on_push", "--signature", "hmac-sha256"), 1, "signature_header"),
        (("c", "--flow", "on_push", "--signature", "stripe"), 2, "--key-from"),
        (("c", "--flow", "on_push", "--origin", "https://a/b"), 2, "allowed_origins"),
        (("c", "--flow", "on_push", "--key-from", str(tmp_path / "empty")), 2, "is empty"),
        (("c", "--flow", "on_push", "--delivery-id", "$.a b c["), 2, "delivery_id"),
    ):
        done = shell.run("webhook", "create", *words)
        assert (done.returncode, told in done.stderr) == (code, True), done
