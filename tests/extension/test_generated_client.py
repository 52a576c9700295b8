"""A client that a public generator makes of the OpenAPI document starts a flow."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import RunningServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Import a module of the generated package, by its name."""
    folder, tools = tmp_path_factory.mktemp("generated"), Path(sys.executable).parent
    done = subprocess.run(
        [
            tools / "openapi-python-client",
            "generate",
            "--path",
            DOCUMENT,
            "--meta",
            "none",
            "--output-path",
            "cloudo_made",
        ],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},  # it formats with ruff
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "WARNING" not in done.stdout + done.stderr, done.stdout
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"cloudo_made.{name}")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "cloudo_made"]:
        del sys.modules[name]


def test_a_generated_client_calls_a_webhook(made: Any, server: RunningServer) -> None:
    call = made("api.webhook.call_webhook")
    with made("client").AuthenticatedClient(base_url=f"{server.url}cloudo", token=server.token) as client:
        body = made("models").CreateWebhook(
            name="generated", flow_name="quick", key="the-key-of-the-door", sync_timeout_seconds=60.0
        )
        made("api.webhook.create_webhook").sync(client=client, body=body)
    with made("client").Client(base_url=f"{server.url}cloudo") as client:
        for sent in ({"a": [1]}, [1, 2], "text", None):
            reply = call.sync("generated", client=client, body=sent, x_cloudo_key="the-key-of-the-door")
            assert reply.status == made("models").Status.ENDED_SUCCESS
        assert call.sync("generated", client=client, x_cloudo_key="wrong").error.code == "webhook_not_found"


def test_a_generated_client_starts_a_flow(made: Any, server: RunningServer) -> None:
    models = made("models")
    inputs = models.StartBodyInputs.from_dict({"n": 21})
    body = models.StartBody(flow_name="quick", inputs=inputs, wait=60.0)
    with made("client").AuthenticatedClient(base_url=f"{server.url}cloudo", token=server.token) as client:
        record = made("api.execution.start_execution").sync(client=client, body=body)
        again = made("api.execution.execution").sync(record.id, client=client)
        page = made("api.execution.executions").sync(client=client, flow_name="quick", limit=1)
        broken = made("api.flow.flow").sync("none/of/these", client=client)
    assert (record.status, record.flow_name) == (models.Status.ENDED_SUCCESS, "quick")
    assert again.input_value.to_dict() == {"n": 21}
    assert [one.id for one in page.items] == [record.id]
    assert broken.error.code == "flow_not_found"
