"""`system`: flows, executions, settings and files, from inside a flow or from any notebook."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from cloudo_kernel import models
from cloudo_kernel.flow_api.calls import Calls
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.file import File
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.setting import UNSET, Setting


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

    def flow(self, name: str) -> Flow:
        """Return a flow. Raises `ResourceNotFoundError`."""
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

    def setting(self, name: str, value: Any = UNSET) -> Setting:
        """Return a setting, which need not be there yet; with a value it is saved at once."""
        setting = Setting(self._calls, name)
        return setting if value is UNSET else setting.save(value)

    def settings(self) -> tuple[Setting, ...]:
        """Return the settings that were saved, by name."""
        saved = [record for record in self._calls.settings() if record.modified_at is not None]
        return tuple(Setting(self._calls, record.name, record) for record in saved)

    def file(self, path: str, content: str | bytes | None = None) -> File:
        """Return a file of the workspace, which need not be there yet; with a content it is written at once."""
        file = File(self._calls, path)
        return file if content is None else file.save(content)

    def files(self, dir: str = ".", glob: str = "*") -> tuple[File, ...]:  # noqa: A002 -- the original's name
        """Return the files in a folder of the workspace that fit a pattern; `**/*` is for all folders below it too."""
        return tuple(File(self._calls, record.path, record) for record in self._calls.files(dir, glob=glob))

    def get_own_user(self) -> models.User:
        """Return who is running this."""
        return self._calls.user()
