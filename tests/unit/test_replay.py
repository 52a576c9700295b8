"""Replays: random flows, killed before each of their statements in turn, end as they would have ended undisturbed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import event

from cloudo_kernel.errors import CloudoError, Unavailable
from cloudo_kernel.models import Origin, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Claim, Outcome, Store
from cloudo_kernel.worker.flow_requests import FlowRequests
from cloudo_kernel.worker.run_secrets import RunSecrets
from cloudo_kernel.worker.waits import Waits
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow

Ask = Callable[..., Any]
Program = Callable[[Ask], None]
T = TypeVar("T")


class Killed(BaseException):
    """What a kill is to whoever holds a transaction: it is never committed."""


def program(seed: int) -> Program:
    """Return a flow: the same calls each time, which depend on what earlier ones returned."""

    def run(ask: Ask) -> None:
        chance = random.Random(seed)
        children: list[str] = []

        def child(number: int) -> str:
            name = chance.choice(["child", "child", "child", "missing"])
            request = {"flow_name": name, "inputs": {"number": number}}
            try:
                return str(ask("start_child", request=request)["id"])
            except CloudoError as error:
                ask("log", text=str(error), level="info")
                return ""

        for number in range(8):
            match chance.randrange(9):
                case 0:
                    ask("log", text=f"line {number}", level="info")
                    ask("log", text=f"line {number} again", level="warning")
                case 1:
                    ask("set_output", key=chance.choice("ab"), value=[number], append=True)
                case 2:
                    ask("save", name=f"flow {number}")
                case 3 | 4:
                    children.append(child(number))
                case 5 if any(children):
                    ended = ask("wait_for", ids=[one for one in children if one], first=chance.random() < 0.5)
                    ask("set_output", key="ended", value=sorted(one["output_value"]["number"] for one in ended[:1]))
                case 6:
                    begun = ask("step_begin", name="step")
                    if not begun["is_done"]:
                        ask("log", text=f"in step {number}", level="info")
                        if (inner := ask("step_begin", name="inner"))["is_done"] is False:
                            ask("step_failed", number=inner["number"], error={"name": "ValueError"})
                        ask("step_done", number=begun["number"], result=number)
                case 7:
                    is_new = ask("acquire_lock", name=chance.choice("xy"), until=None, call=f"call {number}")
                    ask("set_output", key="locks", value=[is_new, ask("release_lock", name="x")], append=True)
                case 8:
                    ask("save_setting", name="counter", value=ask("now") > 0, secret=None)
                    ask("log", text=str(ask("setting", name="counter")["value"]), level="info")

    return run


class Machine:
    """A store, a flow in it, and somebody else who runs the children."""

    def __init__(self, folder: Path) -> None:
        workspace = Workspace(folder)
        workspace.create()
        write_flow(folder, "flow", "pass", metadata={"durable": True})
        write_flow(folder, "child", "pass", parameters="number: int = 0")
        self.store = Store.open(workspace.database_url)
        self.catalog = Catalog(workspace)
        self.store.workers.register("other", private=False)
        self.id = self._service().start_execution(StartExecution(flow_name="flow")).id
        self.claim = self._claim("worker 0")
        self._is_over = threading.Event()
        self._claiming = threading.Lock()
        self._other = threading.Thread(target=self._run_children)
        self._other.start()

    def close(self) -> None:
        self._is_over.set()
        self._other.join()
        self.store.close()

    def _service(self, parent_id: str | None = None) -> Service:
        trigger = Origin.API if parent_id is None else Origin.FLOW
        return Service(self.store, self.catalog, user_name="ada", trigger=trigger, parent_id=parent_id)

    def _claim(self, worker_id: str) -> Claim:
        self.store.workers.register(worker_id, private=False)
        while True:
            for claim in self.store.queue.claim(worker_id, free=1):
                if claim.id == self.id:
                    return claim
                self._end_child(claim)

    def _end_child(self, claim: Claim) -> None:
        record = _patiently(lambda: self.store.reports.begin(claim.id, claim.attempt).execution)
        _patiently(lambda: self.store.reports.save(claim.id, claim.attempt, {"output_value": record.input_value}))
        _patiently(lambda: self.store.reports.finish(claim.id, claim.attempt, Outcome(status=Status.ENDED_SUCCESS)))

    def _run_children(self) -> None:
        while not self._is_over.wait(0.005):
            with self._claiming:
                for claim in _patiently(lambda: self.store.queue.claim("other", free=1)):
                    self._end_child(claim)

    def run(self, flow: Program) -> None:
        """Run the flow to its end, as the attempt that holds the claim."""
        assignment = self.store.reports.begin(self.claim.id, self.claim.attempt, replays=True)
        service = self._service(self.id)
        calls = FlowRequests(
            self.store,
            service,
            self.claim,
            Waits(self.store, self.claim),
            RunSecrets(self.store, self.claim, service.redaction),
            output=assignment.execution.output_value,
            linger_seconds=60,
            detach=lambda: None,
        )
        flow(lambda verb, **arguments: calls.answer(verb, arguments, is_main=True))
        calls.flush_log()
        self.store.reports.finish(self.claim.id, self.claim.attempt, Outcome(status=Status.ENDED_SUCCESS))

    def lose(self) -> None:
        """Have the worker be found dead, and another one claim the flow."""
        with self._claiming:
            self.store.queue.release(f"worker {self.claim.attempt - 1}", lost=True)
            self.claim = self._claim(f"worker {self.claim.attempt}")

    def story(self) -> dict[str, Any]:
        """Return all that the flow has done."""
        record = self.store.executions.get(self.id)
        children = [one for one in self._service().executions(limit=500).items if one.parent_id == self.id]
        return {
            "status": record.status,
            "name": record.name,
            "outputs": record.output_value,
            "log": [line.text for line in record.log or () if "cut off" not in line.text],
            "children": [(one.flow_name, one.input_value) for one in reversed(children)],
        }


def _patiently(call: Callable[[], T]) -> T:
    """Call again when a write shared its group with the one that was killed."""
    while True:
        with suppress(Unavailable):
            return call()


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    folder.mkdir()
    made = Machine(folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def killed_before(store: Store, statement: int) -> Iterator[list[int]]:
    """Kill this thread before its statement of that number; gives the number of those that came."""
    me, count = threading.get_ident(), [0]

    def listen(*_: object) -> None:
        if threading.get_ident() == me:
            count[0] += 1
            if count[0] == statement:
                raise Killed

    event.listen(store._database.engine, "before_cursor_execute", listen)
    try:
        yield count
    finally:
        event.remove(store._database.engine, "before_cursor_execute", listen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_flow_that_is_killed_anywhere_ends_as_if_it_had_not_been(tmp_path: Path, seed: int) -> None:
    flow = program(seed)
    with machine(tmp_path / "undisturbed") as undisturbed:
        with killed_before(undisturbed.store, 0) as count:
            undisturbed.run(flow)
        expected = undisturbed.story()
    chance = random.Random(seed)
    for statement in sorted(chance.sample(range(1, count[0] + 1), min(count[0], 15))):
        with machine(tmp_path / str(statement)) as one:
            with killed_before(one.store, statement), suppress(Killed):
                one.run(flow)
            if not one.store.executions.status(one.id).is_ended:
                one.lose()
                one.run(flow)
            assert one.story() == expected, f"killed before statement {statement}"
