"""REST for health probes, such as those of load balancers and container runtimes."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

from jupyter_server.auth.decorator import allow_unauthenticated

from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import Reply, operation, routes_of
from cloudo_kernel.models import Alive, Health


class OneAlive(Handler):
    """`/alive`, for everyone."""

    is_public: ClassVar[bool] = True

    async def _admit(self) -> None:
        """Identify no caller: looking up a token uses the store, and a probe may call by any host name."""
        if self.request.method in ("GET", "HEAD"):
            self._check_form()
        else:
            await super()._admit()

    @operation(id="alive", reply=Alive)
    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def get(self) -> None:
        """Return 200 while this process answers requests, whether or not executions can start and run."""
        await self.finish(Alive(alive=True).model_dump_json())

    def _log(self) -> None:
        """Log no request: probes come every few seconds."""


class OneHealth(Handler):
    """`/health`, for everyone."""

    is_public: ClassVar[bool] = True

    @operation(
        "health",
        replies={200: Reply(Health), 503: Reply(Health, "Nothing can be started, or nothing is there to run it.")},
    )
    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def get(self) -> None:
        """Return whether executions can start and run; 503 if not. Anonymous callers see `status` and `reason`."""
        health = await self._health()
        if self.current_user is None:
            health = Health(status=health.status, reason=health.reason)
        self.set_status(200 if health.status == "ok" else 503)
        await self.finish(health.model_dump_json())

    def _log(self) -> None:
        """Log no request: probes come every few seconds, and a failure is logged once, with its reason."""

    async def _health(self) -> Health:
        status, reason = "ok", None  # unused: Cloudo opens on first use
        try:
            found = await self.backend.health()
        except Exception as error:  # noqa: BLE001 -- any error means that the service is unavailable
            self.backend.health_failures.note(error)  # its details are not public
            found, status = None, "unavailable"
            reason = getattr(error, "reason", None) or "the store cannot be used"
        else:
            self.backend.health_failures.clear()
        nothing = {"workers": 0, "running": 0, "pending": 0, "queue_paused": False, "overdue_schedules": 0}
        return found or Health(status=status, reason=reason, version=version("cloudo"), **nothing)


routes = [*routes_of(OneHealth), (rf"{API}/alive", OneAlive)]
