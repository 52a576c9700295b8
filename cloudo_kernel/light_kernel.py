"""The kernel of a run that was forked: ipykernel without what a run does not use, its shell made before the fork.

A forked process pays for each page that it touches, in time and in memory.
Nobody connects to this kernel but its runner: no heartbeat, no history on disk.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ipykernel.compiler import XCachingCompiler
from ipykernel.iostream import OutStream
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.application import BaseIPythonApplication
from jupyter_client.session import new_id
from traitlets import DottedObjectName

from cloudo_kernel.kernel import CloudoKernel, CloudoKernelApp, become_kernel, run_config, serve

#: Made before the fork.
_prepared: LightKernelApp | None = None


class LightStream(OutStream):
    """ipykernel's, except that it wakes the thread that sends only when there is something to send."""

    def flush(self) -> None:
        """Send what was written."""
        if self._buffers:
            super().flush()


class LightKernel(CloudoKernel):
    """The kernel itself."""

    #: ipykernel's wait for messages of another channel to be ahead of the reply; nbclient waits for them by itself.
    _execute_sleep = 0.0

    def __init__(self, **kwargs: Any) -> None:
        shell = ZMQInteractiveShell.instance()
        super().__init__(**kwargs | {"user_ns": shell.user_ns})
        shell.parent = shell.kernel = self
        shell.init_virtualenv()
        atexit.register(shell.atexit_operations)
        self.shell_handlers["enter_request"] = self.enter_request

    async def enter_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Go to the flow's folder: as a message of its own that costs a third of a cell."""
        content = {"status": "ok"}
        try:
            os.chdir(parent["content"]["folder"])
        except OSError as error:
            content = {"status": "error", "evalue": str(error)}
        self.session.send(stream, "enter_reply", content, parent, ident=ident)

    def _process_children(self) -> list[Any]:
        """Look for children at the end only if there are any: the library asks about each process of the machine."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
        children: list[Any] = super()._process_children()
        return children


class Configured(BaseIPythonApplication):
    """What IPython's applications have in common, except that it is configured before the fork."""

    is_configured = False

    def initialize(self, argv: Sequence[str] | None = None) -> None:
        """Read the configuration once."""
        if self.is_configured:
            self.parse_command_line(argv)
        else:
            super().initialize(argv)
            self.is_configured = True


class LightKernelApp(CloudoKernelApp, Configured):
    """The kernel's application."""

    outstream_class = DottedObjectName(f"{__name__}.{LightStream.__name__}").tag(config=True)

    def init_poller(self) -> None:
        """Do not look for the parent each second: the kernel dies with it."""

    def init_heartbeat(self) -> None:
        """Have none: the runner knows the process."""


def warm() -> list[str]:
    """Make the application and its shell, which is most of what a kernel makes; called before processes are forked.

    Returns the files of the configuration, those that are not there too: with another one they have to be made anew.
    """
    global _prepared  # noqa: PLW0603 -- one per process, as IPython's application and shell are
    # Which virtual environment there is, each kernel sees for itself.
    environment = os.environ.pop("VIRTUAL_ENV", None)
    try:
        app = LightKernelApp(config=run_config(), kernel_class=LightKernel, log=logging.getLogger("ipykernel"))
        Configured.initialize(app, ["-f", ""])
        shell = ZMQInteractiveShell.instance(
            parent=app, profile_dir=app.profile_dir, user_ns={}, compiler_class=XCachingCompiler
        )
        shell.run_cell("pass", silent=True)
        atexit.unregister(shell.atexit_operations)
        for extension in app.default_extensions:
            shell.extension_manager.load_extension(extension)
        app.session  # noqa: B018 -- made when it is asked for
    finally:
        if environment is not None:
            os.environ["VIRTUAL_ENV"] = environment
    _prepared = app
    names = ("ipython_config.py", *app.config_files)
    files = [Path(folder, name) for folder in app.config_file_paths for name in names]
    return [str(file.with_suffix(ending)) for file in files for ending in (".py", ".json")]


def serve_run(arguments: Sequence[str], channel: int) -> None:
    """Be the kernel of a run, in a process that was forked for it."""
    become_kernel(arguments)
    app = _prepared
    assert app is not None, "it is made before the fork"
    for kind in type(app)._walk_mro():
        kind._instance = app
    app.session.session, app.session.pid = new_id(), os.getpid()
    serve(app, arguments, channel)
