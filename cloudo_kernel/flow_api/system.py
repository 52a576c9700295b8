"""`system`: flows and executions, from inside a flow or from any notebook."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from cloudo_kernel import models
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api.calls import Calls, child_calls
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.named import Named


class ReturnWhen(StrEnum):
    """When `this.wait_for` comes back."""

    ALL_ENDED = "ALL_ENDED"
    ALL_SUCCEEDED = "ALL_SUCCEEDED"
    FIRST_ENDED = "FIRST_ENDED"


class System:
    """The way to everything that is not the running execution itself."""

    return_when = ReturnWhen

    def __init__(self, api: Any) -> None:
        """Wrap an `Api`, or what stands for it inside a run."""
        #: The verbs themselves; outside of a run a whole `Api`.
        self.api = api
        self._calls: Calls = api

    def flow(self, name: str, by: str = "name") -> Flow:
        """Return a flow; its id is its name, so that `by="id"` finds the same. Raises `ResourceNotFoundError`."""
        if by not in ("name", "id"):
            raise MalformedRequest(f"by takes name or id, not {by!r}.", field="by")
        return Flow(self._calls, self._calls.flow(name))

    def flows(self, q: str | None = None) -> tuple[Flow, ...]:
        """Return the flows whose name, title or tags hold `q`."""
        return tuple(Flow(self._calls, record) for record in self._calls.flows(q=q))

    def execution(self, execution_id: str) -> Execution:
        """Return an execution. Raises `ResourceNotFoundError`."""
        return Execution(self._calls, self._calls.execution(execution_id))

    def executions(self, *, limit: int = 100, **where: Any) -> tuple[Execution, ...]:
        """Return the newest executions; filters are those of `models.ExecutionFilter`."""
        page = self._calls.executions(models.ExecutionFilter(**where), limit=limit)
        return tuple(Execution(self._calls, record) for record in page.items)

    def get_own_user(self) -> Named:
        """Return who is running this; its `name`, also as `.get("name")`."""
        return Named("user", self._calls.user().name)

    def get_own_client(self) -> Named:
        """Return where a running flow is, the workspace; its `name` is that of its folder."""
        return Named("client", child_calls(self._calls, "get_own_client").own_client().name)

    def get_env_name(self) -> str:
        """Return the name of the environment in which a flow runs: `CLOUDO_ENV_NAME`, else its machine's name."""
        return child_calls(self._calls, "get_env_name").own_client().env_name
