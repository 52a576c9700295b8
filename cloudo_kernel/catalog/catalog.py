"""Finds flows, in the workspace first and then in the library, and changes those of the workspace.

Who may do what, and what a change means to schedules and executions, is the service's business.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from cloudo_kernel import errors, files
from cloudo_kernel.catalog import notebook
from cloudo_kernel.catalog.names import check_name, contained, is_below, name_fault
from cloudo_kernel.catalog.parameters import input_schema
from cloudo_kernel.catalog.values import NotJson, json_value
from cloudo_kernel.models import Flow, FlowMetadata, FlowSource, JsonObject
from cloudo_kernel.workspace import Workspace

ENDING = ".ipynb"
_LAST_MOMENT = 253_402_300_799  # the end of the year 9999, which is as far as datetime goes


@dataclass(frozen=True)
class Source:
    """A flow's source as it was at one moment: what an execution keeps and runs."""

    #: Exactly what the file held.
    text: str
    #: Of the text in UTF-8, as hexadecimal digits.
    sha256: str
    kind: str
    flow: Flow
    #: Where the notebook lives, absolute: the working folder of its runs.
    folder: Path


@dataclass(frozen=True)
class _Place:
    """A file that is, or claims to be, a flow."""

    name: str
    source: FlowSource
    #: The folder that the name counts from, links resolved.
    root: Path
    path: Path


class Catalog:
    """All flows. May be used from several threads at once."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        library: Sequence[Path] = (),
        python_kernels: Sequence[str] = ("python3",),
    ) -> None:
        self.workspace = workspace
        own = [(FlowSource.WORKSPACE, workspace.flows)]
        shipped = [(FlowSource.LIBRARY, folder) for folder in library]
        self._roots = [(source, Path(os.path.realpath(folder))) for source, folder in own + shipped]
        self._native_kernels = {"cloudo", *python_kernels}
        self._lock = threading.Lock()
        #: Parsed flows by path, with what tells whether the file has changed since.
        self._parsed: dict[Path, tuple[tuple[int, int, int], Flow]] = {}
        #: Flows by path as they were started last, with the digest of their text.
        self._started: dict[Path, tuple[str, Flow]] = {}
        self._changes = threading.Lock()

    def flows(self, q: str | None = None) -> tuple[Flow, ...]:
        """List the flows by name; `q` must be part of name, title or a tag, in whatever case.

        What cannot be read is listed with the reason in `broken`. Hidden folders and links to folders are
        not looked into.
        """
        places = self._places()
        with self._lock:
            paths = {place.path for place in places.values()}
            for path in self._parsed.keys() - paths:
                del self._parsed[path]
            for path in self._started.keys() - paths:
                del self._started[path]
        found = []
        for place in places.values():
            with contextlib.suppress(FileNotFoundError):  # deleted in this moment
                found.append(self._read(place))
        wanted = (q or "").casefold()
        return tuple(
            flow
            for flow in sorted(found, key=lambda flow: (flow.name.casefold(), flow.name))
            if any(wanted in text.casefold() for text in (flow.name, flow.title, *flow.tags))
        )

    def flow(self, name: str) -> Flow:
        """Return one flow, broken or not. Raises `FlowNotFound`, `NameInvalid`."""
        try:
            return self._read(self._found(name))
        except FileNotFoundError as error:
            raise self._not_found(name) from error

    def snapshot(self, name: str) -> Source:
        """Return the source of a flow as it is now. Raises `FlowNotFound`, `NameInvalid`, `FlowBroken`.

        The file is read each time, as its time and size do not tell of every change; it is parsed when its text is new.
        """
        place = self._found(name)
        try:
            text = notebook.read(place.root, place.path)
            digest = _sha256(text)
            with self._lock:
                known = self._started.get(place.path)
            flow = known[1] if known and known[0] == digest else self._described(place, text)
        except notebook.Unreadable as error:
            raise errors.FlowBroken(place.name, str(error)) from error
        except FileNotFoundError as error:
            raise self._not_found(name) from error
        if flow.broken:
            raise errors.FlowBroken(place.name, flow.broken)
        with self._lock:
            self._started[place.path] = (digest, flow)
        return Source(text=text, sha256=digest, kind=flow.kind, flow=flow, folder=place.path.parent)

    def script(self, text: str) -> Source:
        """Return source that came with a request, Python or a notebook's JSON text, as if it were a flow's.

        Raises `MalformedRequest`.
        """
        if not text.lstrip().startswith("{"):
            text = notebook.of_python(text)
        root = self.workspace.root
        flow = self._described(_Place("script", FlowSource.WORKSPACE, root, root), text)
        if flow.broken:
            raise errors.MalformedRequest(f"The script cannot be run: {flow.broken}.", field="script")
        return Source(text=text, sha256=_sha256(text), kind=flow.kind, flow=flow, folder=root)

    def create(self, name: str, text: str) -> Flow:
        """Make a flow of the workspace from a notebook's JSON text; one of the library may have its name.

        Raises `NameInvalid`, `FlowExists`, `MalformedRequest`.
        """
        with self._changing(name):
            path = self._free(name)
            _check_notebook(text)
            files.write_new(path, text)
        return self.flow(name)

    def replace(self, name: str, text: str) -> Flow:
        """Give a flow of the workspace another source.

        Raises `FlowNotFound`, `PermissionDenied` (a flow of the library), `MalformedRequest`.
        """
        with self._changing(name):
            place = self._own(name)
            if not is_below(place.root, place.path):
                raise errors.PermissionDenied(f"The flow {name!r} is a link that leaves the folder of the flows.")
            _check_notebook(text)
            files.write_over(Path(os.path.realpath(place.path)), text)
        return self.flow(name)

    def rename(self, name: str, new_name: str) -> Flow:
        """Move a flow of the workspace to another name.

        Raises `FlowNotFound`, `PermissionDenied` (a flow of the library), `NameInvalid`, `FlowExists`.
        """
        with self._changing(name, new_name):
            place = self._own(name)
            if check_name(new_name) != place.name:
                files.move(place.path, self._free(new_name))
                _remove_empty(place)
        return self.flow(new_name)

    def delete(self, name: str) -> None:
        """Delete a flow of the workspace, and the folders that are empty then.

        Raises `FlowNotFound`, `PermissionDenied` (a flow of the library).
        """
        with self._changing(name):
            place = self._own(name)
            place.path.unlink()
            _remove_empty(place)

    def _places(self) -> dict[str, _Place]:
        """Walk through all folders; the first file of a name wins."""
        found: dict[str, _Place] = {}
        for source, root in self._roots:
            for folder, below, names in os.walk(root):
                below[:] = sorted(name for name in below if name[0] != "." and name != "__pycache__")
                for file in sorted(names):
                    if file.endswith(ENDING) and not file.startswith("."):
                        place = _place(source, root, Path(folder, file))
                        found.setdefault(place.name, place)
        return found

    def _find(self, name: str) -> _Place | None:
        normal = check_name(name)
        for source, root in self._roots:
            # A link among the folders is resolved: one name per file, and no way out of the root later.
            folder = Path(os.path.realpath((root / normal).parent))
            if not folder.is_relative_to(root):
                raise errors.NameInvalid(name, "its link leaves the folder of the flows")
            path = folder / f"{normal.rpartition('/')[2]}{ENDING}"
            if os.path.lexists(path):
                return _place(source, root, path)
            # Some systems write file names decomposed (NFD).
            if not normal.isascii() and (place := self._places().get(normal)) and place.source == source:
                return place
        return None

    def _found(self, name: str) -> _Place:
        place = self._find(name)
        if place is None:
            raise self._not_found(name)
        return place

    def _not_found(self, name: str) -> errors.FlowNotFound:
        names = list(self._places())
        spellings = {known.rpartition("/")[2].casefold(): known for known in names}
        spellings |= {known.casefold(): known for known in names}
        close = difflib.get_close_matches(name.casefold(), spellings, n=3)
        return errors.FlowNotFound(name, similar=list(dict.fromkeys(spellings[key] for key in close)))

    def _own(self, name: str) -> _Place:
        place = self._found(name)
        if place.source == FlowSource.LIBRARY:
            raise errors.PermissionDenied(
                f"The flow {name!r} belongs to the library and cannot be changed. Copy it into the workspace first."
            )
        return place

    def _free(self, name: str) -> Path:
        """Return where a new flow of the workspace goes."""
        place = self._find(name)
        if place and place.source == FlowSource.WORKSPACE:
            raise errors.FlowExists(name)
        path = contained(self._roots[0][1], name, ENDING)
        if blocking := next((folder for folder in path.parents if folder.is_file()), None):
            raise errors.NameInvalid(name, f"{blocking.name!r} is a file and not a folder")
        return path

    @contextlib.contextmanager
    def _changing(self, name: str, new_name: str | None = None) -> Iterator[None]:
        """Let one change be made at a time, and say what the operating system refused."""
        try:
            with self._changes:
                yield
        except FileExistsError as error:
            raise errors.FlowExists(new_name or name) from error
        except FileNotFoundError as error:
            raise self._not_found(name) from error
        except PermissionError as error:
            raise errors.PermissionDenied(
                f"The flow {name!r} cannot be written: the file system does not permit it."
            ) from error
        except OSError as error:
            raise errors.Unavailable(f"The flow {name!r} cannot be written: {error.strerror}.") from error

    def _read(self, place: _Place) -> Flow:
        """Return the flow in the file, from memory while the file is as it was. Raises `FileNotFoundError`."""
        status = _status(place.path)
        signature = (status.st_mtime_ns, status.st_size, status.st_ino)
        with self._lock:
            known = self._parsed.get(place.path)
        if known and known[0] == signature:
            return known[1]
        try:
            text = notebook.read(place.root, place.path)
        except notebook.Unreadable as error:  # not kept: permissions and links change without a trace
            return _flow(place, broken=str(error))
        flow = self._described(place, text)
        with self._lock:
            self._parsed[place.path] = (signature, flow)
        return flow

    def _described(self, place: _Place, text: str) -> Flow:
        try:
            book = notebook.parse(text)
            metadata = _metadata(book)
        except notebook.Unreadable as error:
            return _flow(place, broken=str(error))
        kernel = book.kernel_name
        if kernel is None or kernel in self._native_kernels:
            kernel = "cloudo"
        # The cell of another language cannot be read, so its flow takes any inputs.
        source = book.parameters if kernel == "cloudo" or book.is_python else None
        schema, broken = None, None
        try:
            schema = input_schema(source)
        except SyntaxError as error:
            broken = str(error)
        title = metadata.title or book.heading
        return _flow(place, title=title, metadata=metadata, kernel=kernel, schema=schema, broken=broken)


def _place(source: FlowSource, root: Path, path: Path) -> _Place:
    return _Place(_printable(path.relative_to(root).as_posix()).removesuffix(ENDING), source, root, path)


def _metadata(book: notebook.Notebook) -> FlowMetadata:
    try:
        return FlowMetadata.model_validate(json_value(book.metadata.get("cloudo", {})))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, ("cloudo", *fault["loc"])))
        raise notebook.Unreadable(f"its metadata {field!r} does not fit: {fault['msg']}") from error
    except NotJson as error:
        raise notebook.Unreadable(f"its metadata 'cloudo{error.path}' does not fit: {error}") from error


def _flow(
    place: _Place,
    *,
    title: str | None = None,
    metadata: FlowMetadata | None = None,
    kernel: str = "cloudo",
    schema: JsonObject | None = None,
    broken: str | None = None,
) -> Flow:
    metadata = metadata or FlowMetadata()
    if fault := name_fault(place.name):
        broken = f"its file name cannot be a flow's: {fault}; rename the file"
    path = place.path
    if place.source == FlowSource.WORKSPACE:
        path = Path("flows", path.relative_to(place.root))
    return Flow(
        name=place.name,
        title=title or place.name.rpartition("/")[2],
        description=metadata.description or "",
        tags=metadata.tags,
        source=place.source,
        path=_printable(path.as_posix()),
        kernel=kernel,
        input_schema=schema or input_schema(None),
        metadata=metadata,
        modified_at=datetime.fromtimestamp(min(max(_status(place.path).st_mtime, 0), _LAST_MOMENT), UTC),
        broken=broken,
    )


def _status(path: Path) -> os.stat_result:
    """Return the status of the file, or of the link itself if it leads nowhere. Raises `FileNotFoundError`."""
    try:
        return path.stat()
    except OSError:
        return path.lstat()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check_notebook(text: str) -> None:
    try:
        notebook.check(text)
    except notebook.Unreadable as error:
        raise errors.MalformedRequest(f"The source is no notebook: {error}.", field="source") from error


def _remove_empty(place: _Place) -> None:
    """Remove the folders above a file that has gone, as far as they are empty and below the root."""
    for folder in place.path.parents:
        try:
            if folder == place.root:
                break
            folder.rmdir()
        except OSError:
            break


def _printable(name: str) -> str:
    """Return a file name as text that JSON can carry: undecodable bytes become `�`."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="replace"))
