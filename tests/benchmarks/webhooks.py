"""Measures the calls of webhooks: `python -m tests.benchmarks.webhooks`.

How many signed calls a second are taken that do not wait, beside the bare tornado handler of `starts`; and how long a
call takes that waits for a trivial flow, beside `POST /execution` that waits for the same one. Both take turns.
"""

from __future__ import annotations

import argparse
import hmac
import json
import statistics
import tempfile
from functools import partial
from typing import Any

import httpx

from cloudo_kernel.models import CreateWebhook, SignatureScheme
from tests.benchmarks.starts import bare, fill_slots, load
from tests.benchmarks.timing import TRIVIAL, figure, head, row, serving, timed
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer

KEY = "a secret that both sides know"
PAYLOAD = json.dumps({"ref": "refs/heads/main", "commits": [{"id": str(number)} for number in range(10)]})


def signed(delivery: str) -> dict[str, str]:
    """Return the headers with which GitHub would send the payload."""
    signature = hmac.digest(KEY.encode(), PAYLOAD.encode(), "sha256").hex()
    return {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Delivery": delivery}


def make_webhook(server: RunningServer, flow_name: str) -> None:
    """Make a webhook of the flow's name, without a limit."""
    how = {"signature": SignatureScheme.GITHUB, "key": KEY, "rate_limit": None}
    with server.client() as api:
        api.create_webhook(CreateWebhook(name=flow_name, flow_name=flow_name, **how))


def measure_async(*, rounds: int, slots: int, connections: int, seconds: float) -> None:
    """Print how many calls are taken that do not wait, with all slots full."""
    how: dict[str, Any] = {"connections": connections, "seconds": seconds}
    with serving(extensions=WITHOUT_LAB) as (server, _), tempfile.TemporaryDirectory() as name:
        fill_slots(server, slots)
        write_flow(server.workspace, "pushed", "print(json)", parameters="json = {}")
        make_webhook(server, "pushed")
        port = int(server.url.rstrip("/").rpartition(":")[2])
        print("| what | per second | p50 ms | p99 ms |\n|---|---|---|---|")
        path = "/cloudo/webhook/pushed?async"
        call: dict[str, Any] = {"method": "POST", "body": PAYLOAD, "status": 202}
        for turn in range(rounds):
            peer = bare(f"{tempfile.mkdtemp(dir=name)}/bare.sqlite", **how)
            ours = load(port, path, more_headers=signed(f"{turn}-{{number}}"), **call, **how)
            print(f"| ratio | {ours / peer:.2f} | | |", flush=True)


def measure_sync(rounds: int) -> None:
    """Print how much longer than the engine itself a call takes that waits."""
    head()
    with serving(extensions=WITHOUT_LAB) as (server, _), httpx.Client(timeout=60) as http:
        write_flow(server.workspace, "trivial", *TRIVIAL, parameters="json = {}")
        make_webhook(server, "trivial")
        about = {"Authorization": f"token {server.token}"}

        def start() -> None:
            body = {"flow_name": "trivial", "inputs": {"json": json.loads(PAYLOAD)}, "wait": True}
            http.post(f"{server.api}/execution", json=body, headers=about).raise_for_status()

        def call(delivery: str) -> None:
            url, headers = f"{server.url}cloudo/webhook/trivial", {"Content-Type": "application/json"}
            http.post(url, content=PAYLOAD, headers=headers | signed(delivery)).raise_for_status()

        start()
        call("first")
        times = [(timed(start), timed(partial(call, str(turn)))) for turn in range(rounds)]
        starts, calls = [one for one, _ in times], [one for _, one in times]
        row("three cells: `POST /execution` that waits", starts)
        row("three cells: call of a webhook that waits", calls)
        figure("the call above the start, ms", f"{statistics.median(calls) - statistics.median(starts):.1f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.webhooks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    measure_async(rounds=given.rounds, slots=given.slots, connections=given.connections, seconds=given.seconds)
    measure_sync(10 * given.rounds)


if __name__ == "__main__":
    main()
