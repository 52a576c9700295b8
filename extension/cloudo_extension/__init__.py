"""Cloudo inside a Jupyter server: REST, dashboard and worker."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__version__ = version("cloudo")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from cloudo_extension.app import Cloudo

    return [{"module": "cloudo_extension.app", "app": Cloudo}]
