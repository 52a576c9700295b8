"""Webhooks and deliveries in the store: what is kept, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from cloudo_kernel import errors
from cloudo_kernel.models import Delivery, ExecutionFilter, Status, Webhook, WebhookResponse
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.service.webhook_calls import WebhookDeliveries
from cloudo_kernel.settings import RETENTION
from cloudo_kernel.store import NewExecution, Outcome, Store
from cloudo_kernel.webhooks import signatures
from cloudo_kernel.webhooks.request import DeliveryRequest
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

ANSWER = WebhookResponse(status=201, content_type="text/plain", content=b"\x00yes")


def add_webhook(store: Store, name: str = "hook") -> None:
    made = {"flow_name": "report", "user_name": "ada", "created_at": store.now, "modified_at": store.now}
    store.webhooks.insert(Webhook.model_validate({"name": name, **made}), None, user_name="ada")


def deliver(store: Store, new: NewExecution, sender_id: str | None = None) -> str | Exception:
    values = {"id": new_id(), "webhook_name": "hook", "received_at": store.now, "source_ip": "192.0.2.1"}
    delivery = Delivery.model_validate({**values, "execution_id": new.id, "delivery_id": sender_id})
    [outcome] = store.webhooks.start_all([(new, delivery)])
    return outcome


def test_an_unknown_name_costs_the_same_comparisons_as_a_wrong_key(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"flow_name": "report", "user_name": "ada", "created_at": store.now, "modified_at": store.now}
    kept = signatures.digest("the-key-of-the-door")
    hooks: dict[str, dict[str, Any]] = {"keyed": {}, "off": {"enabled": False}}
    hooks["far"] = {"allowed_networks": ("192.0.2.0/24",)}
    for name, more in hooks.items():
        hook = Webhook.model_validate({"name": name, "has_key": True, **made, **more})
        store.webhooks.insert(hook, kept, user_name="ada")
    compared: list[tuple[str, int]] = []

    def is_key(shown: str, wanted: str, real: Callable[[str, str], bool] = signatures.is_key) -> bool:
        compared.append((shown, len(wanted)))
        return real(shown, wanted)

    monkeypatch.setattr(signatures, "is_key", is_key)
    calls = WebhookDeliveries(store, Catalog(Workspace(tmp_path)), check_rate=lambda _webhook, _caller: None)
    headers = HTTPHeaders({"X-Cloudo-Key": "a", "Authorization": "Bearer b", "Content-Type": "application/json"})
    outcomes, asked = set(), {}
    for name in ("keyed", "off", "far", "no-such-one"):
        about: dict[str, Any] = {"method": "POST", "path": "/", "source_ip": "127.0.0.1", "query": [("key", "c")]}
        request = DeliveryRequest(webhook_name=name, body=b'{"key": "d"}', headers=headers, **about)
        [error] = calls.receive_all([request])
        outcomes.add((type(error), str(error).replace(name, "")))
        asked[name], compared[:] = list(compared), []
    assert outcomes == {(errors.WebhookNotFound, "There is no webhook ''.")}
    assert len(asked["keyed"]) == 4
    assert all(found == asked["keyed"] for found in asked.values())


def test_a_group_has_each_delivery_once(store: Store, new: Callable[..., NewExecution]) -> None:
    add_webhook(store)
    first = new(webhook_name="hook")
    assert deliver(store, first, "a") == first.id
    values = {"webhook_name": "hook", "received_at": store.now, "source_ip": "192.0.2.1"}
    starts = []
    for sender_id in ("a", "b", "b", None, None):
        one = new(webhook_name="hook")
        given = {**values, "id": new_id(), "execution_id": one.id, "delivery_id": sender_id}
        starts.append((one, Delivery.model_validate(given)))
    outcomes = store.webhooks.start_all(starts)
    ids = [one.id for one, _ in starts]
    assert outcomes == [first.id, ids[1], ids[1], ids[3], ids[4]]
    assert {one.id for one in store.executions.page(ExecutionFilter(), limit=10, before=None).items} == {
        *(first.id, ids[1], ids[3], ids[4])
    }
    assert len(store.webhooks.deliveries("hook", limit=100, before=None).items) == 4


def test_deliveries_are_kept_as_long_as_executions_and_a_day_at_least(
    store: Store, clock: Clock, new: Callable[..., NewExecution]
) -> None:
    add_webhook(store)
    for minutes, kept in ((0, timedelta(hours=24)), (10080, timedelta(minutes=10080))):
        store.settings.save(RETENTION, minutes, user_name="ada")
        first = new()
        deliver(store, first, f"id-{minutes}")
        clock.now += kept
        store.webhooks.delete_expired()
        assert deliver(store, new(), f"id-{minutes}") == first.id
        clock.now += timedelta(seconds=1)
        store.webhooks.delete_expired()
        assert store.webhooks.deliveries("hook", limit=100, before=None).items == ()
        again = new()
        assert deliver(store, again, f"id-{minutes}") == again.id
        clock.now += 2 * kept
        store.webhooks.delete_expired()


def test_a_flow_s_answer_is_the_last_one_of_its_last_attempt(store: Store, add: Callable[..., str]) -> None:
    execution_id = add(retries=1)
    [claim] = store.queue.claim("w", free=1)
    store.webhooks.respond(execution_id, claim.attempt, ANSWER.model_copy(update={"status": 200}))
    store.webhooks.respond(execution_id, claim.attempt, ANSWER)
    assert store.webhooks.response(execution_id) == ANSWER
    store.reports.finish(execution_id, claim.attempt, Outcome(status=Status.ENDED_ERROR, message="no"))
    with pytest.raises(errors.IllegalTransition):
        store.webhooks.respond(execution_id, claim.attempt, ANSWER)
    [again] = store.queue.claim("w", free=1)
    store.reports.begin(execution_id, again.attempt)
    assert store.webhooks.response(execution_id) is None
    store.webhooks.respond(execution_id, again.attempt, ANSWER)
    store.reports.finish(execution_id, again.attempt, Outcome(status=Status.ENDED_SUCCESS))
    assert store.webhooks.response(execution_id) == ANSWER
    store.executions.delete(execution_id, user_name="ada")
    assert store.webhooks.response(execution_id) is None
