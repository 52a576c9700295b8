"""Random secrets go through all that a server does, a kill among it, and are nowhere afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.extension.conftest import client
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, free_port, until

pytestmark = pytest.mark.timeout(180)

Start = Callable[..., RunningServer]

PROTECTS = {"protect_inputs": ["password"], "protect_outputs": ["token"]}
LEAKY = (
    "import os, sys\n"
    "from IPython.display import HTML, JSON, display\n"
    "print(password, repr(password), file=sys.stderr)\n"
    "os.system(f'echo {password}')\n"
    "display(HTML(f'<b>{password}</b>'), JSON({'deep': [password]}), {password: 1})\n"
    "this.log(password, level='warning', named=password)\n"
    "this.save(name=f'run for {password}', message=password)",
    "import getpass, logging, threading, warnings\n"
    "import ipywidgets\n"
    "from IPython.display import clear_output\n"
    "print(password)\n"
    "clear_output()\n"
    "shown = display('x', display_id=True)\n"
    "shown.update({'text/html': password, 'application/x+json': {password: 1}}, raw=True, metadata={'a': password})\n"
    "display(ipywidgets.Text(value=password, description=password))\n"
    "with ipywidgets.Output() as out: print(password)\n"
    "display(out)\n"
    "warnings.warn(password)\n"
    "logging.error(password)\n"
    "try: getpass.getpass(password)\n"
    "except Exception as error: print(repr(error))\n"
    "thread = threading.Thread(target=lambda: {}[password])\n"
    "thread.start()\n"
    "thread.join()\n"
    "get_ipython().set_next_input(password)\n"
    "os.write(1, password.encode())",
    "secret = system.setting('canary').get()\n"
    "print(secret, [setting.get() for setting in system.settings()])\n"
    "this.log(secret)",
    "asked = system.message(f'For {password}', body={'properties': {'pw': {'element': 'password'}}})\n"
    "asked.wait()\n"
    "answer = asked.get('response')['pw']\n"
    "print(answer, asked.get('response'))\n"
    "this.log(answer=answer)",
    "made = bytes.fromhex(coded).decode()\n"
    "print(made)\n"
    "this.log(made)\n"
    "this.show('made', {'text/html': made * 1000, 'text/markdown': secret, 'application/x+json': {made: [password]}})\n"
    "this.set_output('token', made)\n"
    "this.set_output('all', [password, {'secret': secret}, f'<{answer}>', made])\n"
    "this.step(lambda: password + secret)",
    "child = this.flow('child', word=password)\n"
    "print(child.outputs, child.get('input_value'))\n"
    "try:\n"
    "    this.flow('raising', password=password)\n"
    "except Exception as error:\n"
    "    print(error)\n"
    "system.setting('saved.by.flow').save([password])\n"
    "system.schedule('child', {'delay_seconds': 31536000}, inputs={'word': password})",
    "print(this.load('output_value'), this.load('input_value'), this.load('log'))\n"
    "this.success(f'done with {password}')",
)
RAISING = (
    "%xmode Verbose",
    "def connect(key):\n    copy = [key]\n    raise ValueError(f'no entry with {copy!r}')\nconnect(password)",
)


@pytest.fixture(scope="module")
def canary() -> dict[str, str]:
    kinds = ("input", "output", "setting", "answer", "webhook_key", "signing_key")
    return {kind: f"canary-{secrets.token_hex(12)}" for kind in kinds}


def begin(start: Start, workspace: Path) -> RunningServer:
    return start(workspace, "--log-level=DEBUG", extensions=WITHOUT_LAB, port=free_port())


def processes_of(server: RunningServer) -> Iterator[str]:
    """Yield what everybody can read of the server's processes."""
    root = psutil.Process(server.process.pid)
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):
            yield f"{process.cmdline()} {process.environ()}"


def waiting_for_answer(http: httpx.Client) -> list[dict[str, Any]]:
    return list(http.get("/message", params={"unanswered": 1}).json()["items"])


def call_webhooks(server: RunningServer, canary: dict[str, str]) -> None:
    """Show the key wherever it may be shown, and a wrong one."""
    url, key = f"{server.url}cloudo/webhook/hook", canary["webhook_key"]
    with client(server, token=None) as nobody:
        replies = [
            nobody.post(url, headers={"X-Cloudo-Key": key}),
            nobody.get(url, params={"key": key}),
            nobody.get(f"{url}?%6bey={key}"),
            nobody.post(url, json={"key": key, "x": 1}),
        ]
        assert [reply.status_code for reply in replies] == [200] * 4
        assert nobody.get(url, params={"key": canary["input"]}).status_code == 404
        assert "canary" not in "".join(reply.text for reply in replies)


def prepare(http: httpx.Client, canary: dict[str, str]) -> None:
    assert http.put("/setting/canary", json={"value": canary["setting"], "secret": True}).status_code == 200
    hook = {"name": "hook", "flow_name": "hooked", "key": canary["webhook_key"]}
    signed = {"name": "signed", "flow_name": "hooked", "key": canary["signing_key"], "signature": "github"}
    for body in (hook, signed):
        assert http.post("/webhook", json=body).status_code == 201
    defined = {"flow_name": "hooked", "key": canary["webhook_key"]}
    assert http.put("/setting/client.webhook.other", json={"value": defined}).status_code == 200


def test_no_secret_is_anywhere_after_all_was_done_with_it(start: Start, tmp_path: Path, canary: dict[str, str]) -> None:
    write_flow(
        tmp_path, "leaky", *LEAKY, parameters="password: str\ncoded: str", metadata={**PROTECTS, "durable": True}
    )
    write_flow(tmp_path, "child", "print(word)\nthis.set_output('word', word)", parameters="word: str")
    after = {**PROTECTS, "on_error": "after", "retries": 1}
    write_flow(tmp_path, "raising", *RAISING, parameters="password: str", metadata=after)
    write_flow(tmp_path, "after", "print(this.get('input_value'))")
    write_flow(tmp_path, "hooked", "print(this.get('input_value'))\nthis.set_output('token', 'x')", metadata=PROTECTS)

    server = begin(start, tmp_path)
    with client(server) as http:
        prepare(http, canary)
        made = http.post("/token", json={"name": "ci", "actions": ["read", "execution:start"]}).json()
        canary["token"] = made["secret"]
    with client(server, token=canary["token"]) as http:
        inputs = {"password": canary["input"], "coded": canary["output"].encode().hex()}
        started = http.post(
            "/execution", json={"flow_name": "leaky", "inputs": inputs}, headers={"Idempotency-Key": "1"}
        ).json()
        until(lambda: waiting_for_answer(http), seconds=60, what=lambda: server.log.read_text()[-5000:])
        seen = "".join(processes_of(server))
    server.process.kill()
    server.process.wait()

    second = begin(start, tmp_path)
    with client(second) as http:
        [message] = waiting_for_answer(http)
        answered = http.post(f"/message/{message['id']}/response", json={"response": {"pw": canary["answer"]}})
        assert answered.status_code == 200, answered.text
        record = f"/execution/{started['id']}"
        until(lambda: http.get(record).json()["ended_at"], seconds=60, what=lambda: http.get(record).text)
        ended = http.get(record).json()
        assert ended["status"] == "ENDED_SUCCESS", ended["error"]
        assert ended["attempt"] > 1
        assert ended["message"] == "done with •••"
        assert ended["output_value"] == {"token": "•••", "all": ["•••", {"secret": "•••"}, "<•••>", "•••"]}
        seen += "".join(processes_of(second))
        call_webhooks(second, canary)
        executions = http.get("/execution").json()["items"]
        assert {"leaky", "child", "raising", "after", "hooked"} <= {one["flow_name"] for one in executions}
        parts = ("", "/log", "/notebook", "/notebook?format=html", "/children", "/source", "/results", "/results/made")
        read = [http.get(f"/execution/{one['id']}{part}").text for one in executions for part in parts]
        lists = ("execution", "message", "setting", "token", "schedule", "webhook", "webhook/hook/delivery", "flow")
        read += [http.get(f"/{path}").text for path in lists]
        read += [http.get(f"{record}/results/made", params={"format": "html"}).text]
        assert http.get(f"{record}/results/made").json()["data"]["application/x+json"] == {"•••": ["•••"]}
        read += [http.get("/event", params={"after": 0, "limit": 500}).text]
    second.stop()
    found = {"processes": seen, "replies": "".join(read)}
    found |= {str(one.log): one.log.read_text() for one in (server, second)}
    kept = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for kind, secret in canary.items():
        assert [where for where, text in found.items() if secret in text] == [], kind
        assert [where for where, content in kept.items() if secret.encode() in content] == [], kind
    assert "•••" in found["replies"]
