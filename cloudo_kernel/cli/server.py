"""The Jupyter server of `cloudo up`: quiet, with Cloudo's extension, told where to stop. Imported by that command
alone, because it imports Jupyter's server.
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

from cloudo_kernel.cli.pages import DASHBOARD, LAB, page_url
from cloudo_kernel.errors import PermissionDenied

#: Flags that take no value.
SWITCHES = frozenset({*serverapp.flags, "help-all", "version"})
#: Loaded whether or not somebody disabled them for other servers.
_CLOUDO = "cloudo_extension"
_EXTENSIONS = (_CLOUDO, "jupyterlab", "voila.server_extension")
#: Pages that were closed while a request of theirs waited; what Jupyter itself tells tornado about its pings.
_USELESS = ("499 ", "The websocket_ping_timeout (")
#: What is refused while the server stops, and the headers of that.
_REFUSED = ("503 ", "{\n")


class CloudoServer(serverapp.ServerApp):
    """A server that says where its pages are, and stops without asking."""

    def init_signal(self) -> None:
        """Stop on Ctrl-C as on SIGTERM, and when the terminal is closed; Jupyter would ask y/n, or die."""
        super().init_signal()
        signal.signal(signal.SIGINT, self._signal_stop)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as with nohup
            signal.signal(signal.SIGHUP, self._signal_stop)

    def _signal_stop(self, _signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if not self._stopping:
            click.echo("\nStopping: what runs is cancelled, what is pending waits for the next start.")
            self.stop(from_signal=True)

    def is_worth_a_line(self, record: logging.LogRecord) -> bool:
        """Tell whether somebody who sees a line of the log in the terminal could do something about it."""
        text = record.getMessage()
        return not text.startswith(_USELESS) and not (self._stopping and text.startswith(_REFUSED))

    def print_help(self, classes: bool = False) -> None:
        """Tell of Cloudo's own options, too: Jupyter knows those of extensions only once they are loaded."""
        if classes:
            points = import_module(_CLOUDO)._jupyter_server_extension_points()
            self.classes = [*self.classes, *(point["app"] for point in points)]  # type: ignore[has-type]  # Jupyter's has none
        super().print_help(classes)

    def init_httpserver(self) -> None:
        """Remember the port that was asked for; Jupyter takes the next free one if that is taken, and says nothing."""
        asked = self.port
        super().init_httpserver()
        self._asked_port = asked or self.port

    def start_app(self) -> None:
        """Keep Jupyter from printing its own address, which is not that of the dashboard."""
        self.identity_provider.token_generated = False
        super().start_app()

    async def _post_start(self) -> None:
        """Tell that the server is ready; Jupyter calls it when the loop runs."""
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
    """Run the server until it is told to stop. Raises `PermissionDenied` as root without --allow-root."""
    logging.captureWarnings(True)  # they are for programmers, and come from libraries
    quiet = {"log_level": "WARN"}
    # What is said to kernels goes over sockets of this machine, which ipykernel warns about, one line a kernel.
    encrypted = {"transport_encryption": "auto"} if zmq.has("curve") else {}
    server = CloudoServer.instance(
        config=Config({"ServerApp": quiet, "ExtensionApp": quiet, "KernelManager": encrypted})
    )
    server.jpserver_extensions = dict.fromkeys(_EXTENSIONS, True)
    ours = [f"--ServerApp.root_dir={root}"]
    if not any(flag.startswith("--ServerApp.default_url") for flag in flags):
        ours.append(f"--ServerApp.default_url=/{page}")
    server.initialize([*ours, *flags])
    for handler in server.log.handlers:  # those of tornado end there, too
        handler.addFilter(server.is_worth_a_line)
    if os.name == "posix" and os.geteuid() == 0 and not server.allow_root:
        raise PermissionDenied(
            "You are root, and so would be every notebook. Start Cloudo as another user; in a container, where that "
            "does no harm, add --allow-root."
        )
    server.start()
