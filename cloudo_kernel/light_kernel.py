"""The kernel of a run that was forked: ipykernel without what a run does not use, its shell made before the fork.

A forked process pays for each page that it touches, in time and in memory.
Nobody connects to this kernel but its runner: no heartbeat, no history on disk.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ipykernel.compiler import XCachingCompiler
from ipykernel.iostream import OutStream
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.application import BaseIPythonApplication
from traitlets import DottedObjectName
from traitlets.config import Config

from cloudo_kernel.kernel import CloudoKernel, CloudoKernelApp, become_kernel, run_config, serve

_log = logging.getLogger(__name__)

#: What the shell was made with before the fork.
_prepared: Config | None = None


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
        shell = _take_shell(kwargs["parent"].config)
        if shell is not None:
            kwargs["user_ns"] = shell.user_ns
        super().__init__(**kwargs)
        if shell is not None:
            shell.parent = shell.kernel = self
            shell.init_virtualenv()
            atexit.register(shell.atexit_operations)


class LightKernelApp(CloudoKernelApp):
    """The kernel's application."""

    outstream_class = DottedObjectName(f"{__name__}.{LightStream.__name__}").tag(config=True)

    def init_poller(self) -> None:
        """Do not look for the parent each second: the kernel dies with it."""

    def init_heartbeat(self) -> None:
        """Have none: the runner knows the process."""


def warm() -> None:
    """Make the shell, which is most of what a kernel makes in Python; called before processes are forked.

    It is used by kernels that are configured as it was when it was made.
    """
    global _prepared  # noqa: PLW0603 -- one per process, as IPython's shell is
    # Which virtual environment there is, each kernel sees for itself.
    environment = os.environ.pop("VIRTUAL_ENV", None)
    try:
        app = LightKernelApp(log=_log, config=run_config())
        BaseIPythonApplication.initialize(app, ["-f", ""])
        _prepared = deepcopy(app.config)
        shell = ZMQInteractiveShell.instance(
            parent=app, profile_dir=app.profile_dir, user_ns={}, compiler_class=XCachingCompiler
        )
        shell.run_cell("pass", silent=True)
        atexit.unregister(shell.atexit_operations)
    finally:
        if environment is not None:
            os.environ["VIRTUAL_ENV"] = environment


def serve_run(arguments: Sequence[str], channel: int) -> None:
    """Be the kernel of a run, in a process that was forked for it."""
    become_kernel(arguments)
    serve(arguments, channel, app_class=LightKernelApp, kernel_class=LightKernel)


def _take_shell(config: Config) -> Any:
    """Return the shell that was made before the fork, or None when another one has to be made."""
    if _prepared is None:
        return None
    if config == _prepared:
        return ZMQInteractiveShell.instance()
    ZMQInteractiveShell.clear_instance()
    return None
