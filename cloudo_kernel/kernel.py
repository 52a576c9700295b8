"""The kernel `cloudo`: ipykernel with `this` and `system` bound. `python -m cloudo_kernel.kernel -f FILE`.

In a run it finds its end of a channel to the worker; opened by hand there is none, and then there is no `this`.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from cloudo_kernel import flow_api
from cloudo_kernel.channel import DESCRIPTOR_VARIABLE, Channel
from cloudo_kernel.errors import ExecutionEnded


def bind(shell: Any) -> None:
    """Make `this`, `system` and `import flow_api` known in the shell.

    The names are builtins to it: they survive `%reset` and `del`, and stay out of `%who`.
    """
    sys.modules["flow_api"] = flow_api  # the name under which the original's scripts import it
    names = shell.builtin_trap.auto_builtins
    descriptor = os.environ.pop(DESCRIPTOR_VARIABLE, None)
    if descriptor is None:
        names["system"] = flow_api.System(flow_api.LazyApi())
        return
    channel = Channel(int(descriptor))
    api = flow_api.RunApi(channel)
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
    """Start the kernel with Jupyter's own arguments."""
    app = IPKernelApp.instance()
    app.initialize(sys.argv[1:])
    bind(app.shell)
    app.start()


if __name__ == "__main__":
    main()
