"""Find the installed executors by name. Packages add theirs to the entry-point group `cloudo.executors`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

from cloudo_kernel.errors import MalformedRequest, Unavailable

if TYPE_CHECKING:
    from cloudo_kernel.worker.executor import NewExecutor

GROUP: Final = "cloudo.executors"
LOCAL: Final = "local"
#: Known without the metadata of installed packages, which takes 10 ms to read and may be damaged.
_BUILT_IN: Final = EntryPoint(LOCAL, "cloudo_kernel.worker.local_executor:LocalExecutor", GROUP)


def installed() -> tuple[str, ...]:
    """Return the names of the installed executors, sorted."""
    return tuple(sorted({LOCAL, *entry_points(group=GROUP).names}))


def checked(name: str, *, field: str) -> EntryPoint:
    """Return the entry point of an executor, without loading it. Raises `MalformedRequest`, naming `field`."""
    if name == LOCAL:
        return _BUILT_IN
    for found in entry_points(group=GROUP, name=name):
        return found
    raise MalformedRequest(
        f"{field}: no executor {name!r} is installed. Installed: {', '.join(installed())}.", field=field
    )


def load(name: str) -> NewExecutor:
    """Return what creates the executor. Raises `MalformedRequest`, and `Unavailable` if its module cannot be loaded."""
    try:
        made: NewExecutor = checked(name, field="executor").load()
    except (ImportError, AttributeError) as error:
        raise Unavailable(f"The executor {name!r} is installed, but cannot be loaded: {error}.") from error
    return made
