"""The kernel provisioner of runs: a kernel whose process group dies with the runner that started it."""

from __future__ import annotations

from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from cloudo_kernel.lifeline import Lifeline

#: Its name as an entry point of `jupyter_client.kernel_provisioners`.
NAME = "cloudo-provisioner"


class CloudoProvisioner(LocalProvisioner):
    """Starts a kernel like Jupyter does, in its own process group, tied to this process."""

    _lifeline: Lifeline | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the process; called by the kernel manager after `pre_launch`."""
        lifeline = Lifeline()
        kwargs["pass_fds"] = (*kwargs.get("pass_fds", ()), lifeline.descriptor)
        try:
            connection_info = await super().launch_kernel(cmd, **kwargs)
        except BaseException:
            lifeline.cut()
            raise
        lifeline.tie(self.pgid)
        self._lifeline = lifeline
        return connection_info

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of what the ended kernel left behind; called by the kernel manager after shutdown."""
        if self._lifeline is not None:
            self._lifeline.cut()
            self._lifeline = None
        await super().cleanup(restart=restart)
