"""The data of the view that the page opens with, so that its rows are painted before any script has come.

Each value is what REST would answer at the same address, with the caller's own rights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from pydantic import BaseModel

from cloudo_extension.pages.words import folder_of
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import Execution, ExecutionFilter, Flow, FlowActivity, Page, RecentExecution

if TYPE_CHECKING:
    from cloudo_kernel.service import Service

Read = Callable[["Service"], BaseModel]

#: Maximum number of items of each list.
_LIMIT: Final = 100
FLOWS: Final = f"flow?brief=true&limit={_LIMIT}"
EXECUTIONS: Final = f"execution?top_level=true&limit={_LIMIT}"
#: Rows of flows whose recent executions come with the page; a screen shows fewer.
_BARS: Final = 20
_ACTIVITY: Final = "flow/activity?recent=12"
#: No character of the data may end its element, or a line of a script.
_UNSAFE: Final = re.compile("[<>&\u2028\u2029]")


@dataclass(frozen=True)
class View:
    """A view of the page: a list such as `flows`, or one item such as `execution`."""

    #: The tab: the list that the view is or belongs to.
    tab: str
    #: The key of the one item; empty for a list.
    key: str = ""

    @classmethod
    def at(cls, path: str) -> View:
        """Return the view at a path below `cloudo/`."""
        tab, _, key = path.partition("/")
        return cls(tab or "flows", key)

    @property
    def name(self) -> str:
        """The view's name in the page."""
        return self.tab.removesuffix("s") if self.key else self.tab

    @property
    def title(self) -> str:
        """The heading until the script sets another one."""
        return self.name.capitalize()

    def reads(self) -> Mapping[str, Read]:
        """Return what the view shows first, by address below REST's root."""
        wanted: dict[str, Read] = {"user/me": lambda api: api.user()}
        if self.name == "flows":
            wanted[FLOWS] = lambda api: api.page_of_flows(limit=_LIMIT, brief=True)
            wanted[f"message?unanswered=true&limit={PAGE_LIMIT}"] = lambda api: api.messages(
                unanswered=True, limit=PAGE_LIMIT
            )
        elif self.name == "executions":
            wanted[EXECUTIONS] = lambda api: api.executions(ExecutionFilter(top_level=True), limit=_LIMIT)
        elif self.name == "execution":
            wanted[f"execution/{self.key}"] = lambda api: api.execution(self.key)
        elif self.name == "schedules":
            wanted[f"schedule?limit={_LIMIT}"] = lambda api: api.schedules(limit=_LIMIT)
        elif self.name == "messages":
            wanted["message?limit=50"] = lambda api: api.messages(limit=50)
        elif self.name == "webhooks":
            wanted[f"webhook?limit={_LIMIT}"] = lambda api: api.webhooks(limit=_LIMIT)
        return wanted


@dataclass(frozen=True)
class FirstView:
    """What the page opens with."""

    #: By address below REST's root.
    records: Mapping[str, BaseModel] = field(default_factory=dict)
    #: Id of the newest event before the records were read; the page's event stream continues after it.
    last_event: str | None = None

    @property
    def flows(self) -> list[Flow]:
        """The flows as the list shows them first: by folder, then by title."""
        page: Any = self.records.get(FLOWS)
        return _in_folders(page.items) if page else []

    @property
    def executions(self) -> Sequence[Execution]:
        """The newest executions."""
        page: Any = self.records.get(EXECUTIONS)
        return page.items if page else ()

    @property
    def activity(self) -> dict[str, tuple[RecentExecution, ...]]:
        """The recent executions of the first rows, by flow."""
        pages: list[Any] = [page for address, page in self.records.items() if address.startswith(_ACTIVITY)]
        return {one.flow_name: one.recent for page in pages for one in page.items}


def read(view: View, api: Service) -> FirstView:
    """Return what the view shows first. Blocks.

    A refused or failed record is left out: the page then asks for it itself, and shows the error.
    """
    last_event = None
    with suppress(CloudoError):
        last_event = api.events(limit=1).next
    found: dict[str, BaseModel] = {}
    for address, ask in view.reads().items():
        with suppress(CloudoError):
            found[address] = ask(api)
    if isinstance(flows := found.get(FLOWS), Page):
        with suppress(CloudoError):
            found |= _activity(flows, api)
    return FirstView(found, last_event)


def as_json(records: Mapping[str, BaseModel]) -> str:
    """Return the records as one JSON object that is safe in a `<script>` element."""
    parts = (f"{json.dumps(address)}:{record.model_dump_json()}" for address, record in records.items())
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", f"{{{','.join(parts)}}}")


def _in_folders(flows: Sequence[Flow]) -> list[Flow]:
    return sorted(flows, key=lambda flow: (folder_of(flow.name), flow.title.lower(), flow.name))


def _activity(flows: Page[Flow], api: Service) -> dict[str, BaseModel]:
    """Return the recent executions of the first rows, by the address that asks for these flows."""
    names = [flow.name for flow in _in_folders(flows.items)[:_BARS]]
    if not names:
        return {}
    query = urlencode([("names", name) for name in names])
    return {f"{_ACTIVITY}&{query}": Page[FlowActivity](items=api.flow_activity(names=names))}
