"""The kernel `cloudo`: ipykernel with `this` and `system` bound. `python -m cloudo_kernel.kernel -f FILE`.

In a run it finds its end of a channel to the worker; opened by hand there is none, and `by_hand` connects.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from cloudo_kernel import by_hand, flow_api
from cloudo_kernel.channel import DESCRIPTOR_VARIABLE, Channel
from cloudo_kernel.errors import ExecutionEnded
from cloudo_kernel.provisioning import forking

#: What ipykernel and IPython import only when a kernel starts, or runs its first cell.
_IMPORTED_LATE = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
)


def warm() -> None:
    """Import what a kernel imports when it starts and runs its first cell; called before processes are forked."""
    for module in _IMPORTED_LATE:
        import_module(module)


def serve_forked(arguments: Sequence[str], channel: int | None = None) -> None:
    """Be a kernel, in a process that was forked for it."""
    forking.name_process("cloudo-kernel")
    sys.argv = [__file__, *arguments]
    serve(arguments, channel)


def serve(arguments: Sequence[str], channel: int | None = None) -> None:
    """Be a kernel until it is shut down, with Jupyter's own arguments.

    `channel` is the descriptor of the end of a channel to the worker.
    """
    # By itself it would ask an environment variable, which a forked process has from its parent.
    app = IPKernelApp.instance(**({} if sys.platform == "win32" else {"parent_handle": os.getppid()}))
    app.initialize(list(arguments))
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
    names = shell.builtin_trap.auto_builtins
    if channel is None:
        api: flow_api.RunApi = by_hand.HandApi(by_hand.kernel_id())
        names["this"] = by_hand.HandThis(api)
    else:
        api = flow_api.RunApi(Channel(channel))
        names["this"] = flow_api.This(api)
    names["system"] = flow_api.System(api)
    shell.set_custom_exc((ExecutionEnded,), _say_ended)


def _say_ended(
    _shell: Any, _type: type[BaseException], error: BaseException, _traceback: TracebackType, tb_offset: int | None
) -> None:
    """Show one line instead of a traceback: the flow has said that it is done. IPython calls it so."""
    del tb_offset
    print(error)  # noqa: T201 -- it is the output of the cell


def main() -> None:
    """Start the kernel as a program."""
    descriptor = os.environ.pop(DESCRIPTOR_VARIABLE, None)
    serve(sys.argv[1:], None if descriptor is None else int(descriptor))
    forking.end(0)


if __name__ == "__main__":
    main()
