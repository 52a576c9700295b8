"""The forked kernel of a run: ipykernel without the parts that a run does not use, and a shell created before the fork.

A forked process pays for each page that it touches, in time and in memory.
Only its runner connects to this kernel, so it has no heartbeat and no history on disk.
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

#: The configuration folders of the machine and of the environment, in addition to the user's.
_CONFIG_FOLDERS = (*ENV_CONFIG_DIRS, *SYSTEM_CONFIG_DIRS)
#: Created before the fork.
_prepared: FastKernelApp | None = None


class NoDebugger(Debugger):
    """A replacement for ipykernel's debugger that does nothing."""

    def __init__(self, *_given: Any) -> None:
        """Create nothing."""


class NoThread:
    """A replacement for ipykernel's thread that passes requests on to subshells; false, as there is no such thread."""

    def __init__(self) -> None:
        self.parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False


class FastKernel(IPythonKernel):
    """The kernel itself; its main thread reads all requests."""

    #: ipykernel delays the reply so that messages of another channel arrive first; nbclient waits for them itself.
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
        """Change to the flow's folder; a message of its own costs a third of a cell."""
        content = {"status": "ok"}
        try:
            inherited.enter(parent["content"]["folder"])
        except OSError as error:
            content = {"status": "error", "evalue": str(error)}
        self.shell.starting_dir = str(Path.cwd())
        self.shell.history_manager.dir_hist[:] = [Path.cwd()]
        self.session.send(stream, "enter_reply", content, parent, ident=ident)

    def start(self) -> None:
        """Start to read requests, without a debugger."""
        self.shell.exit_now = False
        Kernel.start(self)

    def _process_children(self) -> list[Any]:
        """Return the children to end, searched only if there are any: psutil examines each process of the machine."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
        return to_be_ended(super()._process_children())


class Configured(BaseIPythonApplication):
    """The base of IPython's applications, except that it is configured only once, before the fork."""

    is_configured = False

    def initialize(self, argv: Sequence[str] | None = None) -> None:
        """Read the configuration and the arguments once."""
        if not self.is_configured:
            super().initialize(argv)
            self.is_configured = True


class FastKernelApp(CloudoKernelApp, Configured):
    """The kernel's application."""

    outstream_class = DottedObjectName(f"{FastStream.__module__}.{FastStream.__name__}").tag(config=True)

    #: Whether there are startup files that each kernel has to run.
    has_startup_files = True

    #: The content of a connection file.
    connection: dict[str, Any]

    def init_connection_file(self) -> None:
        """Load `connection`, as there is no file."""
        self.load_connection_info(self.connection)

    def write_connection_file(self, **_options: Any) -> None:
        """Do nothing, as there is no file."""

    def init_pdb(self) -> None:
        """Do nothing, as this is done before the fork."""

    def init_extensions(self) -> None:
        """Load configured extensions; the default ones were loaded before the fork."""
        if self.extensions or self.extra_extensions:
            super().init_extensions()

    def init_code(self) -> None:
        """Run the configured startup code without reading the names of all modules."""
        if self.has_startup_files:
            self._run_startup_files()
        self._run_exec_lines()
        self._run_exec_files()
        if self.hide_initial_ns:
            self.shell.user_ns_hidden.update(self.shell.user_ns)

    def init_poller(self) -> None:
        """Do nothing: the kernel dies with its parent, without checking each second."""

    def init_heartbeat(self) -> None:
        """Do nothing: the runner watches the process."""

    def init_control(self, context: zmq.Context[Any]) -> None:
        """Create the socket for the shutdown request. The main thread reads it; IOPub has the only other thread."""
        self.control_socket = context.socket(zmq.ROUTER)
        self.control_socket.linger = 1000
        self.control_port: int = self._bind_socket(self.control_socket, self.control_port)

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Create the socket and the thread for outputs."""
        socket = context.socket(zmq.XPUB)
        socket.linger = 1000
        socket.xpub_nodrop = True  # otherwise outputs that the runner receives too slowly are lost
        self.iopub_port: int = self._bind_socket(socket, self.iopub_port)
        self.iopub_thread = FastPublisher(socket, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_kernel(self) -> None:
        """Create the kernel."""
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
    """Create the application and its shell, most of a kernel; called before processes are forked.

    Returns the configuration files, including missing ones. A change to one of them makes the application outdated.
    """
    global _prepared  # noqa: PLW0603 -- one per process, as IPython's application and shell are
    # Each kernel looks up its virtual environment itself.
    environment = os.environ.pop("VIRTUAL_ENV", None)
    try:
        app = FastKernelApp(config=run_config())
        Configured.initialize(app, [])
        shell = ZMQInteractiveShell.instance(parent=app, profile_dir=app.profile_dir, compiler_class=XCachingCompiler)
        IPKernelApp.init_pdb(app)
        app.configure_tornado_logger()
        for extension in app.default_extensions:
            shell.extension_manager.load_extension(extension)
        for cell in ("pass", "1 + 1", "[each for each in [1]]"):
            shell.run_cell(cell, silent=True)
        shell._sys_modules_keys = set(sys.modules)
        atexit.unregister(shell.atexit_operations)
        app.session  # noqa: B018 -- created on first access
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
    """Run the kernel of a run, in a process that was forked for it."""
    arguments = ["-f", f"{connection['ip']}.json"]  # no such file exists; it completes a kernel's usual arguments
    become_kernel(arguments)
    os.environ["JPY_PARENT_PID"] = str(os.getppid())  # as Jupyter does
    app = _prepared
    assert app is not None, "it is made before the fork"
    app.connection, app.connection_file = connection, arguments[1]
    app.session.session, app.session.pid = new_id(), os.getpid()
    serve(app, arguments, channel)
