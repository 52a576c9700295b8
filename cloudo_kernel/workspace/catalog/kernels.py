"""The kernelspecs of this machine: which kernels a flow can run in, and in which language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudo_kernel.models import Kernel

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

    from cloudo_kernel.workspace.catalog.notebook import Notebook

#: The kernel with `this` and `system`. It runs whether its kernelspec is installed or not.
CLOUDO = Kernel(name="cloudo", title="Cloudo", language="python")


def kernels() -> tuple[Kernel, ...]:
    """Return the kernels sorted by name, as `jupyter kernelspec list` finds them."""
    found = {CLOUDO.name: CLOUDO}
    for name in _manager().find_kernel_specs():
        if name not in found and (kernel := find_kernel(name)):
            found[name] = kernel
    return tuple(found[name] for name in sorted(found))


def find_kernel(name: str) -> Kernel | None:
    """Return the kernel of this name, or None if it is not installed or its `kernel.json` cannot be read."""
    if name == CLOUDO.name:
        return CLOUDO
    try:
        spec = _manager().get_kernel_spec(name)
    except (KeyError, ValueError, TypeError, OSError):  # NoSuchKernel is a KeyError
        return None
    return Kernel(name=name, title=str(spec.display_name or name), language=str(spec.language))


def kernel_fault(name: str) -> str | None:
    """Return why a run in this kernel cannot start, or None if it can."""
    if find_kernel(name) is not None:
        return None
    return f"its kernel {name!r} is not installed on this machine; `cloudo kernels` lists those that are"


def language_of(kernel: str, book: Notebook) -> str:
    """Return the language of a notebook in a kernel, or an empty text if it is unknown.

    The notebook declares the language of its own kernel. For another kernel, the kernelspec comes first.
    """
    if kernel == CLOUDO.name:
        return CLOUDO.language
    if book.language and kernel == book.kernel_name:
        return book.language
    installed = find_kernel(kernel)
    return (installed.language if installed else "") or book.language or ""


def _manager() -> KernelSpecManager:
    from jupyter_client.kernelspec import KernelSpecManager  # only needed for flows of other kernels

    return KernelSpecManager()
