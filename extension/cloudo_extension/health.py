"""REST for those who watch the server: load balancers, container runtimes."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

from jupyter_server.auth.decorator import allow_unauthenticated

from cloudo_extension.base import API, Handler
from cloudo_extension.operation import Reply, operation
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import Health


class OneHealth(Handler):
    """`/health`, for everyone."""

    is_public: ClassVar[bool] = True

    @operation(
        "health",
        replies={200: Reply(Health), 503: Reply(Health, "Nothing can be started, or nothing is there to run it.")},
    )
    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def get(self) -> None:
        """Tell whether executions can be started and run; 503 when they cannot."""
        health = await self._health()
        self.set_status(200 if health.status == "ok" else 503)
        await self.finish(health.model_dump_json())

    async def _health(self) -> Health:
        status = "ok"  # nobody has used Cloudo yet: it opens when somebody does
        try:
            found = await self.engine.health()
        except CloudoError:
            self.log.exception("The store does not answer")  # why is not for everyone's eyes
            found, status = None, "unavailable"
        return found or Health(status=status, version=version("cloudo"), workers=0, running=0, pending=0)


routes = [(rf"{API}/health", OneHealth)]
