"""The Jupyter server extension: configuration, routes, start and stop."""

from __future__ import annotations

import hmac
import threading
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import PeriodicCallback
from traitlets import Bool, Float, Integer, List, Unicode, default

from cloudo_extension.backend.backend import Backend
from cloudo_extension.http import openapi
from cloudo_extension.http.authentication import TokenIdentity
from cloudo_extension.pages import explorer, metrics
from cloudo_extension.pages.dashboard import dashboard_handlers
from cloudo_extension.pages.frontend import FOLDER, Frontend, LabConfig
from cloudo_extension.pages.notebook_renderer import Renderer
from cloudo_extension.rest import BUSIEST, routes
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.json_log import format_of_environment, log_as_json
from cloudo_kernel.models.labels import labels_of
from cloudo_kernel.processes.zygotes import PRELOAD, shared_zygotes
from cloudo_kernel.security import outbound_http
from cloudo_kernel.settings import LINGER_SECONDS, NOTIFICATION_DELAYS
from cloudo_kernel.worker import executors
from cloudo_kernel.workspace.layout import Workspace, default_user_name

#: Maximum number of cached identities.
_MAX_IDENTITIES = 256


class Cloudo(ExtensionApp):
    """Makes every notebook a flow and every run a durable, visible execution."""

    name = "cloudo"
    extension_url = "/cloudo/"
    load_other_extensions = True

    workspace = Unicode(
        config=True, help="The folder with `flows/`, `executions/` and `.cloudo/`. Default: the server's root folder."
    )
    user_name = Unicode(
        config=True,
        help="User name under Jupyter's own token or password, which identify no user. Default: the login name.",
    )
    administrators = List(
        Unicode(),
        config=True,
        help="Names of users who can choose the user that a webhook runs as. Under Jupyter's own token or password, "
        "the single user is an administrator.",
    )
    slots = Integer(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="Maximum number of concurrent executions of this server's worker. Default: the setting "
        "`client.execution.max_running`, which limits the whole store.",
    )
    worker_labels = List(
        Unicode(),
        config=True,
        help="Labels of this server's worker, such as `gpu`. It also runs flows that require them. "
        "`cloudo worker` takes `--label`.",
    )
    executor = Unicode(
        executors.LOCAL,
        config=True,
        help="Name of an installed executor, which runs this server's executions. `cloudo worker` takes `--executor`.",
    )
    dask_address = Unicode(
        config=True,
        help="Address of the Dask scheduler for the executor `dask`, such as `tls://scheduler:8786`. "
        "Default: this server starts a Dask cluster on this machine. `cloudo worker` takes `--dask-address`.",
    )
    embedded_worker = Bool(
        True, config=True, help="Whether this server runs executions itself. If not, start `cloudo worker` as well."
    )
    preload = List(
        Unicode(),
        default_value=list(PRELOAD),
        config=True,
        help="Modules to import once, before any notebook runs, so that importing them in a notebook takes no time. "
        "Modules that are not installed, or that start a thread, are skipped.",
    )
    linger_seconds = Float(
        LINGER_SECONDS,
        min=0,
        config=True,
        help="Seconds that a waiting durable execution keeps its processes. "
        "After that it needs none until it continues; then it is replayed.",
    )
    allowed_private_networks = List(
        Unicode(),
        config=True,
        help="Private or local networks, such as `10.0.0.0/8`, that notifications of `on_success`, `on_error` and "
        "`on_recovery` can call. Default: the environment variable `CLOUDO_ALLOWED_PRIVATE_NETWORKS`, separated by "
        "commas, which `cloudo worker` uses, too.",
    )
    notification_delays = List(
        Float(min=0),
        default_value=list(NOTIFICATION_DELAYS),
        config=True,
        help="Seconds between delivery attempts of a notification: after the first failure, the second, and so on. "
        "After the last delay there is one more attempt.",
    )
    activity_seconds = Float(
        60,
        min=0,
        config=True,
        help="Seconds between checks for running executions and pending schedules. They count as activity, so that "
        "neither JupyterHub nor `ServerApp.shutdown_no_activity_timeout` stops the server. 0 disables the checks.",
    )
    frontend = Unicode(str(FOLDER), config=True, help="The folder with the built front end.")
    max_body_bytes = Integer(
        64 * 1024 * 1024,
        min=1024,
        config=True,
        help="Maximum size in bytes of a request body with a notebook, script or file. Others can have 16 MiB.",
    )

    @default("workspace")  # type: ignore[untyped-decorator]  # traitlets
    def _default_workspace(self) -> str:
        return str(self.serverapp.root_dir)

    @default("allowed_private_networks")  # type: ignore[untyped-decorator]  # traitlets
    def _default_allowed_private_networks(self) -> list[str]:
        return [str(network) for network in outbound_http.networks_of_environment()]

    @default("user_name")  # type: ignore[untyped-decorator]  # traitlets
    def _default_user_name(self) -> str:
        return default_user_name()

    def initialize_settings(self) -> None:
        """Create the objects that the handlers need. Writes nothing to disk."""
        #: Host names, with port, that `check_host` has accepted.
        self.local_hosts: set[str] = set()
        #: Default reply headers by handler class.
        self.default_headers: dict[type[Any], dict[str, str]] = {}
        # Cached: creating a traitlets object takes longer than starting an execution.
        self.identity_of = lru_cache(maxsize=_MAX_IDENTITIES)(partial(TokenIdentity, parent=self))
        self._is_needed = False
        self._activity = PeriodicCallback(self._note_activity, max(1, self.activity_seconds * 1000))
        allowed = outbound_http.networks(self.allowed_private_networks, field="c.Cloudo.allowed_private_networks")
        workspace = Workspace(Path(self.workspace).expanduser().resolve(), allowed_private_networks=allowed)
        executors.check(self.executor, field="c.Cloudo.executor", slots=self.slots, address=self.dask_address)
        # The trait is Jupyter's own, for the format of a line.
        if "json" in (self.log_format, format_of_environment()):
            log_as_json(self.serverapp.log, self.log, secrets=[str(self.serverapp.identity_provider.token)])
        shared_zygotes(self.preload)  # nothing starts before the first kernel or execution
        self.renderer = Renderer()
        self.settings |= {"cloudo_routes": routes, "cloudo_renderer": self.renderer}
        self.backend = Backend(
            workspace,
            has_worker=self.embedded_worker,
            prepare=partial(openapi.document_json, routes, self.serverapp.base_url),
            slots=self.slots,
            executor=self.executor,
            dask_address=self.dask_address,
            labels=labels_of(self.worker_labels, field="c.Cloudo.worker_labels"),
            linger_seconds=self.linger_seconds,
            notification_delays=self.notification_delays,
        )

    def initialize_handlers(self) -> None:
        """Add the routes, most general last."""
        # tornado tries routes in order, so those that programs call many times a second come first.
        self.handlers.extend(sorted(routes, key=lambda route: route[1] not in BUSIEST))
        self.handlers.extend(explorer.pages)
        self.handlers.extend(metrics.routes)
        frontend = Frontend(Path(self.frontend))
        self.handlers.extend(dashboard_handlers(self.serverapp, frontend))
        settings, name = self.serverapp.web_app.settings, "page_config_hook"
        root = Path(self.serverapp.root_dir).resolve()
        workspace = self.backend.workspace.root
        settings[name] = LabConfig(frontend, workspace=workspace, root=root, before=settings.get(name))

    def name_of(self, user_name: str) -> str:
        """Return Cloudo's name for the user whom the server's identity provider calls `user_name`.

        Jupyter's own token and password give each caller a new name, so `c.Cloudo.user_name` is used instead.
        Names from any other identity provider are used unchanged.
        """
        return str(self.user_name) if self._is_for_one else user_name

    def is_servers_token(self, token: str) -> bool:
        """Return whether `token` is the server's own. Always False unless the identity provider is Jupyter's own."""
        if not self._is_for_one:
            return False
        wanted = self.serverapp.identity_provider.token
        return bool(wanted) and hmac.compare_digest(token.encode(errors="replace"), str(wanted).encode())

    @property
    def _is_for_one(self) -> bool:
        """Whether the server has a single user, because its identity provider is Jupyter's own."""
        return type(self.serverapp.identity_provider) in (IdentityProvider, PasswordIdentityProvider)

    def is_administrator(self, name: str) -> bool:
        """Return whether the user `name` is an administrator, who may act for other users."""
        return name in self.administrators or (self._is_for_one and name == self.user_name)

    async def _start_jupyter_server_extension(self, _serverapp: ServerApp) -> None:
        """Resume the work of the last server. A workspace that was never used stays untouched."""
        if self.activity_seconds:
            self._activity.start()
        if self.backend.workspace.state.is_dir():
            await self.backend.resume()

    async def _note_activity(self) -> None:
        try:
            self._is_needed = await self.backend.is_needed()
        except CloudoError:
            self.log.exception("Cannot determine whether executions or schedules are pending")
        if self._is_needed:
            self.serverapp.web_app.settings["last_activity_times"]["cloudo"] = datetime.now(UTC)

    async def stop_extension(self) -> None:
        """Close the backend, which ends waits and runs, then the renderer."""
        self._activity.stop()
        threading.Thread(target=_end_idle_threads, name="cloudo-exit", daemon=True).start()
        try:
            await self.backend.close()
        finally:
            self.renderer.close()

    def current_activity(self) -> dict[str, Any] | None:
        """Return the reason not to shut this server down as idle, or None. Jupyter calls it."""
        return {"cloudo": "executions or schedules"} if self._is_needed or self.backend.is_busy else None


def _end_idle_threads() -> None:
    """End the threads that would keep the process alive once the server has stopped.

    Jupyter reads files in threads of anyio, which are no daemons. Such a thread ends with the request that started it.
    If the server stops during that request, the thread never ends, and Python waits for it.
    """
    threading.main_thread().join()
    for thread in threading.enumerate():
        if thread.name == "AnyIO worker thread":
            thread.stop()  # type: ignore[attr-defined]  # anyio's own class
