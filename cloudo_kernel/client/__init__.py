"""`Client`: the verbs of a Jupyter server with the extension, over HTTP."""

from __future__ import annotations

from cloudo_kernel.client.verbs import Client

__all__ = ["Client"]
