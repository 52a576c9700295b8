"""Finds flows, in the workspace first and then in the library, and changes those of the workspace.

Permissions, and the effects of a change on schedules and executions, are left to the service.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cloudo_kernel import errors
from cloudo_kernel.models import Flow, FlowSource
from cloudo_kernel.workspace import atomic_write
from cloudo_kernel.workspace.catalog import description, notebook, script
from cloudo_kernel.workspace.catalog.kernels import CLOUDO, kernel_fault
from cloudo_kernel.workspace.catalog.places import (
    NOTEBOOK,
    SCRIPT,
    Place,
    Places,
    check_name,
    contained,
    is_below,
    sort_key,
)
from cloudo_kernel.workspace.layout import Workspace


@dataclass(frozen=True)
class Source:
    """A snapshot of a flow's source, which an execution stores and runs."""

    #: The exact text of the file.
    text: str
    #: The digest of the text in UTF-8, in hexadecimal.
    sha256: str
    kind: str
    flow: Flow
    #: The absolute folder of the file, which is the working folder of its runs.
    folder: Path


@dataclass(frozen=True)
class Listing:
    """All flows at one moment."""

    #: Sorted by name.
    flows: tuple[Flow, ...]
    #: Changes whenever a flow is added, changed or removed; other processes have other versions.
    version: str
    #: When the look at the files began, by the monotonic clock.
    looked_at: float


class Catalog:
    """All flows. Thread-safe."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        library: Sequence[Path] = (),
        python_kernels: Sequence[str] = ("python3",),
    ) -> None:
        self.workspace = workspace
        self._places = Places(workspace.flows, library)
        self._native_kernels = {"cloudo", *python_kernels}
        self._lock = threading.Lock()
        #: Parsed flows by path, with a signature that tells whether the file has changed since.
        self._parsed: dict[str, tuple[tuple[int, int, int], Flow]] = {}
        self._looking = threading.Lock()
        self._listing = Listing((), f"{secrets.token_hex(4)}-0", -math.inf)
        #: When a flow was last changed here.
        self._changed_at = -math.inf
        #: Flows by path as of their last start, with the digest of their text.
        self._started: dict[str, tuple[str, Flow]] = {}
        self._changes = threading.Lock()
        #: The sources that each thread has read in its current `at_one_moment`: saves 32 % of 32 calls of a webhook.
        self._moment = threading.local()

    def flows(self, q: str | None = None) -> tuple[Flow, ...]:
        """Return the flows sorted by name; `q` must be part of name, title or a tag, case-insensitive.

        Files that cannot be read are included, with the reason in `broken`. Hidden folders and links to folders are
        skipped.
        """
        wanted = (q or "").casefold()
        return tuple(flow for flow in self.listing().flows if is_match(flow, wanted))

    def listing(self, *, max_age_seconds: float = 0.0) -> Listing:
        """Return all flows, from a look at their files that began at most `max_age_seconds` before this call.

        Callers that wait for another one's look share the next look.
        """
        oldest = time.monotonic() - max_age_seconds
        with self._looking:
            if self._listing.looked_at < max(oldest, self._changed_at):
                self._listing = self._look(self._listing)
            return self._listing

    def _look(self, last: Listing) -> Listing:
        now, places = time.monotonic(), self._places.all()
        with self._lock:
            paths = {str(place.path) for place in places.values()}
            for known in (self._parsed, self._started):
                for path in known.keys() - paths:
                    del known[path]
        found, fault = [], cache(kernel_fault)
        for place in places.values():
            with contextlib.suppress(FileNotFoundError):  # deleted just now
                found.append(_with_kernel_fault(self._read(place), fault))
        flows = tuple(sorted(found, key=lambda flow: sort_key(flow.name)))
        boot, _, number = last.version.partition("-")
        version = last.version if flows == last.flows else f"{boot}-{int(number) + 1}"
        return Listing(flows, version, now)

    def flow(self, name: str) -> Flow:
        """Return one flow, broken or not. Raises `FlowNotFound`, `NameInvalid`."""
        try:
            return _with_kernel_fault(self._read(self._found(name)), kernel_fault)
        except FileNotFoundError as error:
            raise self._not_found(name) from error

    def native(self, kernel: str) -> str:
        """Return the name of a kernel for records: the server's own Python is `cloudo`."""
        return CLOUDO.name if kernel in self._native_kernels else kernel

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Use one snapshot of each flow for all starts of this thread in the block, which were requested together."""
        self._moment.sources = {}
        try:
            yield
        finally:
            del self._moment.sources

    def snapshot(self, name: str) -> Source:
        """Return the current source of a flow. Raises `FlowNotFound`, `NameInvalid`, `FlowBroken`.

        Reads the file each time, because its time and size do not reveal every change. Parses it if its text is new.
        """
        kept: dict[str, Source] | None = getattr(self._moment, "sources", None)
        if kept is None:
            return self._snapshot(name)
        if name not in kept:
            kept[name] = self._snapshot(name)
        return kept[name]

    def _snapshot(self, name: str) -> Source:
        place = self._found(name)
        try:
            text = notebook.read(place.root, place.path)
            digest = _sha256(text)
            with self._lock:
                known = self._started.get(str(place.path))
            flow = known[1] if known and known[0] == digest else self._described(place, text)
        except notebook.Unreadable as error:
            raise errors.FlowBroken(place.name, str(error)) from error
        except FileNotFoundError as error:
            raise self._not_found(name) from error
        if flow.broken:
            raise errors.FlowBroken(place.name, flow.broken)
        with self._lock:
            self._started[str(place.path)] = (digest, flow)
        return Source(text=text, sha256=digest, kind=flow.kind, flow=flow, folder=place.path.parent)

    def script(self, text: str) -> Source:
        """Return the source of a script from a request, which is Python or a notebook's JSON text.

        Raises `MalformedRequest`.
        """
        is_handler = script.is_handler(text)
        if not is_handler and not text.lstrip().startswith("{"):
            text = notebook.of_python(text)
        root = self.workspace.root
        place = Place("script", FlowSource.WORKSPACE, root, root)
        flow = self._described(place, text, is_script=is_handler)
        if flow.broken:
            raise errors.MalformedRequest(f"The script cannot be run: {flow.broken}.", field="script")
        return Source(text=text, sha256=_sha256(text), kind=flow.kind, flow=flow, folder=root)

    def pinned(self, name: str, text: str) -> Source:
        """Return the source that a flow had when a schedule pinned it. Raises `FlowBroken`."""
        place = self._places.find(name) or Place(name, FlowSource.WORKSPACE, self._places.own, self._places.own / name)
        flow = self._described(place, text, is_script=script.is_handler(text))
        if flow.broken:
            raise errors.FlowBroken(name, flow.broken)
        folder = place.path.parent if place.path.parent.is_dir() else self.workspace.root
        return Source(text=text, sha256=_sha256(text), kind=flow.kind, flow=flow, folder=folder)

    def create(self, name: str, text: str) -> Flow:
        """Create a flow in the workspace from a notebook's JSON text, or from a script that defines `handler`.

        A flow of the library may have the same name. Raises `NameInvalid`, `FlowExists`, `MalformedRequest`.
        """
        with self._changing(name):
            ending = SCRIPT if script.is_handler(text) else NOTEBOOK
            path = self._free(name, ending)
            _check(text, ending)
            atomic_write.write_new(path, text)
        return self.flow(name)

    def replace(self, name: str, text: str) -> Flow:
        """Replace the source of a flow of the workspace; a notebook stays a notebook, and a script stays a script.

        Raises `FlowNotFound`, `PermissionDenied` (a flow of the library), `MalformedRequest`.
        """
        with self._changing(name):
            place = self._own(name)
            if not is_below(place.root, place.path):
                raise errors.PermissionDenied(f"The flow {name!r} is a link that leaves the folder of the flows.")
            _check(text, place.ending)
            atomic_write.write_over(Path(os.path.realpath(place.path)), text)
        return self.flow(name)

    def rename(self, name: str, new_name: str) -> Flow:
        """Rename a flow of the workspace.

        Raises `FlowNotFound`, `PermissionDenied` (a flow of the library), `NameInvalid`, `FlowExists`.
        """
        with self._changing(name, new_name):
            place = self._own(name)
            if check_name(new_name) != place.name:
                atomic_write.move(place.path, self._free(new_name, place.ending))
                _remove_empty(place)
        return self.flow(new_name)

    def delete(self, name: str) -> None:
        """Delete a flow of the workspace, and the folders that become empty.

        Raises `FlowNotFound`, `PermissionDenied` (a flow of the library).
        """
        with self._changing(name):
            place = self._own(name)
            place.path.unlink()
            _remove_empty(place)

    def _found(self, name: str) -> Place:
        place = self._places.find(name)
        if place is None:
            raise self._not_found(name)
        return place

    def _not_found(self, name: str) -> errors.FlowNotFound:
        names = [place.name for place in self._places.all().values() if place.winner is None]
        spellings = {known.rpartition("/")[2].casefold(): known for known in names}
        spellings |= {known.casefold(): known for known in names}
        close = difflib.get_close_matches(name.casefold(), spellings, n=3)
        return errors.FlowNotFound(name, similar=list(dict.fromkeys(spellings[key] for key in close)))

    def _own(self, name: str) -> Place:
        place = self._found(name)
        if place.source == FlowSource.LIBRARY:
            raise errors.PermissionDenied(
                f"The flow {name!r} belongs to the library and cannot be changed. Copy it into the workspace first."
            )
        return place

    def _free(self, name: str, ending: str) -> Path:
        """Return the path for a new flow of the workspace. Raises `FlowExists`, `NameInvalid`."""
        place = self._places.find(name)
        if place and place.source == FlowSource.WORKSPACE:
            raise errors.FlowExists(name)
        path = contained(self._places.own, name, ending)
        if blocking := next((folder for folder in path.parents if folder.is_file()), None):
            raise errors.NameInvalid(name, f"{blocking.name!r} is a file and not a folder")
        return path

    @contextlib.contextmanager
    def _changing(self, name: str, new_name: str | None = None) -> Iterator[None]:
        """Allow one change at a time, and turn errors of the operating system into our own."""
        try:
            with self._changes:
                yield
                self._changed_at = time.monotonic()
        except FileExistsError as error:
            raise errors.FlowExists(new_name or name) from error
        except FileNotFoundError as error:
            raise self._not_found(name) from error
        except PermissionError as error:
            raise errors.PermissionDenied(
                f"The flow {name!r} cannot be written: the file system does not permit it."
            ) from error
        except OSError as error:
            if error.errno in atomic_write.NAME_REFUSED:
                raise errors.NameInvalid(new_name or name, str(error.strerror).lower()) from error
            raise errors.Unavailable(f"The flow {name!r} cannot be written: {error.strerror}.") from error

    def _read(self, place: Place) -> Flow:
        """Return the flow in the file, cached until the file changes. Raises `FileNotFoundError`."""
        path = str(place.path)  # not the path itself: its status and its hash take as long as the rest
        status = description.status(path)
        if place.winner is not None:
            return description.broken(place, f"{place.winner.name!r} beside it has the same name and wins; rename it")
        signature = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._parsed.get(path)
        if known and known[0] == signature:
            return known[1]
        try:
            text = notebook.read(place.root, place.path)
        except notebook.Unreadable as error:  # not cached: permissions and links change without a trace
            return description.broken(place, str(error))
        flow = self._described(place, text)
        with self._lock:
            self._parsed[path] = (signature, flow)
        return flow

    def _described(self, place: Place, text: str, *, is_script: bool | None = None) -> Flow:
        is_script = place.ending == SCRIPT if is_script is None else is_script
        flow = description.describe(place, text, is_script=is_script, native_kernels=self._native_kernels)
        return description.checked_calls(flow, self.workspace.allowed_private_networks)


def is_match(flow: Flow, wanted: str) -> bool:
    """Return whether a text in lower case (`str.casefold`) is part of the flow's name, title or a tag."""
    return not wanted or any(wanted in text.casefold() for text in (flow.name, flow.title, *flow.tags))


def _with_kernel_fault(flow: Flow, fault: Callable[[str], str | None]) -> Flow:
    """Return the flow, marked broken if its kernel is not installed. Not cached, as that changes without the file."""
    reason = flow.broken or (None if flow.kernel == CLOUDO.name else fault(flow.kernel))
    return flow if reason == flow.broken else flow.model_copy(update={"broken": reason})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check(text: str, ending: str) -> None:
    """Check that a source can be a flow with this ending. Raises `MalformedRequest`."""
    try:
        if ending == SCRIPT:
            script.parse(text)
        else:
            notebook.check(text)
    except notebook.Unreadable as error:
        reason = str(error)
        if ending == SCRIPT:
            raise errors.MalformedRequest(f"The source is not a script of a flow: {reason}.", field="source") from error
        if not text.lstrip().startswith("{") and (fault := _script_fault(text)):
            reason += f"; and as a script, {fault}"
        raise errors.MalformedRequest(f"The source is not a notebook: {reason}.", field="source") from error


def _script_fault(text: str) -> str | None:
    try:
        script.parse(text)
    except notebook.Unreadable as error:
        return str(error)
    return None


def _remove_empty(place: Place) -> None:
    """Remove the empty folders between a removed file and the root."""
    for folder in place.path.parents:
        try:
            if folder == place.root:
                break
            folder.rmdir()
        except OSError:
            break
