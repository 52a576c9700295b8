"""A server extension of the tests: bodies are waited for a short time only."""

from __future__ import annotations

from typing import Any

from cloudo_extension.http import handler as base


def _load_jupyter_server_extension(_server: Any) -> None:
    base.BODY_SECONDS = 0.5
