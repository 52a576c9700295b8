"""The kernel provisioner: starts each kernel in a process group that dies with its parent, and forks it if possible.

jupyter_client looks it up by name, from a kernelspec's metadata (`kernel_provisioner`) or as the default of a run.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.provisioning import LocalProvisioner

from cloudo_kernel.processes.child import Child
from cloudo_kernel.processes.lifeline import Lifeline, tied
from cloudo_kernel.processes.zygote import fingerprint
from cloudo_kernel.processes.zygotes import existing_zygotes

#: The name of its entry point in `jupyter_client.kernel_provisioners`.
NAME = "cloudo-provisioner"

_KERNEL = ["-m", "cloudo_kernel.kernel"]
#: Variables that are read when a module is imported or a process starts, so that a forked kernel would ignore them.
_READ_AT_IMPORT = re.compile(r"(PYTHON|LD_|LC_|MALLOC_|MPL|CUDA_|\w+_NUM_THREADS$)|(LANG|LANGUAGE|TZ)$")
_POPEN_ONLY = {"pass_fds", "preexec_fn", "stdin", "stdout", "stderr"}
#: How long a kernel that is opened by hand waits for a zygote to warm up. A cold start takes about as long.
_WAIT_SECONDS = 10.0


class CloudoProvisioner(LocalProvisioner):
    """Starts a kernel as Jupyter does, in its own process group, tied to this process."""

    _lifeline: Lifeline | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the process; called by the kernel manager after `pre_launch`."""
        lifeline = Lifeline()
        try:
            child = await asyncio.to_thread(self._fork, cmd, lifeline, **kwargs)
            if child is None:
                _check_program(cmd[0], kwargs["env"])
                kwargs["pass_fds"] = (*kwargs.get("pass_fds", ()), lifeline.descriptor)
                await super().launch_kernel(tied(cmd, lifeline.descriptor), **kwargs)
            else:
                self.process = child
                self.pid = self.pgid = child.pid  # it leads its own session
        except BaseException:
            lifeline.cut()
            raise
        lifeline.hand_over()
        self._lifeline = lifeline
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        """Kill what is left of the kernel's process group; called by the kernel manager after shutdown."""
        if self._lifeline is not None:
            self._lifeline.cut()
            self._lifeline = None
        await super().cleanup(restart=restart)

    def _fork(self, cmd: list[str], lifeline: Lifeline, **kwargs: Any) -> Child | None:
        """Fork the kernel `cloudo` from this process's zygote; return None if it needs a cold start."""
        if cmd[:3] != [sys.executable, *_KERNEL] or kwargs.keys() & _POPEN_ONLY:
            return None
        zygotes = existing_zygotes()
        zygote = None if zygotes is None else zygotes.get(wait_seconds=_WAIT_SECONDS)
        if zygote is None:
            return None
        changes = _changes(zygote.variables, {**kwargs["env"], "JPY_PARENT_PID": str(os.getpid())})
        if any(_READ_AT_IMPORT.match(name) for name in changes):
            return None
        try:
            return zygote.fork(
                "cloudo_kernel.kernel.app:serve_forked",
                {"arguments": cmd[3:]},
                {"lifeline": lifeline.descriptor},
                environment=changes,
                folder=kwargs.get("cwd"),
            )
        except OSError:
            return None


def _check_program(name: str, environment: dict[str, str]) -> None:
    """Raise `FileNotFoundError` if the kernel's program is missing, as Jupyter does.

    `Popen` would not raise it: it starts Python, which ties itself and only then executes the program.
    """
    if shutil.which(Path(name).expanduser(), path=environment.get("PATH")) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _changes(before: dict[str, str], environment: dict[str, str]) -> dict[str, str | None]:
    """Return the variables of `environment` that differ from `before`, and None for each one that it lacks."""
    changed: dict[str, str | None] = {name: value for name, value in environment.items() if before.get(name) != value}
    return changed | dict.fromkeys(before.keys() - environment.keys())


def is_kernel_forkable() -> bool:
    """Return whether the kernelspec `cloudo` is as shipped; a changed one needs a cold start.

    Each run calls this. Jupyter reads all folders and the file each time; this does so only after a file has changed.
    """
    global _answered  # noqa: PLW0603 -- a cache for the next call
    specs = _kernelspecs()
    files = fingerprint(f"{folder}/cloudo/kernel.json" for folder in specs.kernel_dirs)
    if _answered is None or _answered[0] != files:
        _answered = (files, _is_as_shipped(specs))
    return _answered[1]


@cache
def _kernelspecs() -> KernelSpecManager:
    return KernelSpecManager()


#: The kernelspec files with their modification times, and the answer for them.
_answered: tuple[dict[str, int], bool] | None = None


def _is_as_shipped(specs: KernelSpecManager) -> bool:
    try:
        spec = specs.get_kernel_spec("cloudo")
    except NoSuchKernel:
        return False  # the cold start reports it
    return not spec.env and spec.argv[1:3] == _KERNEL
