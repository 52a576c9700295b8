"""Opens the store, the catalog and the worker of a backend, and looks at what it has opened.

The slow imports are inside the functions, see `backend`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudo_kernel.errors import SecretLost, Unavailable
from cloudo_kernel.models import Health
from cloudo_kernel.processes.loop import Loop, states
from cloudo_kernel.workspace.layout import Workspace

if TYPE_CHECKING:
    from cloudo_kernel.store import Store
    from cloudo_kernel.worker.worker import Worker
    from cloudo_kernel.workspace.catalog import Catalog

_log = logging.getLogger(__name__)


def build(workspace: Workspace, *, has_worker: bool, **worker_options: Any) -> tuple[Store, Catalog, Worker | None]:
    """Create the workspace's folders and open the store. Raises `Unavailable`."""
    from cloudo_kernel.store import Store
    from cloudo_kernel.worker.worker import Worker
    from cloudo_kernel.workspace.catalog import Catalog, library_folders

    try:
        workspace.create()
    except OSError as error:
        raise Unavailable(
            f"The workspace {workspace.root} cannot be written to ({error.strerror}). "
            "Give this user the right to, or set c.Cloudo.workspace to another folder."
        ) from error
    store = Store.open(workspace.database_url, key_file=workspace.key_file)
    catalog = Catalog(workspace, library=library_folders())
    return store, catalog, Worker(store, catalog, **worker_options) if has_worker else None


def check_key(store: Store) -> None:
    """Log an error if the store holds secrets and their key file is missing."""
    try:
        store.encryption.check()
    except SecretLost as error:
        _log.error("%s", error)


def with_loops(health: Health, worker: Worker | None, others: Sequence[Loop]) -> Health:
    """Add the state of this server's loops; the store's tail may be one of the worker's."""
    from cloudo_kernel.service.loop_health import with_server_loops

    own = () if worker is None else worker.loops
    worker_id = None if worker is None else worker.id
    beside = [loop for loop in others if loop not in own]
    return with_server_loops(health, states(own), states(beside), worker_id=worker_id, pid=os.getpid())
