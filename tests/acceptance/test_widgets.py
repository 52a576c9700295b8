"""The widgets in a real kernel, over its comm."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from cloudo_kernel.models.event_types import EXECUTION_ENDED
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers

CREATE = """
import cloudo_kernel as cloudo
widget = cloudo.Dashboard(_esm="export default {}", _css="", view="executions")
"""


class Page:
    """The browser's side of a widget's comm."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client
        self._waiting: list[dict[str, Any]] = []
        self.run(CREATE)
        opened = self.next(lambda message: message["msg_type"] == "comm_open" and "view" in _state(message))
        self.state, self._comm = _state(opened), opened["content"]["comm_id"]

    def run(self, code: str, *, wait: bool = True) -> None:
        if not wait:
            self._client.execute(code)
            return
        reply = self._client.execute_interactive(code, output_hook=self._waiting.append, timeout=60)
        assert reply["content"]["status"] == "ok", reply["content"]

    def send(self, **content: Any) -> str:
        key = uuid.uuid4().hex
        data = {"method": "custom", "content": {"id": key, **content}}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", {"comm_id": self._comm, "data": data}))
        return key

    def answer(self, key: str) -> dict[str, Any]:
        found = self.next(lambda message: _custom(message).get("id") == key)
        return _custom(found)

    def next(self, is_it: Any) -> dict[str, Any]:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for message in self._waiting:
                if is_it(message):
                    self._waiting.remove(message)
                    return message
            try:
                self._waiting.append(self._client.get_iopub_msg(timeout=1))
            except Empty:
                continue
        raise AssertionError("The kernel did not send it.")


def _state(message: dict[str, Any]) -> dict[str, Any]:
    return dict(message["content"].get("data", {}).get("state", {}))


def _custom(message: dict[str, Any]) -> dict[str, Any]:
    data = message["content"].get("data", {})
    return data.get("content", {}) if isinstance(data, dict) and data.get("method") == "custom" else {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start()
        write_flow(server.workspace, "quick", "1")
        yield server


@pytest.fixture(params=["with a server", "without a server"])
def page(request: pytest.FixtureRequest, server: RunningServer, tmp_path: Path) -> Iterator[Page]:
    if request.param == "with a server":
        where = {"CLOUDO_URL": server.url, "CLOUDO_TOKEN": server.token}
    else:
        write_flow(tmp_path, "quick", "1")
        where = {"CLOUDO_WORKSPACE": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, **where}, cwd=str(tmp_path))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Page(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_page_plays_a_flow_through_the_kernel_and_sees_its_events(page: Page) -> None:
    assert (page.state["view"], page.state["base_url"]) in (("executions", "/"), ("executions", None))
    events = page.send(events={"after": 0})
    listed = page.answer(page.send(method="GET", path="flow?q=quick&limit=100"))
    assert [flow["name"] for flow in listed["body"]["items"]] == ["quick"]
    started = page.answer(page.send(method="POST", path="execution", body={"flow_name": "quick"}))
    assert started["body"]["trigger"] == "ui"
    seen: list[dict[str, Any]] = []
    while not any(event["type"] == EXECUTION_ENDED for event in seen):
        seen += [event for event in page.answer(events)["events"] if event["subject_id"] == started["body"]["id"]]
    ended = page.answer(page.send(method="GET", path=f"execution/{started['body']['id']}"))
    assert ended["body"]["status"] == "ENDED_SUCCESS"


def test_a_long_request_does_not_keep_the_kernel_from_running_cells(page: Page) -> None:
    slow = page.send(method="GET", path="event?after=9000000000000&timeout_seconds=5")
    begun = time.monotonic()
    page.run("done = 1")
    assert time.monotonic() - begun < 3
    assert page.answer(slow)["status"] == 200
    page.run("widget.close(); import threading, time")
    page.run("while any(t.name == 'cloudo-events' for t in threading.enumerate()): time.sleep(0.05)")
