"""Creates the record of a flow from its file."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloudo_kernel.errors import AddressRefused
from cloudo_kernel.models import Fault, Flow, FlowMetadata, FlowSource, JsonObject, Notification, Occasion
from cloudo_kernel.security import outbound_http
from cloudo_kernel.workspace.catalog import notebook, script
from cloudo_kernel.workspace.catalog.kernels import language_of
from cloudo_kernel.workspace.catalog.parameters import input_schema, write_only
from cloudo_kernel.workspace.catalog.places import SCRIPT, Place, name_fault, printable
from cloudo_kernel.workspace.catalog.values import NotJson, json_value

_LAST_MOMENT = 253_402_300_799  # the end of the year 9999, the last one that datetime supports


def describe(place: Place, text: str, *, is_script: bool, native_kernels: Collection[str]) -> Flow:
    """Return the record of the flow with this text, broken or not.

    A notebook with one of the `native_kernels` or without a kernel runs in the kernel `cloudo`, as every script does.
    """
    try:
        return _script(place, text, native_kernels) if is_script else _notebook(place, text, native_kernels)
    except notebook.Unreadable as error:
        return broken(place, str(error))


def broken(place: Place, reason: str) -> Flow:
    """Return the record of a file that cannot be a flow."""
    return _flow(place, broken=reason)


def checked_calls(flow: Flow, allowed: Sequence[outbound_http.Network]) -> Flow:
    """Return the flow, marked broken if one of its notifications calls an address that is not allowed."""
    following = (one for occasion in Occasion for one in getattr(flow.metadata, occasion))
    try:
        for one in following:
            if isinstance(one, Notification):
                outbound_http.check(one.url, allowed)
    except AddressRefused as error:
        return flow.model_copy(update={"broken": flow.broken or f"its metadata is invalid: {error}"})
    return flow


def status(path: str | Path) -> os.stat_result:
    """Return the status of the file, or of the link itself if its target is missing. Raises `FileNotFoundError`."""
    try:
        return os.stat(path)  # noqa: PTH116 -- takes half the time of that of a path, which counts for 5,000 flows
    except OSError:
        return os.lstat(path)


def _script(place: Place, text: str, native_kernels: Collection[str]) -> Flow:
    handler = script.parse(text)
    metadata = _metadata(handler.metadata)
    if metadata.kernel is not None and metadata.kernel not in native_kernels:
        raise notebook.Unreadable("its metadata 'cloudo.kernel' is invalid: a script runs only in the kernel cloudo")
    return _flow(place, kind="script", title=metadata.title or handler.title, metadata=metadata)


def _notebook(place: Place, text: str, native_kernels: Collection[str]) -> Flow:
    book = notebook.parse(text)
    metadata = _metadata(book.metadata.get("cloudo", {}))
    kernel = metadata.kernel or book.kernel_name
    if kernel is None or kernel in native_kernels:
        kernel = "cloudo"
    # The cell of another language cannot be parsed, so its flow accepts any inputs.
    source = book.parameters if language_of(kernel, book) == "python" else None
    schema, fault = None, None
    try:
        schema = input_schema(source)
    except SyntaxError as error:
        fault = str(error)
    title = metadata.title or book.heading
    return _flow(place, title=title, metadata=metadata, kernel=kernel, schema=schema, broken=fault)


def _metadata(given: Any) -> FlowMetadata:
    try:
        return FlowMetadata.model_validate(json_value(given))
    except ValidationError as error:
        fault = Fault.of(error)
        field = ".".join(map(str, ("cloudo", *fault.path)))
        raise notebook.Unreadable(f"its metadata {field!r} is invalid: {fault.problem}") from error
    except NotJson as error:
        raise notebook.Unreadable(f"its metadata 'cloudo{error.path}' is invalid: {error}") from error


def _flow(
    place: Place,
    *,
    kind: str | None = None,
    title: str | None = None,
    metadata: FlowMetadata | None = None,
    kernel: str = "cloudo",
    schema: JsonObject | None = None,
    broken: str | None = None,
) -> Flow:
    metadata = metadata or FlowMetadata()
    schema = write_only(schema or input_schema(None), metadata.protect_inputs)
    if place.winner is None and (fault := name_fault(place.name)):
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
        kind=kind or ("script" if place.ending == SCRIPT else "notebook"),
        path=printable(path.as_posix()),
        kernel=kernel,
        input_schema=schema,
        metadata=metadata,
        modified_at=datetime.fromtimestamp(min(max(status(place.path).st_mtime, 0), _LAST_MOMENT), UTC),
        broken=broken,
    )
