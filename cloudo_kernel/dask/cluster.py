"""The dispatcher's connection to a Dask cluster: the address, the client, and which Dask workers can be used."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import dask
from distributed import Client, Future, LocalCluster
from distributed.security import Security

from cloudo_kernel.dask.plugin import VARIABLES, CloudoPlugin, Facts, prepare, run_claim
from cloudo_kernel.errors import MalformedRequest, Unavailable
from cloudo_kernel.processes.zygotes import shared_zygotes
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.worker.executor import ExecutorContext

_log = logging.getLogger(__name__)

_FIELD = "dask_address"
_ENCRYPTED = ("tls", "wss")
_PLAIN = ("tcp", "ws")
#: Maximum time to connect, and for one message to the scheduler and through it to the Dask workers.
_CONNECT_SECONDS = 5.0
_TIMEOUT_SECONDS = 10.0
#: Maximum time for which a start waits until Dask workers have opened the store, and the interval of asking.
_SETUP_SECONDS = 30.0
_SETUP_INTERVAL_SECONDS = 0.05
#: A local cluster shows its state on no page, and leaves the number of threads that numeric libraries use alone.
_LOCAL: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ": {},
}


def check_address(address: str) -> None:
    """Raise `MalformedRequest` unless the address is encrypted, or on this machine only."""
    scheme, host = _parts(address)
    if (scheme or "tcp") not in (*_ENCRYPTED, *_PLAIN) or not host:
        raise _refused(f"{address!r} is not an address of a Dask scheduler, such as tls://scheduler:8786.")
    if scheme in _ENCRYPTED:
        if not Security().get_tls_config_for_role("client").get("ca_file"):
            raise _refused(
                f"{address} needs certificates. Name them in Dask's configuration, distributed.comm.tls; "
                "see docs/scaling.md."
            )
    elif not _is_local(address):
        raise _refused(
            f"{address} is not encrypted, and everyone who can reach it could run programs. "
            "Use tls:// beyond this machine; see docs/scaling.md."
        )


def _refused(text: str) -> MalformedRequest:
    return MalformedRequest(f"{_FIELD}: {text}", field=_FIELD)


def _parts(address: str) -> tuple[str, str]:
    scheme, _, rest = address.rpartition("://")
    return scheme, rest.rpartition(":")[0].strip("[]")


def _is_local(address: str) -> bool:
    """Return whether an address, or none, is on this machine."""
    host = _parts(address)[1] or "localhost"
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Cluster:
    """A Dask cluster: that at the context's address, or a local one of its own, with one Dask worker.

    One Dask worker is enough on one machine, because each run has processes of its own.
    """

    def __init__(self, context: ExecutorContext) -> None:
        self._context = context
        self._workspace = context.catalog.workspace
        self._plugin = CloudoPlugin(str(self._workspace.root), shared_zygotes().preload, context.linger_seconds)
        self._local: LocalCluster | None = None
        self._client: Client | None = None
        self._scheduler_id = ""
        #: The known Dask workers with their threads; 0 for those that cannot be used.
        self._threads: dict[str, int] = {}
        #: Whether all Dask workers have set the plugin up.
        self._is_settled = False
        self._nonce = secrets.token_hex(16)

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return self._context.address or str(self._local and self._local.scheduler_address)

    @property
    def threads(self) -> int:
        """The number of runs that all usable Dask workers can take at once."""
        return sum(self._threads.values())

    def open(self) -> None:
        """Connect. Raises `Unavailable` if there is no scheduler, or if a Dask worker cannot be used."""
        if self._workspace.database_url.startswith("sqlite") and not _is_local(self._context.address):
            raise _refused("other machines need a store in PostgreSQL; see docs/scaling.md.")
        self._digest()  # creates the key, which Dask workers must have
        if not self._context.address:
            self._local = self._local_cluster()
        self._connect()
        obstacles = self._check_new_workers()
        end = time.monotonic() + _SETUP_SECONDS
        while not self._is_settled and time.monotonic() < end:
            time.sleep(_SETUP_INTERVAL_SECONDS)
            obstacles += self._check_new_workers()
        if obstacles:
            raise Unavailable("; ".join(obstacles), reason="a Dask worker cannot be used")

    def refresh(self) -> None:
        """Connect again if necessary, and look for new Dask workers. Raises `Unavailable`."""
        if self._client is None or self._client.status == "closed":
            self._connect()
        for obstacle in self._check_new_workers():
            _log.error("%s", obstacle)

    def submit(self, key: str, execution_id: str, attempt: int) -> Future:
        """Submit a claim to the usable Dask workers, and return at once."""
        usable = [address for address, threads in self._threads.items() if threads]
        return self._connected.submit(run_claim, execution_id, attempt, key=key, workers=usable, pure=False, retries=0)

    def keys(self) -> set[str]:
        """Return the keys of all tasks that are with a Dask worker."""
        client = self._connected
        found = self._ask(client.scheduler.processing, workers=None)
        return {str(key) for keys in found.values() for key in keys}

    def tell(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function on all usable Dask workers. Those that do not answer are left out."""
        usable = [address for address, threads in self._threads.items() if threads]
        try:
            self._connected.run(
                function, *arguments, workers=usable, on_error="ignore", callback_timeout=_TIMEOUT_SECONDS
            )
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Disconnect, and end a local cluster."""
        if self._client is not None:
            self._client.close()
        if self._local is not None:
            self._local.close()

    @property
    def _connected(self) -> Client:
        if self._client is None or self._client.status != "running":
            raise Unavailable(f"There is no connection to the Dask scheduler at {self.address}.")
        return self._client

    def _local_cluster(self) -> LocalCluster:
        workspace = self._workspace
        with dask.config.set(_LOCAL):
            # Its certificates are in memory only. Without them, other users of this machine could run programs in it.
            return LocalCluster(
                n_workers=1,
                threads_per_worker=int(self._context.store.settings.value(MAX_RUNNING)),
                memory_limit=0,
                security=Security.temporary(),
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.WARNING,
                env=dict(zip(VARIABLES, (workspace.database_url, str(workspace.key_file)), strict=True)),
            )

    def _connect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._threads = {}
        given: dict[str, Any] = {"security": self._local.security} if self._local else {}
        try:
            self._client = Client(self.address, timeout=_CONNECT_SECONDS, set_as_default=False, name="cloudo", **given)
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _check_new_workers(self) -> list[str]:
        """Set the Dask workers up that are new, and return why some of them cannot be used.

        One whose plugin is not ready yet stays new.
        """
        client = self._connected
        identity = self._ask(client.scheduler.identity, n_workers=0)
        if identity["id"] != self._scheduler_id:  # it was started again
            self._scheduler_id, self._threads = identity["id"], {}
        threads = self._ask(client.scheduler.ncores, workers=None)
        self._threads = {address: number for address, number in self._threads.items() if address in threads}
        new = [address for address in threads if address not in self._threads]
        obstacles = []
        for address, found in self._prepare(new).items():
            obstacle = self._obstacle(found)
            if obstacle:
                obstacles.append(f"The Dask worker {address} cannot be used: {obstacle}")
            self._threads[address] = 0 if obstacle else threads[address]
        self._is_settled = len(self._threads) == len(threads)
        return obstacles

    def _prepare(self, addresses: list[str]) -> dict[str, Facts | Exception]:
        """Send the plugin to Dask workers, and return the facts of those that have set it up, or their errors."""
        if not addresses:
            return {}
        about = (self._plugin, self._context.slots.worker_id, self._nonce)
        how: dict[str, Any] = {"workers": addresses, "on_error": "return", "callback_timeout": _TIMEOUT_SECONDS}
        replies = self._call(self._connected.run, prepare, *about, **how)
        return {address: reply for address, reply in replies.items() if reply is not None}

    def _obstacle(self, found: Facts | Exception) -> str:
        if isinstance(found, Exception):
            return f"it cannot load Cloudo ({found}). Is it installed there?"
        if found.version != version("cloudo"):
            return f"it has Cloudo {found.version}, and this worker has {version('cloudo')}. Install the same."
        if found.obstacle:
            return found.obstacle
        if not found.knows_dispatcher:
            return "its CLOUDO_DATABASE_URL names another database."
        if found.digest != self._digest():
            return "its CLOUDO_KEY_FILE has another key."
        return ""

    def _digest(self) -> str:
        return self._context.store.encryption.digest(self._nonce)

    def _ask(self, function: Callable[..., Any], **given: Any) -> Any:
        return self._call(self._connected.sync, function, callback_timeout=_TIMEOUT_SECONDS, **given)

    def _call(self, function: Callable[..., Any], *arguments: Any, **given: Any) -> Any:
        try:
            return function(*arguments, **given)
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unavailable:
        reason = "the Dask scheduler cannot be reached"
        return Unavailable(f"The Dask scheduler at {self.address} cannot be reached: {error}", reason=reason)
