"""The kernel `cloudo`: ipykernel with `this` and `system` bound. `python -m cloudo_kernel.kernel -f FILE`.

In a run it inherits its end of a channel to the worker. A kernel opened by hand connects with `interactive_api`.
"""

from __future__ import annotations

import atexit
import codecs
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import zmq
from ipykernel import ipkernel
from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from jupyter_client.jsonutil import json_default
from traitlets import DottedObjectName
from traitlets.config import Config

from cloudo_kernel import cells, flow_api
from cloudo_kernel.kernel import interactive_api
from cloudo_kernel.processes import fork, inherited
from cloudo_kernel.processes.channel import DESCRIPTOR_VARIABLE, Channel

#: Modules that ipykernel and IPython import only when a kernel starts or runs its first cell.
_IMPORTED_LATE = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
)

#: The capacity of a pipe.
PIPE_BYTES = 65_536

#: Packages with a resource tracker, a process that cleans up shared memory and the like.
_TRACKERS = ("multiprocessing", "loky.backend", "joblib.externals.loky.backend")


def preload() -> None:
    """Import the modules that a kernel needs for its start and its first cell; called before processes are forked."""
    for module in _IMPORTED_LATE:
        import_module(module)
    files = [getattr(module, "__file__", None) for module in sys.modules.copy().values()]
    # Copies that lie side by side: the originals are scattered over the shared memory.
    CloudoKernel.files = [file.encode().decode() for file in files if file]


class CloudoKernel(ipkernel.IPythonKernel):
    """ipykernel's kernel, except that a forked one does not read every module, which copies shared pages (9 MiB)."""

    #: Files of the modules that a kernel starts with. The debugger can be told to step over them.
    files: tuple[str, ...] | list[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        if not self.files:
            super().__init__(**kwargs)
            return
        with without_modules():
            super().__init__(**kwargs)
        self._kernel_modules += self.files  # its debugger shares this list

    def _process_children(self) -> list[Any]:
        """Return the children that ipykernel ends before the kernel."""
        return to_be_ended(super()._process_children())


def to_be_ended(children: list[Any]) -> list[Any]:
    """Return the processes that ipykernel has to end, and to wait for, before the kernel ends.

    ipykernel waits 14 s for zombies and for the resource trackers of multiprocessing and loky, which ignore SIGTERM and
    end with their parent. The kernel would be killed before that, without running its exit handlers.
    """
    if not children:
        return []
    import psutil

    trackers = [sys.modules.get(f"{name}.resource_tracker") for name in _TRACKERS]
    pids = {module._resource_tracker._pid for module in trackers if module is not None}
    ended = []
    for child in children:
        with suppress(psutil.NoSuchProcess):
            if child.pid not in pids and child.status() != psutil.STATUS_ZOMBIE:
                ended.append(child)
    return ended


class CompletedModule(MetaPathFinder):
    """Tells completion where to read `flow_api`, because completion reads the source of modules."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Return the location of `flow_api`; called by Python's import system."""
        if name != "flow_api":
            return None
        return spec_from_file_location(name, Path(flow_api.__file__).with_name("as_completed.py"))


@contextmanager
def without_modules() -> Iterator[None]:
    """Hide all modules from ipykernel within the block."""
    seen = ModuleType("sys")
    vars(seen).update(vars(sys), modules={})
    ipkernel.sys = seen
    try:
        yield
    finally:
        ipkernel.sys = sys


class WholeStream(OutStream):
    """ipykernel's stream, except that it joins a character that is read from the descriptor in two pieces."""

    def _setup_stream_redirects(self, name: str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        super()._setup_stream_redirects(name)

    def _watch_pipe_fd(self) -> None:
        """Read from the descriptor, on its own thread, and echo it as ipykernel does."""
        with suppress(OSError):
            while (taken := os.read(self._fid, PIPE_BYTES)) and self._should_watch:
                self._write_bytes(taken)
                os.write(self._original_stdstream_copy, taken)

    def _write_bytes(self, taken: bytes) -> None:
        """Write bytes as text; empty bytes end the input and turn half a character into a replacement character."""
        if text := self._decoder.decode(taken, final=not taken):
            self.write(text)


class CloudoKernelApp(IPKernelApp):
    """ipykernel's application, with our stream."""

    outstream_class = DottedObjectName(f"{WholeStream.__module__}.{WholeStream.__name__}").tag(config=True)


class RunKernelApp(CloudoKernelApp):
    """The application of a run's kernel, which only the runner listens to."""

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Create the socket and the thread for outputs."""
        context.xpub_nodrop = True  # otherwise outputs that the runner receives too slowly are lost
        super().init_iopub(context)


def run_config() -> Config:
    """Return the configuration of runs' kernels: without a history, as a run's code is in its notebook."""
    return Config({"HistoryManager": {"enabled": False}})


def serve_forked(arguments: Sequence[str]) -> None:
    """Run a kernel that is opened by hand, in a process that was forked for it."""
    become_kernel(arguments)
    inherited.enter(os.curdir)
    # Discard the instances that were created for runs.
    for kind in (CloudoKernelApp, ZMQInteractiveShell):
        if kind.initialized():
            type(kind.instance()).clear_instance()
    serve(_application(CloudoKernelApp), arguments)


def become_kernel(arguments: Sequence[str]) -> None:
    """Make this forked process look like a kernel."""
    fork.name_process("cloudo-kernel")
    inherited.begin(arguments)


def _application(kind: type[CloudoKernelApp], **options: Any) -> CloudoKernelApp:
    # The default is an environment variable, which a forked process inherits from its parent.
    if sys.platform != "win32":
        options["parent_handle"] = os.getppid()
    app: CloudoKernelApp = kind.instance(kernel_class=CloudoKernel, **options)
    return app


def serve(app: CloudoKernelApp, arguments: Sequence[str], channel: int | None = None) -> None:
    """Run a kernel with Jupyter's arguments until it is shut down.

    `channel` is the descriptor of the kernel's end of a channel to the worker.
    """
    app.initialize(list(arguments))
    app.session.pack = _forgiving(app.session.pack)
    bind(app.shell, channel)
    app.start()
    # `close` may wait forever for ipykernel's control thread, which waits for a thread that has ended.
    # The end of the process closes the sockets, too.
    atexit.unregister(app.close)


def bind(shell: Any, channel: int | None) -> None:
    """Make `this`, `system` and `import flow_api` available in the shell.

    The names are builtins of the shell: they survive `%reset` and `del`, and stay out of `%who`.
    """
    sys.modules["flow_api"] = flow_api  # scripts of the original import it by this name
    sys.meta_path.append(CompletedModule())
    names = shell.builtin_trap.auto_builtins
    if channel is None:
        api: flow_api.RunApi = interactive_api.InteractiveApi(interactive_api.kernel_id())
        own: dict[str, Any] = {"this": interactive_api.InteractiveThis(api)}
    else:
        api = flow_api.RunApi(Channel(channel))
        own = {"this": flow_api.This(api)}
    own["system"] = flow_api.System(api)
    cells.install(shell)
    names.update(own)
    # Completion only knows Python's own builtins. The other namespace that it reads is the user's.
    shell.Completer.global_namespace = own


def _forgiving(pack: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return a message packer that writes `?` for half a character.

    jupyter_client's own packer raises. ipykernel then sends nothing, and the caller waits for the reply forever.
    """

    def packed(message: Any) -> bytes:
        try:
            return pack(message)
        except UnicodeEncodeError:
            text = json.dumps(message, default=json_default, ensure_ascii=False)
            return text.encode(errors="replace")

    return packed


def main() -> None:
    """Start the kernel as a program."""
    descriptor = os.environ.pop(DESCRIPTOR_VARIABLE, None)
    if descriptor is None:
        serve(_application(CloudoKernelApp), sys.argv[1:])
    else:
        serve(_application(RunKernelApp, config=run_config()), sys.argv[1:], int(descriptor))
    fork.end(0)
