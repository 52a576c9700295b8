"""Scripts that make the same calls as those of the original's public library, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.flows import write_flow, write_script
from tests.original_scripts import asking
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

pytestmark = pytest.mark.timeout(180)

LIST = """
import flow_api

def handler(system, this):
    kept = system.setting('kept-list')
    try:
        items = kept.get('value')
    except flow_api.ResourceNotFoundError:
        items = []
    call = this.get('input_value')
    method, json, path, query = call['method'], call['json'], call['path'], call['query']
    if method == 'POST':
        items.append(json.get('new'))
    kept.save(value=items)
    return this.webhook_html_response(f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul> {query.get('debug')}")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory) as servers:
        server = servers.start(extensions=WITHOUT_LAB)
        for name in ("later", "every day", "again"):
            write_script(server.workspace, name, asking(name))
        write_script(server.workspace, "list", LIST)
        write_flow(server.workspace, "target", "this.log('ran')")
        yield server


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {server.token}"}
    with httpx.Client(base_url=server.api, headers=headers, timeout=60, trust_env=False) as http:
        yield http


class Asked:
    """A flow that was started, and the form that it has left."""

    def __init__(self, http: httpx.Client, name: str, **inputs: Any) -> None:
        self._http = http
        started = http.post("/execution", json={"flow_name": name, "inputs": inputs, "wait": 30}).json()
        assert (started["status"], started["message"]) == ("ENDED_SUCCESS", "asked"), started
        self.message_id = started["output_value"]["message_id"]
        [child] = http.get(f"/execution/{started['id']}/children").json()["items"]
        self.execution_id = child["id"]

    def answer(self, **response: Any) -> None:
        """Answer over REST."""
        reply = self._http.post(f"/message/{self.message_id}/response", json={"response": response})
        assert reply.status_code == 200, reply.text

    def end(self) -> dict[str, Any]:
        """Return the record of the execution that asks, once it has ended in success."""
        ended = self._http.get(f"/execution/{self.execution_id}", params={"wait": 50}).json()
        assert ended["status"] == "ENDED_SUCCESS", ended
        return dict(ended)

    def children(self) -> list[str]:
        """Return the names of what it has started, the first one first."""
        items = self._http.get(f"/execution/{self.execution_id}/children").json()["items"]
        return [item["name"] for item in reversed(items)]


def test_a_run_is_delayed_by_its_own_default_given_as_text_answered_from_the_shell(
    server: RunningServer, http: httpx.Client
) -> None:
    asked = Asked(http, "later", flow_name="target")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDO_", "JPY_"))}
    environment |= {"CLOUDO_URL": server.url, "CLOUDO_TOKEN": server.token}
    words = [sys.executable, "-m", "cloudo_kernel", "answer", asked.message_id, "-p", "begin=true"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert asked.end()["message"] == "started target"
    assert asked.children() == ["later target"]


def test_a_run_is_delayed_until_a_time_with_its_zone_and_the_flow_is_known_by_its_id(http: httpx.Client) -> None:
    asked = Asked(http, "later", flow_id="target")
    asked.answer(time=(datetime.now(UTC) + timedelta(seconds=1)).strftime("%H:%M:%S+00:00"))
    assert asked.end()["name"] == "later target"
    assert asked.children() == ["later target"]


@pytest.mark.parametrize(
    ("given", "time"),
    [({}, "08:30:00"), ({"at": "18:05"}, "18:05:00"), ({"at": "18:05:30+02:00"}, "18:05:30+02:00")],
    ids=["default", "minutes", "zone"],
)
def test_a_time_of_a_form_is_one_that_scripts_parse(http: httpx.Client, given: dict[str, str], time: str) -> None:
    asked = Asked(http, "every day", flow_name="target")
    asked.answer(**given)
    assert asked.end()["message"] == time


@pytest.mark.parametrize("wait", [True, False])
def test_runs_recur_waited_for_or_not(http: httpx.Client, wait: bool) -> None:
    asked = Asked(http, "again", flow_name="target")
    asked.answer(interval=0.1, wait=wait, most=3)
    assert asked.end()["message"] == "started 3"
    assert asked.children() == [f"target iteration #{number}" for number in (1, 2, 3)]
    ended = {"parent_id": asked.execution_id, "status": "ENDED_SUCCESS"}
    until(lambda: len(http.get("/execution", params=ended).json()["items"]) == 3)


def test_a_page_is_answered_to_a_webhook_and_its_form_is_read_as_json(
    server: RunningServer, http: httpx.Client
) -> None:
    assert http.post("/webhook", json={"name": "list", "flow_name": "list"}).status_code == 201
    address = f"{server.url}cloudo/webhook/list"
    empty = httpx.get(f"{address}?debug=yes", timeout=60, trust_env=False)
    assert (empty.status_code, empty.text) == (200, "<ul></ul> yes")
    assert empty.headers["Content-Type"] == "text/html; charset=utf-8"
    content = "new=milk&new="
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    added = httpx.post(address, content=content, headers=kind, timeout=60, trust_env=False)
    assert added.text == "<ul><li>milk</li></ul> None"
    kept = httpx.post(address, json={"new": "tea"}, timeout=60, trust_env=False)
    assert kept.text == "<ul><li>milk</li><li>tea</li></ul> None"
