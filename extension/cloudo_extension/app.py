"""The Jupyter server extension: configuration, routes, start and stop."""

from __future__ import annotations

import hmac
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
from cloudo_extension.http.authentication import SessionTokens, TokenIdentity
from cloudo_extension.pages import explorer
from cloudo_extension.pages.dashboard import dashboard_handlers
from cloudo_extension.pages.notebook_renderer import Renderer
from cloudo_extension.rest import BUSIEST, routes
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.processes.zygotes import PRELOAD, shared_zygotes
from cloudo_kernel.security import outbound_http
from cloudo_kernel.settings import LINGER_SECONDS, NOTIFICATION_DELAYS
from cloudo_kernel.workspace.layout import Workspace
from cloudo_kernel.workspace.users import default_user_name

#: Maximum number of cached identities.
_MAX_IDENTITIES = 256


class Cloudo(ExtensionApp):
    """Every notebook a flow, every run a durable, visible execution."""

    name = "cloudo"
    extension_url = "/cloudo/"
    load_other_extensions = True

    workspace = Unicode(
        config=True, help="The folder of `flows/`, `executions/` and `.cloudo/`. Default: the server's root folder."
    )
    user_name = Unicode(
        config=True,
        help="Who starts executions under Jupyter's own token or password, which name nobody. Default: the login name.",
    )
    administrators = List(
        Unicode(),
        config=True,
        help="Names of users who may say for whom a webhook runs. Under Jupyter's own token or password there is one "
        "user, and it is one.",
    )
    slots = Integer(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="How many executions this server's worker runs at once, at most. Default: as many as the setting "
        "`client.execution.max_running` lets the whole store run.",
    )
    embedded_worker = Bool(
        True, config=True, help="Whether this server runs executions itself. If not, start `cloudo worker` beside it."
    )
    preload = List(
        Unicode(),
        default_value=list(PRELOAD),
        config=True,
        help="Modules that are imported once, before any notebook runs, so that they are there at once in each. "
        "One that is not installed, or that starts a thread, is left out.",
    )
    linger_seconds = Float(
        LINGER_SECONDS,
        min=0,
        config=True,
        help="How long a durable execution that waits keeps its processes. "
        "After that it costs nothing until it is woken, and is replayed then.",
    )
    allowed_private_networks = List(
        Unicode(),
        config=True,
        help="Networks such as `10.0.0.0/8` that notifications of `on_success`, `on_error` and `on_recovery` may call, "
        "though they are of this machine or private. Default: the environment's `CLOUDO_ALLOWED_PRIVATE_NETWORKS`, "
        "separated by commas, which `cloudo worker` heeds too.",
    )
    notification_delays = List(
        Float(min=0),
        default_value=list(NOTIFICATION_DELAYS),
        config=True,
        help="How many seconds an address that is to be notified and did not answer is left in peace: after its first "
        "failure, after its second, and so on. After the last it is given up.",
    )
    activity_seconds = Float(
        60,
        min=0,
        config=True,
        help="How often it is looked whether executions run or schedules wait for their time, which then counts as "
        "activity: neither JupyterHub nor `ServerApp.shutdown_no_activity_timeout` stops such a server. 0 for never.",
    )
    max_body_bytes = Integer(
        64 * 1024 * 1024, min=1024, config=True, help="The largest body, in bytes, that a request may bring."
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
        self.session_tokens = SessionTokens()
        #: Host names, with port, that `check_host` has accepted.
        self.local_hosts: set[str] = set()
        #: Default reply headers by handler class.
        self.default_headers: dict[type[Any], dict[str, str]] = {}
        # Cached: creating a traitlets object takes longer than starting an execution.
        self.identity_of = lru_cache(maxsize=_MAX_IDENTITIES)(partial(TokenIdentity, parent=self))
        self._is_needed = False
        self._activity = PeriodicCallback(self._note_activity, max(1, self.activity_seconds * 1000))
        allowed = outbound_http.networks(self.allowed_private_networks)
        workspace = Workspace(Path(self.workspace).expanduser().resolve(), allowed_private_networks=allowed)
        shared_zygotes(self.preload)  # nothing starts before the first kernel or execution
        self.renderer = Renderer()
        self.settings |= {"cloudo_routes": routes, "cloudo_renderer": self.renderer}
        self.backend = Backend(
            workspace,
            has_worker=self.embedded_worker,
            prepare=partial(openapi.document_json, routes, self.serverapp.base_url),
            slots=self.slots,
            linger_seconds=self.linger_seconds,
            notification_delays=self.notification_delays,
        )

    def initialize_handlers(self) -> None:
        """Add the routes, most general last."""
        # tornado tries routes in order, so those that programs call many times a second come first.
        self.handlers.extend(sorted(routes, key=lambda route: route[1] not in BUSIEST))
        self.handlers.extend(explorer.pages)
        workspace = self.backend.workspace.root
        self.handlers.extend(dashboard_handlers(self.serverapp, workspace=workspace, mint_token=self.mint_token))

    def mint_token(self, user_name: str) -> str:
        """Return a new short-lived token for a program that acts as the user whom the server calls `user_name`."""
        return self.session_tokens.mint(self.name_of(user_name))

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
            await self.backend.go_on()

    async def _note_activity(self) -> None:
        try:
            self._is_needed = await self.backend.is_needed()
        except CloudoError:
            self.log.exception("Whether there is something to do cannot be told")
        if self._is_needed:
            self.serverapp.web_app.settings["last_activity_times"]["cloudo"] = datetime.now(UTC)

    async def stop_extension(self) -> None:
        """Close the backend, which ends waits and runs, then the renderer."""
        self._activity.stop()
        try:
            await self.backend.close()
        finally:
            self.renderer.close()

    def current_activity(self) -> dict[str, Any] | None:
        """Return the reason not to shut this server down as idle, or None. Jupyter calls it."""
        return {"cloudo": "executions or schedules"} if self._is_needed or self.backend.is_busy else None
