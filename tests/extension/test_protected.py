"""Protected inputs and outputs, over HTTP and through real kernels: only the flow has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of
from tests.flows import write_flow
from tests.server import RunningServer, until

pytestmark = pytest.mark.timeout(120)

SECRET = "s3cret é\"'canary"
PROTECTS = {"protect_inputs": ["password", "pin"], "protect_outputs": ["token"]}


def run(http: httpx.Client, flow_name: str, **more: Any) -> dict[str, Any]:
    reply = http.post("/execution", json={"flow_name": flow_name, "wait": 60, **more})
    assert reply.status_code == 201, reply.text
    assert "canary" not in reply.text
    return dict(reply.json())


def all_of(http: httpx.Client, server: RunningServer, execution: dict[str, Any]) -> str:
    """Return all that can be read of an execution."""
    path = f"/execution/{execution['id']}"
    texts = [
        http.get(f"{path}{part}").text
        for part in ("", "/log", "/log?streams=1", "/cells", "/notebook", "/notebook?format=html")
    ]
    texts += [http.get("/execution").text, http.get("/event", params={"after": 0, "limit": 500}).text]
    return "".join(texts) + Path(server.workspace, execution["notebook"]).read_text()


def test_a_flow_has_its_protected_input_and_nobody_sees_it(http: httpx.Client, server: RunningServer) -> None:
    write_flow(
        server.workspace,
        "login",
        "print(password, repr(password), pin)",
        "this.log('with', password=password)\nthis.save(message=f'for {password}')",
        "this.set_output('says', [password, {'n': len(password)}])\nthis.set_output('length', len(password))",
        "print(this.get('output_value'), this.load('input_value'))\n"
        "made = 'yranac-fo-edam'[::-1]\nprint(made)\nthis.log(made)\nthis.set_output('token', made)",
        "print(this.load('output_value')['token'])\nthis.log(made)\nthis.set_output('pin', pin + 1)",
        "if not (this.get('output_value')['says'][0] == this.load('input_value')['password'] == password):\n"
        "    raise ValueError('it is not what it was')",
        parameters="password: str\npin: int = 0",
        metadata=PROTECTS,
    )
    done = run(http, "login", inputs={"password": SECRET, "pin": 12})
    assert done["status"] == "ENDED_SUCCESS", done["error"]
    assert done["input_value"] == {"password": "•••", "pin": "•••"}
    says = ["•••", {"n": len(SECRET)}]
    assert done["output_value"] == {"says": says, "length": len(SECRET), "token": "•••", "pin": 13}
    assert done["message"] == "for •••"
    read = all_of(http, server, done)
    assert "canary" not in read
    assert 'password = "•••"' in json.loads(http.get(f"/execution/{done['id']}/notebook").text)["cells"][1]["source"]
    again = http.post(f"/execution/{done['id']}/retry", json={"inputs": {"password": "•••", "pin": 13}}).json()
    ended = http.get(f"/execution/{again['id']}").json()
    assert ended["input_value"] == {"password": "•••", "pin": "•••"}
    flow = http.get("/flow/login").json()
    assert flow["input_schema"]["properties"]["password"]["writeOnly"] is True


def test_what_a_protected_input_does_not_fit_is_not_shown(http: httpx.Client, server: RunningServer) -> None:
    write_flow(server.workspace, "pinned", "pin", parameters="pin: int", metadata=PROTECTS)
    for wrong in ("canary", "•••"):
        reply = http.post("/execution", json={"flow_name": "pinned", "inputs": {"pin": wrong}})
        assert (reply.status_code, error_of(reply)["field"]) == (422, "pin")
        assert "canary" not in reply.text


def test_an_error_tells_nothing_of_a_secret(http: httpx.Client, server: RunningServer) -> None:
    write_flow(
        server.workspace,
        "raising",
        "%xmode Verbose",
        "def connect(key):\n    raise ValueError(f'no entry with {key!r}')\nconnect(password)",
        parameters="password = ''",
        metadata={**PROTECTS, "on_error": "after"},
    )
    write_flow(
        server.workspace,
        "after",
        "print(error)",
        parameters="execution_id: str\nerror: dict\nmessage: str\nflow_name: str",
    )
    failed = run(http, "raising", inputs={"password": SECRET})
    assert failed["error"]["value"].startswith("no entry with")
    assert "canary" not in all_of(http, server, failed)


def test_a_child_and_a_schedule_hide_what_they_are_given(http: httpx.Client, server: RunningServer) -> None:
    write_flow(
        server.workspace, "child", "this.set_output('token', word[::-1])", parameters="word: str", metadata=PROTECTS
    )
    write_flow(
        server.workspace,
        "parent",
        "child = this.flow('child', word=password)\nassert child.get('output_value')['token'] == password[::-1]",
        "print(child.get('output_value'), this.get('input_value'))",
        "made = system.schedule('child', {'delay_seconds': 31536000}, inputs={'word': password})",
        "this.set_output('schedule', made.id)\nsystem.message(f'It is {password}')",
        "system.setting('kept.password').save(password)",
        parameters="password = ''",
        metadata=PROTECTS,
    )
    done = run(http, "parent", inputs={"password": SECRET})
    assert done["status"] == "ENDED_SUCCESS", done["error"]
    read = all_of(http, server, done)
    [child] = http.get(f"/execution/{done['id']}/children").json()["items"]
    assert child["input_value"] == {"word": "•••"}
    assert child["output_value"] == {"token": "•••"}
    read += all_of(http, server, child)
    schedule = f"/schedule/{done['output_value']['schedule']}"
    shown = http.get(schedule)
    assert shown.json()["inputs"] == {"word": "•••"}
    assert shown.json()["broken"] is None
    changed = http.patch(schedule, json={"inputs": {"word": "•••"}, "name": "kept"})
    assert changed.status_code == 200, changed.text
    started = http.post(f"{schedule}/trigger").json()
    ended = http.get(f"/execution/{started['id']}").json()
    assert ended["input_value"]["word"] == "•••"
    read += shown.text + changed.text + http.get("/message").text + http.get("/setting").text
    assert http.get("/setting/kept.password").json()["secret"] is True
    assert "canary" not in read
    assert SECRET[::-1] not in read


def test_the_protected_inputs_in_an_answer_are_for_the_flow_alone(http: httpx.Client, server: RunningServer) -> None:
    write_flow(server.workspace, "secretive", "1", parameters="password: str\nn: int = 1", metadata=PROTECTS)
    write_flow(
        server.workspace,
        "asks",
        "form = {'properties': {'given': {'element': 'inputs', 'flow_name': 'secretive'}}}",
        "given = system.message('Which?', form).wait().get('response')['given']\nprint(given)",
        "this.set_output('length', len(given['password']))\nthis.set_output('n', given['n'])",
    )
    started = http.post("/execution", json={"flow_name": "asks"}).json()
    query = {"execution_id": started["id"], "unanswered": True}
    until(lambda: http.get("/message", params=query).json()["items"], seconds=60)
    [asked] = http.get("/message", params=query).json()["items"]
    answer = {"response": {"given": {"password": SECRET, "n": 777}}}
    reply = http.post(f"/message/{asked['id']}/response", json=answer)
    assert reply.json()["response"] == {"given": {"password": "•••", "n": 777}}
    until(lambda: http.get(f"/execution/{started['id']}").json()["status"] == "ENDED_SUCCESS", seconds=60)
    done = http.get(f"/execution/{started['id']}").json()
    assert done["output_value"] == {"length": len(SECRET), "n": 777}
    read = reply.text + all_of(http, server, done) + http.get(f"/message/{asked['id']}").text
    assert "777" in read
    assert "canary" not in read


def test_the_same_protected_start_is_one_and_its_key_tells_nothing(http: httpx.Client, server: RunningServer) -> None:
    write_flow(server.workspace, "once", "1", parameters="password = ''", metadata=PROTECTS)
    body = {"flow_name": "once", "inputs": {"password": SECRET}}
    headers = {"Idempotency-Key": "one"}
    first, second = (http.post("/execution", json=body, headers=headers).json() for _ in range(2))
    assert first["id"] == second["id"]
    other = http.post("/execution", json={**body, "inputs": {"password": "another"}}, headers=headers)
    assert other.status_code == 409


def test_a_webhook_leaves_protected_values_out_and_keeps_its_own(http: httpx.Client, server: RunningServer) -> None:
    code = "this.set_output('token', 'canary-token')\nthis.set_output('n', len(password))"
    answer = "if answers: this.webhook_response(password)"
    write_flow(server.workspace, "hooked", code, answer, parameters="password: str\nanswers = 0", metadata=PROTECTS)
    key = "a-key-of-twenty-bytes"
    body = {"name": "hooked", "flow_name": "hooked", "key": key, "inputs": {"password": SECRET}}
    made = http.post("/webhook", json=body)
    assert made.status_code == 201, made.text
    changed = http.patch("/webhook/hooked", json={"inputs": made.json()["inputs"]})
    assert changed.json()["inputs"] == {"password": "•••"}
    url = str(http.base_url).replace("/api/1", "/webhook/hooked").rstrip("/")
    with client(server, token=None) as anonymous:
        reply = anonymous.post(url, headers={"X-Cloudo-Key": key})
        assert reply.json()["output_value"] == {"n": len(SECRET)}
        http.patch("/webhook/hooked", json={"inputs": {"password": "•••", "answers": 1}})
        assert anonymous.post(url, headers={"X-Cloudo-Key": key}).text == SECRET  # the flow itself says so
    database = b"".join(path.read_bytes() for path in Path(server.workspace, ".cloudo").glob("cloudo.sqlite*"))
    assert SECRET.encode() not in database
    assert "canary" not in made.text + changed.text + reply.text + http.get("/webhook").text


def test_what_a_webhook_hides_stays_hidden_whatever_it_starts_then(http: httpx.Client, server: RunningServer) -> None:
    write_flow(server.workspace, "guarded", "1", parameters="password: str\njson = None", metadata=PROTECTS)
    write_flow(server.workspace, "open", "print(password)", parameters="password: str\njson = None")
    write_flow(server.workspace, "numbered", "1", parameters="password: int")
    body = {"name": "moving", "flow_name": "guarded", "inputs": {"password": SECRET}}
    assert http.post("/webhook", json=body).status_code == 201
    url = str(http.base_url).replace("/api/1", "/webhook/moving").rstrip("/")
    with client(server, token=None) as anonymous:
        assert anonymous.post(url, json=1).status_code == 200
        refused = http.patch("/webhook/moving", json={"flow_name": "numbered"})
        assert (refused.status_code, error_of(refused)["field"]) == (422, "password")
        moved = http.patch("/webhook/moving", json={"flow_name": "open"})
        called = anonymous.post(url, json=2)
        write_flow(server.workspace, "open", "1", parameters="password: int\njson = None")
        misfit = anonymous.post(url, json=3)
        assert (misfit.status_code, error_of(misfit)["field"]) == (422, "password")
        write_flow(server.workspace, "open", "print(password)", parameters="password: str\njson = None")
    first = http.get("/webhook/moving/delivery").json()["items"][-1]
    again = http.post(f"/webhook/moving/delivery/{first['id']}/replay")
    assert again.status_code == 201, again.text
    read = refused.text + moved.text + misfit.text + http.get("/webhook/moving/delivery").text
    for started in (called.json(), again.json()):
        ended = http.get(f"/execution/{started['id']}", params={"wait": 30}).json()
        assert ended["status"] == "ENDED_SUCCESS", ended["error"]
        assert ended["input_value"]["password"] == "•••"
        read += all_of(http, server, ended)
    assert "canary" not in read


def test_what_a_schedule_shows_holds_no_secret(http: httpx.Client, server: RunningServer) -> None:
    write_flow(server.workspace, "guarded", "1", parameters="password: str", metadata=PROTECTS)
    write_flow(server.workspace, "open", "1", parameters="word = ''")
    following = {"flow": "guarded", "inputs": {"password": SECRET}}
    body = {"flow_name": "open", "trigger": {"delay_seconds": 31536000}}
    for refused in (
        http.post("/schedule", json={**body, "on_error": following}),
        http.patch(f"/schedule/{http.post('/schedule', json=body).json()['id']}", json={"on_success": following}),
    ):
        assert refused.status_code == 422, refused.text
        assert error_of(refused)["field"] in ("on_error", "on_success")
        assert "canary" not in refused.text
    write_flow(
        server.workspace,
        "scheduling",
        "made = system.schedule('open', {'delay_seconds': 31536000}, name=f'for {password}')\n"
        "this.set_output('id', made.id)",
        "made.save(name=f'again for {password}')",
        "try:\n    made.save(on_error={'flow': 'open', 'inputs': {'word': password}})\n"
        "except Exception as error:\n    this.set_output('refused', error.field)",
        parameters="password: str",
        metadata=PROTECTS,
    )
    done = run(http, "scheduling", inputs={"password": SECRET})
    assert done["status"] == "ENDED_SUCCESS", done["error"]
    assert done["output_value"]["refused"] == "on_error"
    shown = http.get(f"/schedule/{done['output_value']['id']}")
    assert shown.json()["name"] == "again for •••"
    assert "canary" not in shown.text + http.get("/event", params={"after": 0, "limit": 500}).text


def test_a_secret_that_is_cut_off_leaves_no_half_of_it(http: httpx.Client, server: RunningServer) -> None:
    write_flow(
        server.workspace,
        "long",
        "raise ValueError('x' * n + password)",
        parameters="password: str\nn = 0",
        metadata=PROTECTS,
    )
    for n in (500 - len("ValueError: ") - 10, 490, 20_000 - 10):
        failed = run(http, "long", inputs={"password": "canary-of-twenty-four-bytes", "n": n})
        assert failed["status"] == "ENDED_ERROR"
        assert "canary" not in all_of(http, server, failed)
        assert "x" * 400 in failed["message"]


def test_what_a_run_makes_a_secret_is_one_for_itself_too(http: httpx.Client, server: RunningServer) -> None:
    write_flow(server.workspace, "given", "1", parameters="password: str", metadata=PROTECTS)
    write_flow(
        server.workspace,
        "making",
        "made = 'yranac-edam'[::-1]\nother = 'yranac-nevig'[::-1]\nthis.log(made, other)\nprint(made, other)",
        "system.setting('made', made, secret=True)\nthis.flow('given', password=other)",
        "this.set_output('both', [made, other])",
    )
    done = run(http, "making")
    assert done["status"] == "ENDED_SUCCESS", done["error"]
    assert done["output_value"] == {"both": ["•••", "•••"]}
    assert [line["text"] for line in done["log"]] == ["••• •••"]
    assert "canary" not in all_of(http, server, done)


def test_a_lost_key_fails_what_needs_it_and_nothing_else(start: StartServer, tmp_path: Path) -> None:
    write_flow(tmp_path, "pinned", "pin", parameters="pin: int", metadata=PROTECTS)
    write_flow(tmp_path, "plain", "1")
    server = start(tmp_path, "--Cloudo.embedded_worker=False")
    with client(server) as http:
        trigger = {"delay_seconds": 3600}
        made = http.post("/schedule", json={"flow_name": "pinned", "inputs": {"pin": 1}, "trigger": trigger}).json()
    server.stop()
    (tmp_path / ".cloudo" / "key").unlink()
    again = start(tmp_path)
    with client(again) as http:
        refused = http.post(f"/schedule/{made['id']}/trigger", json={})
        assert (refused.status_code, error_of(refused)["code"]) == (503, "secret_lost")
        assert http.get(f"/schedule/{made['id']}").json()["inputs"] == {"pin": "•••"}
        assert run(http, "plain")["status"] == "ENDED_SUCCESS"


def test_a_script_and_its_handler_have_protected_values_too(http: httpx.Client, server: RunningServer) -> None:
    script = (
        "# cloudo:\n#   protect_inputs: [password]\n#   protect_outputs: [token]\n"
        "def handler(system, this):\n"
        "    password = this.get('input_value')['password']\n"
        "    print(password)\n"
        "    this.set_output('token', password[::-1])\n"
        "    return this.success(f'{len(password)} letters, {password}')\n"
    )
    reply = http.post("/execution", json={"script": script, "inputs": {"password": SECRET}, "wait": 60})
    done = reply.json()
    assert (done["status"], done["message"]) == ("ENDED_SUCCESS", f"{len(SECRET)} letters, •••"), done["error"]
    assert (done["input_value"], done["output_value"]) == ({"password": "•••"}, {"token": "•••"})
    read = reply.text + all_of(http, server, done)
    assert "canary" not in read
    assert SECRET[::-1] not in read
