"""A server extension of the tests, for what is only seen from inside the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_server.auth import Authorizer, IdentityProvider, User

from cloudo_extension.rest import events


def _load_jupyter_server_extension(server: Any) -> None:
    cloudo = server.web_app.settings["cloudo"]
    runtime = Path(server.runtime_dir)
    (runtime / "routes").write_text(json.dumps([pattern for pattern, *_ in cloudo.handlers]))
    events.HEARTBEAT_SECONDS = 0.3


class HeaderIdentity(IdentityProvider):
    """An identity provider that believes a header, as one behind a proxy does."""

    def get_user(self, handler: Any) -> User | None:
        name = handler.request.headers.get("X-User")
        return User(username=name) if name else None


class NoContents(Authorizer):
    """An authorizer that refuses access to files."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # noqa: ARG002 -- Jupyter's
        return resource != "contents"


class ReadersOnly(Authorizer):
    """An authorizer that refuses all changes."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # noqa: ARG002 -- Jupyter's
        return action == "read"
