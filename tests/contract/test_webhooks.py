"""The verbs about webhooks, over both ends."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import ChangeWebhook, CreateWebhook, SignatureScheme, Webhook
from tests.contract.conftest import End

pytestmark = pytest.mark.db

KEY = "the-key-of-the-door"


def make(end: End, flow_name: str | None = None, **more: Any) -> Webhook:
    values = {"name": f"w-{uuid.uuid4().hex}", "flow_name": flow_name or end.flow(), **more}
    return end.api.create_webhook(CreateWebhook.model_validate(values))


def test_one_is_made_read_listed_changed_and_deleted(end: End) -> None:
    flow = end.flow("n", parameters="n: int = 1\njson: dict")
    made = make(end, flow, key=KEY, inputs={"n": 2}, allowed_networks=["192.0.2.7/24"], allowed_methods=["POST"])
    assert (made.user_name, made.has_key, made.inputs, made.allowed_networks) == (
        "ada",
        True,
        {"n": 2},
        ("192.0.2.0/24",),
    )
    assert (made.enabled, made.max_body_bytes, made.sync_timeout_seconds) == (True, 1024 * 1024, 8)
    assert end.api.webhook(made.name).model_dump() == made.model_dump(exclude={"key"})
    assert [one.name for one in end.api.webhooks(flow_name=flow).items] == [made.name]
    changed = end.api.change_webhook(made.name, ChangeWebhook(enabled=False, rate_limit=None, allowed_networks=()))
    assert (changed.enabled, changed.rate_limit, changed.allowed_networks, changed.has_key) == (False, None, (), True)
    assert end.api.change_webhook(made.name, ChangeWebhook(key=None)).has_key is False
    assert (
        make(end, flow, rate_limit=None, enabled=None).model_dump().items()
        >= {"rate_limit": None, "enabled": True}.items()
    )
    assert end.api.deliveries(made.name).items == ()
    end.api.delete_webhook(made.name)
    for gone in (end.api.webhook, end.api.delete_webhook, end.api.deliveries):
        with pytest.raises(errors.WebhookNotFound):
            gone(made.name)


def test_they_are_listed_by_name_and_in_pages(end: End) -> None:
    flow = end.flow()
    names = sorted(make(end, flow).name for _ in range(3))
    first = end.api.webhooks(flow_name=flow, limit=2)
    rest = end.api.webhooks(flow_name=flow, limit=2, cursor=first.next)
    assert [one.name for one in (*first.items, *rest.items)] == names
    assert rest.next is None


def test_they_follow_their_flow_to_its_new_name(end: End) -> None:
    made = make(end)
    end.api.change_flow(made.flow_name, new_name=f"{made.flow_name}-moved")
    assert end.api.webhook(made.name).flow_name == f"{made.flow_name}-moved"


def test_a_name_is_taken_once(end: End) -> None:
    made = make(end)
    with pytest.raises(errors.WebhookExists):
        make(end, name=made.name)


def test_what_does_not_fit_is_named(end: End) -> None:
    flow = end.flow("n", parameters="n: int = 1")
    with pytest.raises(errors.FlowNotFound):
        make(end, "contract/none")
    with pytest.raises(errors.InputsInvalid) as caught:
        make(end, flow, inputs={"n": "two"})
    assert caught.value.field == "n"
    with pytest.raises(errors.InputsInvalid):
        make(end, flow, inputs={"stranger": 1})
    for field, signature in {
        "key": {"signature": "github"},
        "signature_header": {"signature": "hmac-sha256", "key": KEY},
        "timestamp_header": {"signature": "github", "key": KEY, "timestamp_header": "X-Time"},
        "signed_content": {"signature": "github", "key": KEY, "signed_content": "{timestamp}.{body}"},
    }.items():
        with pytest.raises(errors.MalformedRequest) as malformed:
            make(end, **signature)
        assert malformed.value.field == field
    with pytest.raises(errors.MalformedRequest, match="Base64"):
        make(end, signature="standard-webhooks", key="whsec_!!!!!!!!!!!!")
    with pytest.raises(errors.MalformedRequest, match="at least"):
        make(end, signature="standard-webhooks", key="whsec_AAAAAAAA")
    with pytest.raises(errors.MalformedRequest):
        end.api.change_webhook(make(end).name, ChangeWebhook())


def test_a_key_goes_with_its_signature(end: End) -> None:
    made = make(end, key=KEY)
    with pytest.raises(errors.MalformedRequest) as caught:  # a digest cannot sign
        end.api.change_webhook(made.name, ChangeWebhook(signature=SignatureScheme.GITHUB))
    assert caught.value.field == "key"
    signed = end.api.change_webhook(made.name, ChangeWebhook(signature=SignatureScheme.GITHUB, key=KEY))
    assert signed.signature is SignatureScheme.GITHUB
    with pytest.raises(errors.MalformedRequest):
        end.api.change_webhook(made.name, ChangeWebhook(key=None))
    unsigned = end.api.change_webhook(made.name, ChangeWebhook(signature=None))
    assert (unsigned.signature, unsigned.has_key) == (None, True)


def test_who_changes_it_is_who_it_acts_for(end: End) -> None:
    made = make(end)
    changed = end.other.change_webhook(made.name, ChangeWebhook(enabled=False))
    assert changed.user_name == end.other.user().name


def test_a_setting_defines_one_too(end: End) -> None:
    name, flow, other = f"w-{uuid.uuid4().hex}", end.flow(), end.flow()
    setting = f"client.webhook.{name}"
    saved = end.api.save_setting(setting, {"flow_name": flow, "user_name": "ada", "key": KEY})
    assert saved.value == {"flow_name": flow, "user_name": "ada", "key": "•••"}
    assert KEY not in str(end.api.setting(setting)) + str(end.api.events(after=0, subject_id=setting).items)
    assert (end.api.webhook(name).flow_name, end.api.webhook(name).has_key) == (flow, True)
    end.api.save_setting(setting, {**saved.value, "flow_name": other})  # as it was read
    assert (end.api.webhook(name).flow_name, end.api.webhook(name).has_key) == (other, True)
    end.api.change_webhook(name, ChangeWebhook(flow_name=flow, key=None))
    assert end.api.setting(setting).value == {"flow_name": flow, "user_name": "ada"}
    end.api.delete_setting(setting)
    with pytest.raises(errors.WebhookNotFound):
        end.api.webhook(name)
    end.api.create_setting(setting, {"flow_name": flow})
    end.api.delete_webhook(name)
    with pytest.raises(errors.SettingNotFound):
        end.api.setting(setting)


def test_a_setting_that_defines_none_is_refused(end: End) -> None:
    flow = end.flow()
    for name, value in {
        "a": "text",
        "b": {"flow": flow},
        "c": {"key": KEY},
        "d": {"flow_name": flow, "key": "short"},
        "e": {"flow_name": flow, "key": 5},
        "f/g": {"flow_name": flow},
        "h": {"flow_name": flow, "user_name": 5},
    }.items():
        with pytest.raises(errors.SettingInvalid):
            end.api.save_setting(f"client.webhook.{name}", value)
    made = make(end)
    with pytest.raises(errors.WebhookExists):
        end.api.save_setting(f"client.webhook.{made.name}", {"flow_name": flow})
    assert end.api.webhook(made.name).flow_name == made.flow_name
