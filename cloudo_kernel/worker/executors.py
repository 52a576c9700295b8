"""Find the installed executors by name. Packages add theirs to the entry-point group `cloudo.executors`."""

from __future__ import annotations

from collections.abc import Callable
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


def check(name: str, *, field: str, slots: int | None, address: str) -> None:
    """Raise an error, before anything starts, if the executor is not installed or cannot use the settings.

    The error names `field` if the executor is not installed. `local` is not loaded, and takes no address.
    """
    if name != LOCAL:
        checked: Callable[..., None] = getattr(_load(name, field=field), "check", _nothing)
        checked(slots=slots, address=address)
    elif address:
        raise MalformedRequest(
            f"dask_address: only the executor 'dask' uses {address!r}, and the executor is 'local'. Set {field} to "
            "'dask', or leave the address out.",
            field="dask_address",
        )


def load(name: str) -> NewExecutor:
    """Return what creates the executor. Raises `MalformedRequest`, and `Unavailable` if its module cannot be loaded."""
    return _load(name, field="executor")


def _load(name: str, *, field: str) -> NewExecutor:
    found = _BUILT_IN if name == LOCAL else next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        names = ", ".join(installed())
        raise MalformedRequest(f"{field}: no executor {name!r} is installed. Installed: {names}.", field=field)
    try:
        made: NewExecutor = found.load()
    except (ImportError, AttributeError) as error:
        raise Unavailable(f"The executor {name!r} is installed, but cannot be loaded: {error}.") from error
    return made


def _nothing(*, slots: int | None, address: str) -> None:
    """Stand for the check of an executor without one."""
