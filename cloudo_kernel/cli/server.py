"""The Jupyter server of `cloudo up`, with Cloudo's extension and a quiet log.

Only that command imports this module, because it imports Jupyter's server.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType

import click
import zmq
from jupyter_server import serverapp
from traitlets.config import Config

from cloudo_kernel.cli.target import DASHBOARD, LAB, page_url
from cloudo_kernel.errors import PermissionDenied, Unavailable

#: Flags that take no value.
SWITCHES = frozenset({*serverapp.flags, "help-all", "version"})
#: Extensions that are loaded even if they are disabled for other servers.
_CLOUDO = "cloudo_extension"
_EXTENSIONS = (_CLOUDO, "jupyterlab", "voila.server_extension")
#: Log lines about pages closed during a request, and about ping settings that Jupyter itself gives tornado.
_USELESS = ("499 ", "The websocket_ping_timeout (")
#: Log lines about requests refused while the server stops, and about their headers.
_REFUSED = ("503 ", "{\n")


class CloudoServer(serverapp.ServerApp):
    """A server that prints the URLs of its pages, and stops without asking."""

    def init_signal(self) -> None:
        """Stop on Ctrl-C and on a closed terminal as on SIGTERM. Jupyter would ask y/n, or die."""
        super().init_signal()
        signal.signal(signal.SIGINT, self._signal_stop)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
            signal.signal(signal.SIGHUP, self._signal_stop)

    def _signal_stop(self, _signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if not self._stopping:
            click.echo("\nStopping: running executions are cancelled, pending ones wait for the next start.")
            self.stop(from_signal=True)

    def is_worth_a_line(self, record: logging.LogRecord) -> bool:
        """Tell whether a reader of the terminal could act on this line of the log."""
        text = record.getMessage()
        return not text.startswith(_USELESS) and not (self._stopping and text.startswith(_REFUSED))

    def print_help(self, classes: bool = False) -> None:
        """Print Cloudo's options, too. Jupyter knows the options of extensions only once they are loaded."""
        if classes:
            points = import_module(_CLOUDO)._jupyter_server_extension_points()
            self.classes = [*self.classes, *(point["app"] for point in points)]  # type: ignore[has-type]  # Jupyter has no type for it
        super().print_help(classes)

    def load_server_extensions(self) -> None:
        """Load the extensions. Others may fail, but without its own one the server is useless. Raises `Unavailable`."""
        # Jupyter logs a configuration that is refused, and goes on with the defaults.
        package = self.extension_manager.extensions.get(_CLOUDO)
        is_configured = package is not None and all(point.linked for point in package.extension_points.values())
        if is_configured:
            super().load_server_extensions()
        apps = self.extension_manager.extension_apps.get(_CLOUDO, ())
        if not is_configured or not any(hasattr(app, "backend") for app in apps):
            raise Unavailable("Cloudo cannot start with this configuration. The line above says which value is wrong.")

    def init_httpserver(self) -> None:
        """Remember the requested port. If it is taken, Jupyter silently uses the next free one."""
        asked = self.port
        super().init_httpserver()
        self._asked_port = asked or self.port

    def start_app(self) -> None:
        """Keep Jupyter from printing its own URL, which is not the dashboard's."""
        self.identity_provider.token_generated = False
        super().start_app()

    async def _post_start(self) -> None:
        """Print that the server is ready. Jupyter calls this once the event loop runs."""
        await super()._post_start()
        base = self.custom_display_url or self.connection_url
        token = self.identity_provider.token
        taken = (
            f"  Port {self._asked_port} was taken: this server has another one.\n"
            if self._asked_port != self.port
            else ""
        )
        click.echo(
            f"\nCloudo is ready.\n\n"
            f"  Dashboard   {page_url(base, DASHBOARD, token)}\n"
            f"  JupyterLab  {page_url(base, LAB, token)}\n"
            f"  Workspace   {self.root_dir}\n{taken}\n"
            f"Ctrl-C stops it.\n"
        )


def serve(root: Path, flags: Sequence[str], *, page: str) -> None:
    """Run the server until it is stopped. Raises `PermissionDenied` as root without --allow-root."""
    logging.captureWarnings(True)  # warnings of libraries are not for users
    quiet = {"log_level": "WARN"}
    # Kernels use TCP sockets of this machine. ipykernel warns about unencrypted ones, one line per kernel.
    encrypted = {"transport_encryption": "auto"} if zmq.has("curve") else {}
    server = CloudoServer.instance(
        config=Config({"ServerApp": quiet, "ExtensionApp": quiet, "KernelManager": encrypted})
    )
    server.jpserver_extensions = dict.fromkeys(_EXTENSIONS, True)
    ours = [f"--ServerApp.root_dir={root}"]
    if not any(flag.startswith("--ServerApp.default_url") for flag in flags):
        ours.append(f"--ServerApp.default_url=/{page}")
    server.initialize([*ours, *flags])
    for handler in server.log.handlers:  # tornado's log uses them, too
        handler.addFilter(server.is_worth_a_line)
    if os.name == "posix" and os.geteuid() == 0 and not server.allow_root:
        raise PermissionDenied(
            "Running as root would give root rights to every notebook. Start Cloudo as another user. In a container, "
            "where that is safe, add --allow-root."
        )
    server.start()
