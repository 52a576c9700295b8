"""Measures what a notebook waits for: `python -m tests.benchmarks.cells [--before FOLDER]`.

- In a fresh kernel of a server: from `import cloudo_kernel`, `%load_ext` and the first `%flow` to the flow's run.
- In a fresh process: the import of a widget, above that of nothing.

`--before` is the folder of another version's `cloudo_kernel`, which is measured in turns with this one.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
from jupyter_client import BlockingKernelClient

from cloudo_kernel.client import Client
from tests.benchmarks.timing import figure, head, ratio, row, serving, timed
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, until

ROOT = Path(__file__).parents[2]
#: Lets a kernel import the package from a folder; an installed finder would be asked first.
FROM = (
    "import sys\nsys.meta_path[:] = [one for one in sys.meta_path if 'editables' not in type(one).__module__]\n"
    "sys.path.insert(0, {!r})"
)
CELLS = ("import cloudo_kernel", "%load_ext cloudo_kernel", "%flow quick")
WIDGET = "from cloudo_kernel.widgets import PlayButton"


def first_run(server: RunningServer, api: Client, folder: Path) -> float:
    """Return the milliseconds from the first cell of a fresh kernel to the run of the flow."""
    with api_of_jupyter(server) as http:
        kernel = http.post("api/kernels", json={"name": "python3"}).json()["id"]
        client = BlockingKernelClient()
        file = server.runtime / f"kernel-{kernel}.json"
        until(file.exists, seconds=60)
        client.load_connection_file(str(file))
        client.start_channels()
        try:
            until(partial(is_ready, client), seconds=120)
            client.execute_interactive(FROM.format(str(folder)), timeout=60)
            start = time.time()
            for source in CELLS:
                reply = client.execute_interactive(source, timeout=60, output_hook=lambda _message: None)
                assert reply["content"]["status"] == "ok", reply["content"]
            [record] = api.executions(limit=1).items
            assert record.started_at is not None
            return (record.started_at.timestamp() - start) * 1000
        finally:
            client.stop_channels()
            http.delete(f"api/kernels/{kernel}")


def is_ready(client: BlockingKernelClient) -> bool:
    """Tell whether the kernel answers. A cold start takes longer than the client waits for a silent kernel."""
    try:
        client.wait_for_ready(timeout=60)
    except RuntimeError:
        return False
    return True


def api_of_jupyter(server: RunningServer) -> httpx.Client:
    """Return a client of Jupyter's own API."""
    return httpx.Client(base_url=server.url, headers={"Authorization": f"token {server.token}"}, timeout=120)


def imported(source: str, folder: Path) -> float:
    """Return the milliseconds of a fresh process that imports something."""
    return timed(
        lambda: subprocess.run([sys.executable, "-c", f"{FROM.format(str(folder))}\n{source}"], check=True, cwd="/")
    )


def in_turns(rounds: int, measures: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure in turns, and print a line for each."""
    times: dict[str, list[float]] = {what: [] for what in measures}
    for _ in range(rounds):
        for what, measure in measures.items():
            times[what].append(measure())
    for what, found in times.items():
        row(what, found)
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    folders = {"": ROOT} | ({} if given.before is None else {", before": given.before.resolve()})
    head()
    with serving(extensions=WITHOUT_LAB) as (server, api):
        write_flow(server.workspace, "quick", "1")
        first_run(server, api, ROOT)  # the first run of a server is slower
        what = "first `%flow` of a fresh kernel"
        measures: dict[str, Callable[[], float]] = {
            what + note: partial(first_run, server, api, folder) for note, folder in folders.items()
        }
        times = in_turns(given.rounds, measures)
        if given.before is not None:
            figure(f"{what}, ratio", ratio(times[what], times[f"{what}, before"]))
    what = f"`{WIDGET}`"
    times = in_turns(
        given.rounds,
        {"bare Python": partial(imported, "pass", ROOT)}
        | {what + note: partial(imported, WIDGET, folder) for note, folder in folders.items()},
    )
    above = statistics.median(one - bare for one, bare in zip(times[what], times["bare Python"], strict=True))
    figure(f"{what}, above bare Python", f"{above:,.0f}")


if __name__ == "__main__":
    main()
