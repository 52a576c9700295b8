"""Starts executions in batches: one thread call and one commit serve all of them, see `batching`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudo_kernel.models import StartExecution

if TYPE_CHECKING:
    from cloudo_kernel.service import Service
    from cloudo_kernel.store import IdempotencyKey, Inserted, NewExecution, Store
    from cloudo_kernel.workspace.catalog import Catalog


@dataclass(frozen=True)
class Start:
    """One caller's request."""

    service: Service
    request: StartExecution
    idempotency_key: str | None


def start_all(store: Store, catalog: Catalog, starts: Sequence[Start]) -> list[Inserted | Exception]:
    """Start each, and return its outcome or its error. Raises `Unavailable` for all."""
    with catalog.at_one_moment():
        prepared = [_prepared(start) for start in starts]
    fitting = [one for one in prepared if isinstance(one, tuple)]
    inserted = iter(store.executions.insert_all(fitting) if fitting else ())
    return [next(inserted) if isinstance(one, tuple) else one for one in prepared]


def _prepared(start: Start) -> tuple[NewExecution, IdempotencyKey | None] | Inserted | Exception:
    from cloudo_kernel.service.starts import NO_LONGER
    from cloudo_kernel.store import Inserted

    service, request, key = start.service, start.request, start.idempotency_key
    try:
        try:
            return service.prepare_start(request, idempotency_key=key)
        except NO_LONGER as error:
            return Inserted(service.first_start(request, key, error), is_new=False)
    except Exception as error:  # noqa: BLE001 -- raised in the waiting caller
        return error
