"""Makes and reads webhooks for tests."""

from __future__ import annotations

from typing import Any

import httpx

KEY = "the-key-of-the-door"
ECHO = "def handler(system, this):\n    this.set_output('got', this.get('input_value'))\n"


def make(http: httpx.Client, name: str, flow_name: str = "echo", **fields: Any) -> str:
    """Make a webhook, anew if there is one of this name."""
    http.delete(f"/webhook/{name}")
    fields = {"sync_timeout_seconds": 60, **fields}  # tests run on slow machines, too
    reply = http.post("/webhook", json={"name": name, "flow_name": flow_name, **fields})
    assert reply.status_code == 201, reply.text
    assert reply.json()["key"] is None
    return name


def got(reply: httpx.Response) -> dict[str, Any]:
    """Return what the flow got."""
    assert reply.status_code == 200, reply.text
    assert reply.json()["status"] == "ENDED_SUCCESS", reply.text
    return dict(reply.json()["output_value"]["got"])


def deliveries(http: httpx.Client, name: str) -> list[dict[str, Any]]:
    return list(http.get(f"/webhook/{name}/delivery").json()["items"])
