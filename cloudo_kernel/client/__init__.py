"""`Client`: the verbs of a Jupyter server with the extension, over HTTP."""

from __future__ import annotations

import sys

#: httpx imports its command line if it can, with rich and pygments: half the time of its import.
_COMMAND_LINE = "httpx._main"

if "httpx" not in sys.modules:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # httpx goes on without it
    import httpx as httpx

    del sys.modules[_COMMAND_LINE]

from cloudo_kernel.client.verbs import Client  # noqa: E402 -- after the line above

__all__ = ["Client"]
