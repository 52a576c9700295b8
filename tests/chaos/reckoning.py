"""What the side effects, the store and the processes say after a bout of chaos, and where they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cloudo_kernel.models import Event, Execution, ExecutionFilter, Status
from cloudo_kernel.store import Store
from cloudo_kernel.store.executions.transitions import PARENT_ENDED
from tests.chaos import marks
from tests.chaos.killer import Killer
from tests.chaos.marks import Mark
from tests.workers import processes

#: Errors that tell of a killed process.
_KILLED = {"WorkerLost", "KernelDied", "DependencyFailedError"}
#: In the texts of errors that tell of a killed process or of a full disk.
_TOLD = ("Kernel died", "No space left on device", "disk is full")


class Bout(Protocol):
    """What the reckoning needs to know of the bout."""

    accepted: set[str]
    lost_workers: set[int]
    stuck: list[str]


@dataclass
class Reckoning:
    """The result. `faults` has one line for each thing that must not be."""

    kills: Counter[str]
    accepted: int
    ends: Counter[str] = field(default_factory=Counter)
    begun_again: int = 0
    requeued: int = 0
    leftovers: int = 0
    #: How many records besides executions the doors have promised.
    promises: int = 0
    machine: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return the figures as a table."""
        rows = [
            ("kills", ", ".join(f"{part} {number}" for part, number in sorted(self.kills.items()))),
            ("faults of the machine", ", ".join(f"{what} {number}" for what, number in sorted(self.machine.items()))),
            ("other records promised", str(self.promises)),
            ("executions accepted", str(self.accepted)),
            ("how they ended", ", ".join(f"{how} {number}" for how, number in sorted(self.ends.items()))),
            ("put back into the queue", str(self.requeued)),
            ("begun again, and flagged", str(self.begun_again)),
            ("temporary files left behind", str(self.leftovers)),
            ("lost, stuck, doubled, surviving or unexplained", str(len(self.faults))),
        ]
        return "\n".join(["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])


def reckon(bout: Bout, store: Store, killer: Killer, workspace: Path) -> Reckoning:
    """Compare everything with everything."""
    found = Reckoning(kills=killer.kills, accepted=len(bout.accepted))
    executions = {execution.id: execution for execution in _executions(store)}
    events = list(_events(store))
    begun = marks.read(workspace)
    found.faults += [f"lost: {one}" for one in sorted(bout.accepted - executions.keys())]
    found.faults += [f"stuck: {one}" for one in bout.stuck]
    found.faults += [f"survived: {one}" for one in killer.survivors]
    found.faults += [f"still there: {' '.join(one.cmdline())}" for one in processes(workspace)]
    found.faults += [f"unknown to the store: {one}" for one in sorted(begun.keys() - executions.keys())]
    for execution in executions.values():
        found.ends[execution.error.name if execution.error else execution.status.value] += 1
        own = [event for event in events if event.subject_id == execution.id]
        if execution.notebook and not (workspace / execution.notebook).is_file():
            found.faults.append(f"a notebook that is not there: {execution.id}, {execution.notebook}")
        found.faults += _faults_of(execution, begun.get(execution.id, []), own)
        found.begun_again += max(0, sum(mark.word == "begin" for mark in begun.get(execution.id, [])) - 1)
        found.requeued += sum(event.type == "ExecutionRequeued" for event in own)
    found.faults += _unnoticed(bout.lost_workers, events)
    found.leftovers = sum(1 for _ in (workspace.parent / "t").iterdir()) + sum(1 for _ in workspace.rglob("*.tmp"))
    return found


def _faults_of(execution: Execution, begun: list[Mark], events: list[Event]) -> Iterator[str]:
    """Yield what the marks of one execution have against its record and its history."""
    what = f"{execution.id} ({execution.status}, {execution.error and execution.error.name})"
    claims = [event.data["attempt"] for event in events if event.type == "ExecutionStarted"]
    attempts = [mark.attempt for mark in begun if mark.word == "begin"]
    if not execution.is_ended:
        yield f"not ended: {what}"
    if len(attempts) != len(set(attempts)) or not set(attempts) <= set(claims):
        yield f"run twice without a word: {what}, begun in attempts {attempts}, claimed in {claims}"
    if len(claims) != len(set(claims)) or sum(event.type == "ExecutionRequeued" for event in events) < len(claims) - 1:
        yield f"claimed again without a word: {what}, claimed in {claims}"
    if execution.status is Status.ENDED_SUCCESS:
        if [(mark.word, mark.attempt) for mark in begun[-2:]] != [(one, execution.attempt) for one in ("begin", "end")]:
            yield f"a success that was none: {what}, {begun}"
    elif not (_tells_of_a_fault(execution) or (execution.parent_id and execution.message == PARENT_ENDED)):
        yield f"an end that nothing explains: {what}, {execution.message}"


def _tells_of_a_fault(execution: Execution) -> bool:
    error = execution.error
    return error is not None and (error.name in _KILLED or any(words in error.value for words in _TOLD))


def _unnoticed(lost: set[int], events: list[Event]) -> Iterator[str]:
    """Yield the killed workers whose loss no event tells of."""
    workers = {event.subject_id: event.data["pid"] for event in events if event.type == "WorkerStarted"}
    told = Counter(workers[event.subject_id] for event in events if event.type == "WorkerLost")
    for pid in sorted(lost):
        if pid in workers.values() and not told[pid]:
            yield f"nobody noticed that worker {pid} was killed"


def _executions(store: Store) -> Iterator[Execution]:
    cursor = None
    while True:
        page = store.executions.page(ExecutionFilter(), limit=500, before=cursor)
        yield from page.items
        if (cursor := page.next) is None:
            return


def _events(store: Store) -> Iterator[Event]:
    position = 0
    while events := store.events.after(position, limit=500):
        yield from events
        position = events[-1].id
