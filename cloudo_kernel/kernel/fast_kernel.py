"""The kernel of a run that was forked: ipykernel without what a run does not use, its shell made before the fork.

A forked process pays for each page that it touches, in time and in memory.
Nobody connects to this kernel but its runner: no heartbeat, no history on disk.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zmq
from ipykernel.compiler import XCachingCompiler
from ipykernel.debugger import Debugger
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.application import ENV_CONFIG_DIRS, SYSTEM_CONFIG_DIRS, BaseIPythonApplication
from jupyter_client.session import new_id
from traitlets import DottedObjectName
from zmq.eventloop.zmqstream import ZMQStream

from cloudo_kernel.kernel.app import CloudoKernelApp, become_kernel, run_config, serve, to_be_ended, without_modules
from cloudo_kernel.kernel.fast_output import FastPublisher, FastStream
from cloudo_kernel.processes import inherited

#: Of the machine and of the environment, beside the user's own.
_CONFIG_FOLDERS = (*ENV_CONFIG_DIRS, *SYSTEM_CONFIG_DIRS)
#: Made before the fork.
_prepared: FastKernelApp | None = None


class NoDebugger(Debugger):
    """Stands where ipykernel has a debugger."""

    def __init__(self, *_given: Any) -> None:
        """Make nothing."""


class NoThread:
    """Stands where ipykernel has the thread that hands requests on to subshells: it is false, and not there."""

    def __init__(self) -> None:
        self.parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False


class FastKernel(IPythonKernel):
    """The kernel itself: all requests are read by the main thread."""

    #: ipykernel's wait for messages of another channel to be ahead of the reply; nbclient waits for them by itself.
    _execute_sleep = 0.0
    _supports_kernel_subshells = False

    def __init__(self, **kwargs: Any) -> None:
        shell = ZMQInteractiveShell.instance()
        with without_modules():
            super().__init__(**kwargs, user_ns=shell.user_ns, debugger_class=NoDebugger)
        shell.parent = shell.kernel = self
        shell.init_virtualenv()
        atexit.register(shell.atexit_operations)
        self.shell_handlers["enter_request"] = self.enter_request

    async def enter_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Go to the flow's folder: as a message of its own that costs a third of a cell."""
        content = {"status": "ok"}
        try:
            inherited.enter(parent["content"]["folder"])
        except OSError as error:
            content = {"status": "error", "evalue": str(error)}
        self.shell.starting_dir = str(Path.cwd())
        self.shell.history_manager.dir_hist[:] = [Path.cwd()]
        self.session.send(stream, "enter_reply", content, parent, ident=ident)

    def start(self) -> None:
        """Begin to read requests, none of them for a debugger."""
        self.shell.exit_now = False
        Kernel.start(self)

    def _process_children(self) -> list[Any]:
        """Look for children at the end only if there are any: the library asks about each process of the machine."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
        return to_be_ended(super()._process_children())


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


class FastKernelApp(CloudoKernelApp, Configured):
    """The kernel's application."""

    outstream_class = DottedObjectName(f"{FastStream.__module__}.{FastStream.__name__}").tag(config=True)

    #: Whether there are files that each kernel is to run first.
    has_startup_files = True

    #: As in a connection file.
    connection: dict[str, Any]

    def init_connection_file(self) -> None:
        """Take the connection as it is; there is no file."""
        self.load_connection_info(self.connection)

    def write_connection_file(self, **_options: Any) -> None:
        """Write none."""

    def init_pdb(self) -> None:
        """Is done before the fork."""

    def init_extensions(self) -> None:
        """Load those that are configured; the usual ones were loaded before the fork."""
        if self.extensions or self.extra_extensions:
            super().init_extensions()

    def init_code(self) -> None:
        """Run what is configured to be run first, without a look at the names of all modules."""
        if self.has_startup_files:
            self._run_startup_files()
        self._run_exec_lines()
        self._run_exec_files()
        if self.hide_initial_ns:
            self.shell.user_ns_hidden.update(self.shell.user_ns)

    def init_poller(self) -> None:
        """Do not look for the parent each second: the kernel dies with it."""

    def init_heartbeat(self) -> None:
        """Have none: the runner knows the process."""

    def init_control(self, context: zmq.Context[Any]) -> None:
        """Make the socket of the request to end; the main thread reads it, and there are no threads but IOPub's."""
        self.control_socket = context.socket(zmq.ROUTER)
        self.control_socket.linger = 1000
        self.control_port: int = self._bind_socket(self.control_socket, self.control_port)

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Make the socket and the thread of the outputs."""
        socket = context.socket(zmq.XPUB)
        socket.linger = 1000
        socket.xpub_nodrop = True  # else outputs are lost that come faster than the runner takes them
        self.iopub_port: int = self._bind_socket(socket, self.iopub_port)
        self.iopub_thread = FastPublisher(socket, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_kernel(self) -> None:
        """Make the kernel."""
        self.kernel = kernel = FastKernel.instance(
            parent=self,
            session=self.session,
            shell_stream=ZMQStream(self.shell_socket),
            control_stream=ZMQStream(self.control_socket),
            shell_channel_thread=NoThread(),
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            stdin_socket=self.stdin_socket,
            log=self.log,
            profile_dir=self.profile_dir,
        )
        self.displayhook.get_execution_count = lambda: kernel.execution_count


def preload() -> list[str]:
    """Make the application and its shell, which is most of what a kernel makes; called before processes are forked.

    Returns the files of the configuration, those that are not there too: with another one they have to be made anew.
    """
    global _prepared  # noqa: PLW0603 -- one per process, as IPython's application and shell are
    # Which virtual environment there is, each kernel sees for itself.
    environment = os.environ.pop("VIRTUAL_ENV", None)
    try:
        app = FastKernelApp(config=run_config())
        Configured.initialize(app, ["-f", ""])
        shell = ZMQInteractiveShell.instance(parent=app, profile_dir=app.profile_dir, compiler_class=XCachingCompiler)
        IPKernelApp.init_pdb(app)
        app.configure_tornado_logger()
        for extension in app.default_extensions:
            shell.extension_manager.load_extension(extension)
        for cell in ("pass", "1 + 1", "[each for each in [1]]"):
            shell.run_cell(cell, silent=True)
        shell._sys_modules_keys = set(sys.modules)
        atexit.unregister(shell.atexit_operations)
        app.session  # noqa: B018 -- made when it is asked for
        for kind in type(app)._walk_mro():
            kind._instance = app
    finally:
        if environment is not None:
            os.environ["VIRTUAL_ENV"] = environment
    _prepared = app
    startup = [Path(app.profile_dir.startup_dir), *(Path(folder, "startup") for folder in _CONFIG_FOLDERS)]
    app.has_startup_files = any(file.suffix in {".py", ".ipy"} for folder in startup for file in _files(folder))
    names = ("ipython_config.py", *app.config_files)
    files = [Path(folder, name) for folder in app.config_file_paths for name in names]
    return [str(file.with_suffix(ending)) for file in files for ending in (".py", ".json")] + [*map(str, startup)]


def _files(folder: Path) -> list[Path]:
    return [*folder.iterdir()] if folder.is_dir() else []


def serve_run(connection: dict[str, Any], channel: int) -> None:
    """Be the kernel of a run, in a process that was forked for it."""
    arguments = ["-f", f"{connection['ip']}.json"]  # which is not there; so a kernel is called
    become_kernel(arguments)
    os.environ["JPY_PARENT_PID"] = str(os.getppid())  # as Jupyter sets it
    app = _prepared
    assert app is not None, "it is made before the fork"
    app.connection = connection
    app.session.session, app.session.pid = new_id(), os.getpid()
    serve(app, arguments, channel)
