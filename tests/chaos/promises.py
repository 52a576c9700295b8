"""What the doors of the service have answered with 201, and whether it can be found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import create_engine

from cloudo_kernel.api import Api
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import CreateMessage, CreateSchedule, CreateToken, CreateWebhook, ScheduleTrigger

_FLOW = "light"
_KEY = "0123456789abcdef0123456789abcdef"
#: Where what a door has created is: table and column.
_PLACES = {
    "schedule": ("schedules", "id"),
    "message": ("messages", "id"),
    "webhook": ("webhooks", "name"),
    "setting": ("settings", "name"),
    "token": ("tokens", "id"),
}


@dataclass
class Promises:
    """Asks every door but that of executions for something that stays, and remembers what was promised."""

    kept: dict[str, list[str]] = field(default_factory=lambda: {door: [] for door in _PLACES})
    _numbers: Iterator[int] = field(default_factory=count)

    def ask(self, api: Api) -> None:
        """Ask each door, until one refuses."""
        name = f"chaos-{next(self._numbers)}"
        at = CreateSchedule(flow_name=_FLOW, trigger=ScheduleTrigger.model_validate({"at": "2035-01-01T00:00:00Z"}))
        doors: dict[str, Callable[[], str]] = {
            "schedule": lambda: api.create_schedule(at).id,
            "message": lambda: api.create_message(CreateMessage(subject=name)).id,
            "webhook": lambda: api.create_webhook(CreateWebhook(name=name, flow_name=_FLOW, key=_KEY)).name,
            "setting": lambda: api.save_setting(name, name).name,
            "token": lambda: api.create_token(CreateToken(name=name, actions=("read",))).id,
        }
        for door, create in doors.items():
            try:
                self.kept[door].append(create())
            except CloudoError:
                return

    def broken(self, url: str) -> Iterator[str]:
        """Yield what was promised and is not there."""
        engine = create_engine(url)
        with engine.connect() as connection:
            for door, (table, column) in _PLACES.items():
                found = set(connection.exec_driver_sql(f"SELECT {column} FROM {table}").scalars())
                yield from (f"answered but not kept: {door} {name}" for name in self.kept[door] if name not in found)
        engine.dispose()
