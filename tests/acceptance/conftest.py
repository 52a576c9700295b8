from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.flows import write_flow
from tests.server import RunningServer, Servers


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """Start further servers: `start(workspace=None, *options, config=…, extensions=…, token=…, port=…)`."""
    with Servers(tmp_path_factory) as servers:
        yield servers.start


@pytest.fixture(scope="session")
def server(start: Callable[..., RunningServer]) -> RunningServer:
    """A server as `make up` starts it, JupyterLab and all, with a workspace of a few flows."""
    server = start()
    flows = server.workspace
    write_flow(flows, "quick", "print('hello')\nn * 2", parameters="n = 1  # how many", metadata={"title": "Quick one"})
    write_flow(
        flows, "asking", "f'{region}: {top}'", parameters="region: str  # where\ntop: int = 3", metadata={"tags": ["a"]}
    )
    write_flow(flows, "failing", "print('so far')", "1 / 0")
    write_flow(flows, "endless", "import time\nwhile True: time.sleep(0.1)")
    write_flow(flows, "reports/täglich wöchentlich", *(f"print({n})" for n in range(5)))
    return server
