"""Workers whose network link to the database is cut, and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests import workers
from tests.faults.conftest import LEASE_SECONDS, begun, events, start
from tests.postgresql import Cluster, is_installed
from tests.server import run_processes, until
from tests.workers import Worker

pytestmark = [
    pytest.mark.skipif(not is_installed(), reason="Debian's package postgresql is not installed"),
    pytest.mark.timeout(180),
]

#: The addresses of the two ends of the cable.
HERE, THERE = "10.211.57.1", "10.211.57.2"
#: Takes the lock of all claims in a transaction, and stays.
HOLDER = """
import sys, time
from cloudo_kernel.store import Store
from cloudo_kernel.store.sql.row_locks import lock_slots
with Store.open(sys.argv[1])._database.write() as connection:
    lock_slots(connection)
    print("held", flush=True)
    time.sleep(600)
"""

StartWorker = Callable[..., Worker]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Link:
    """A network of its own, with one cable to this machine."""

    def __init__(self) -> None:
        self._name, self._end = f"cloudo-{os.getpid()}", f"cl{os.getpid()}"
        #: Starts a program in that network.
        self.there = ("ip", "netns", "exec", self._name)
        ip("netns", "add", self._name)
        ip("link", "add", self._end, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        ip("address", "add", f"{HERE}/30", "dev", self._end)
        ip("-n", self._name, "address", "add", f"{THERE}/30", "dev", "eth0")
        ip("-n", self._name, "link", "set", "eth0", "up")
        self.heal()

    def cut(self) -> None:
        """Lose all packets from now on; nobody is told."""
        ip("link", "set", self._end, "down")

    def heal(self) -> None:
        ip("link", "set", self._end, "up")

    def close(self) -> None:
        ip("netns", "delete", self._name)


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    try:
        link = Link()
    except (OSError, subprocess.CalledProcessError):
        assert not os.environ.get("CI"), "in CI this has to be tried"
        pytest.skip("only root can make a network")
    with closing(link):
        yield link


@pytest.fixture(scope="module")
def cluster(link: Link) -> Iterator[Cluster]:
    cluster = Cluster.durable(address=HERE)
    yield cluster
    cluster.stop()


@pytest.fixture
def store(link: Link, cluster: Cluster, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    link.heal()
    with cluster.database() as url:
        monkeypatch.setenv("CLOUDO_DATABASE_URL", url)
        with closing(Store.open(url, key_file=workspace.key_file)) as store:
            yield store


@pytest.fixture
def far_url(store: Store) -> str:
    """The address of the database by the link; all else on this machine has a socket of its own."""
    return os.environ["CLOUDO_DATABASE_URL"].partition("?")[0].replace("@/", f"@{HERE}/")


@pytest.fixture
def api(store: Store, workspace: Workspace) -> Service:
    return Service(store, Catalog(workspace), user_name="ada")


@pytest.fixture
def start_worker(workspace: Workspace) -> Iterator[StartWorker]:
    started: list[Worker] = []

    def start(**options: Any) -> Worker:
        words = (str(workspace.root), "--lease-seconds", str(LEASE_SECONDS))
        started.append(workers.start_worker(workspace.root, *words, module="tests.faults.worker", **options))
        return started[-1]

    yield start
    for worker in started:
        workers.end_worker(worker)


def test_the_reports_of_a_worker_that_was_cut_off_are_refused_and_it_works_again(
    link: Link, store: Store, api: Service, workspace: Workspace, far_url: str, start_worker: StartWorker
) -> None:
    start_worker(through=link.there, environment={"CLOUDO_DATABASE_URL": far_url})
    late, lost = start(api, "waiting"), start(api, "endless")
    until(lambda: sorted(begun(workspace)) == sorted([late, lost]))
    near = start_worker()
    link.cut()
    (workspace.root / "go").touch()  # one ends, and nobody hears of it
    until(lambda: all(api.execution(one).is_ended for one in (late, lost)))
    link.heal()
    until(lambda: len(api.workers()) == 2)
    until(lambda: not run_processes(workspace.root))
    workers.end_worker(near)
    again = start(api, "quick")
    until(lambda: api.execution(again).status is Status.ENDED_SUCCESS)
    for one in (late, lost):
        record = api.execution(one)
        assert (record.error and record.error.name, record.output_value, record.attempt) == ("WorkerLost", {}, 1)
        assert events(store, one)[-2:] == ["ExecutionChanged", "ExecutionEnded"]
    assert sorted(begun(workspace)) == sorted([late, lost, again])


@pytest.mark.parametrize("how", ["cut off", "stopped"])
def test_what_stands_still_in_the_middle_of_a_transaction_does_not_hold_up_others(
    link: Link, api: Service, far_url: str, start_worker: StartWorker, how: str
) -> None:
    start_worker()
    words = [*link.there, sys.executable, "-c", HOLDER, far_url]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            if how == "cut off":
                link.cut()
            else:
                holder.send_signal(signal.SIGSTOP)
            execution_id = start(api, "quick")
            until(lambda: api.execution(execution_id).status is Status.ENDED_SUCCESS)
        finally:
            holder.kill()
