"""The kernel `cloudo`: ipykernel with `this` and `system` bound. `python -m cloudo_kernel.kernel -f FILE`.

In a run it finds its end of a channel to the worker; opened by hand there is none, and `interactive_api` connects.
"""

from __future__ import annotations

import atexit
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
from types import ModuleType, TracebackType
from typing import Any

from ipykernel import ipkernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from jupyter_client.jsonutil import json_default
from traitlets import DottedObjectName
from traitlets.config import Config

from cloudo_kernel import flow_api
from cloudo_kernel.errors import ExecutionEnded
from cloudo_kernel.kernel import interactive_api
from cloudo_kernel.kernel.fast_output import WholeStream
from cloudo_kernel.processes import fork, inherited
from cloudo_kernel.processes.channel import DESCRIPTOR_VARIABLE, Channel

#: What ipykernel and IPython import only when a kernel starts, or runs its first cell.
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

#: Packages with a process that looks after shared memory and the like.
_TRACKERS = ("multiprocessing", "loky.backend", "joblib.externals.loky.backend")


def preload() -> None:
    """Import what a kernel imports when it starts and runs its first cell; called before processes are forked."""
    for module in _IMPORTED_LATE:
        import_module(module)
    files = [getattr(module, "__file__", None) for module in sys.modules.copy().values()]
    # Copies, side by side: the originals are all over the memory that is shared.
    CloudoKernel.files = [file.encode().decode() for file in files if file]


class CloudoKernel(ipkernel.IPythonKernel):
    """ipykernel's, except that a forked one does not look at every module: each look copies a shared page (9 MiB)."""

    #: Those of the modules that a kernel starts with, which the debugger may be told to step over.
    files: tuple[str, ...] | list[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        if not self.files:
            super().__init__(**kwargs)
            return
        with without_modules():
            super().__init__(**kwargs)
        self._kernel_modules += self.files  # the list that its debugger has, too

    def _process_children(self) -> list[Any]:
        """Return the children that ipykernel ends before the kernel."""
        return to_be_ended(super()._process_children())


def to_be_ended(children: list[Any]) -> list[Any]:
    """Return the processes that ipykernel has to end, and to wait for, before the kernel ends.

    It waits 14 s for zombies and for the resource trackers of multiprocessing and loky, which ignore SIGTERM and end
    with their parent. The kernel is killed before that, and its exit handlers do not run.
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
    """Tells completion, which reads modules instead of asking for them, where `flow_api` is to be read."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Return where the module is, for Python's own way of looking for one."""
        if name != "flow_api":
            return None
        return spec_from_file_location(name, Path(flow_api.__file__).with_name("as_completed.py"))


@contextmanager
def without_modules() -> Iterator[None]:
    """Have ipykernel see no modules meanwhile."""
    seen = ModuleType("sys")
    vars(seen).update(vars(sys), modules={})
    ipkernel.sys = seen
    try:
        yield
    finally:
        ipkernel.sys = sys


class CloudoKernelApp(IPKernelApp):
    """ipykernel's, except that it does not make a parser of hundreds of options for the one that it is given."""

    outstream_class = DottedObjectName(f"{WholeStream.__module__}.{WholeStream.__name__}").tag(config=True)

    def parse_command_line(self, argv: Sequence[str] | None = None) -> None:
        """Take `-f FILE` as it is, and anything else as ipykernel does."""
        if argv is not None and len(argv) == 2 and argv[0] == "-f":
            self.connection_file = argv[1]
        else:
            super().parse_command_line(argv)


def run_config() -> Config:
    """Return how the kernels of runs are configured: what a run executes is in its notebook."""
    return Config({"HistoryManager": {"enabled": False}})


def serve_forked(arguments: Sequence[str]) -> None:
    """Be a kernel that is opened by hand, in a process that was forked for it."""
    become_kernel(arguments)
    inherited.enter(os.curdir)
    # Those that were made for runs.
    for kind in (CloudoKernelApp, ZMQInteractiveShell):
        if kind.initialized():
            type(kind.instance()).clear_instance()
    serve(_application(), arguments)


def become_kernel(arguments: Sequence[str]) -> None:
    """Look like a kernel, in a process that was forked for it."""
    fork.name_process("cloudo-kernel")
    inherited.begin(arguments)


def _application(**options: Any) -> CloudoKernelApp:
    # By itself it would ask an environment variable, which a forked process has from its parent.
    if sys.platform != "win32":
        options["parent_handle"] = os.getppid()
    app: CloudoKernelApp = CloudoKernelApp.instance(kernel_class=CloudoKernel, **options)
    return app


def serve(app: CloudoKernelApp, arguments: Sequence[str], channel: int | None = None) -> None:
    """Be a kernel until it is shut down, with Jupyter's own arguments.

    `channel` is the descriptor of the end of a channel to the worker.
    """
    app.initialize(list(arguments))
    app.session.pack = _forgiving(app.session.pack)
    bind(app.shell, channel)
    app.start()
    # It may wait for ever for ipykernel's control thread, which waits for a thread that has ended.
    # The end of the process closes the sockets as well.
    atexit.unregister(app.close)


def bind(shell: Any, channel: int | None) -> None:
    """Make `this`, `system` and `import flow_api` known in the shell.

    The names are builtins to it: they survive `%reset` and `del`, and stay out of `%who`.
    """
    sys.modules["flow_api"] = flow_api  # the name under which the original's scripts import it
    sys.meta_path.append(CompletedModule())
    names = shell.builtin_trap.auto_builtins
    if channel is None:
        api: flow_api.RunApi = interactive_api.InteractiveApi(interactive_api.kernel_id())
        own: dict[str, Any] = {"this": interactive_api.InteractiveThis(api)}
    else:
        api = flow_api.RunApi(Channel(channel))
        own = {"this": flow_api.This(api)}
    own["system"] = flow_api.System(api)
    shell.set_custom_exc((ExecutionEnded,), _say_ended)
    names.update(own)
    # Completion knows no builtins but Python's own. The other namespace that it looks into is the user's already.
    shell.Completer.global_namespace = own


def _forgiving(pack: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return a packer of messages that writes `?` for half a character.

    jupyter_client's own raises, ipykernel sends nothing then, and whoever waits for the reply waits for ever.
    """

    def packed(message: Any) -> bytes:
        try:
            return pack(message)
        except UnicodeEncodeError:
            text = json.dumps(message, default=json_default, ensure_ascii=False)
            return text.encode(errors="replace")

    return packed


def _say_ended(
    _shell: Any, _type: type[BaseException], error: BaseException, _traceback: TracebackType, tb_offset: int | None
) -> None:
    """Show one line instead of a traceback: the flow has said that it is done. IPython calls it so."""
    del tb_offset
    print(error)  # noqa: T201 -- it is the output of the cell


def main() -> None:
    """Start the kernel as a program."""
    descriptor = os.environ.pop(DESCRIPTOR_VARIABLE, None)
    if descriptor is None:
        serve(_application(), sys.argv[1:])
    else:
        serve(_application(config=run_config()), sys.argv[1:], int(descriptor))
    fork.end(0)
