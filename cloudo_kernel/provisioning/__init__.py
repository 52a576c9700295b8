"""Starting the processes of kernels and runs: warm, forked from a zygote, or cold, as Jupyter does it."""

from __future__ import annotations

from cloudo_kernel.provisioning.process import Child, OwnChild, StderrTail
from cloudo_kernel.provisioning.provisioner import NAME, CloudoProvisioner, is_kernel_forkable
from cloudo_kernel.provisioning.warm import PRELOAD, Zygote, Zygotes, share

__all__ = [
    "NAME",
    "PRELOAD",
    "Child",
    "CloudoProvisioner",
    "OwnChild",
    "StderrTail",
    "Zygote",
    "Zygotes",
    "is_kernel_forkable",
    "share",
]
