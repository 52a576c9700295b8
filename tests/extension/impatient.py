"""A server extension of the tests: bodies are waited for a short time only."""

from __future__ import annotations

from typing import Any

from cloudo_extension.http.request_body import BodyHandler


def _load_jupyter_server_extension(_server: Any) -> None:
    BodyHandler.body_seconds = 0.5
