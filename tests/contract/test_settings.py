"""Settings, the caller and the state of the service, the same in every implementation of `Api`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudo_kernel import errors
from tests.contract.conftest import End


def test_a_setting_is_saved_listed_and_forgotten(end: End) -> None:
    saved = end.api.save_setting("team.name/ä", {"a": [1, None]})
    assert (saved.value, saved.modified_by) == ({"a": [1, None]}, "ada")
    assert end.api.setting("team.name/ä") == saved
    assert saved in end.api.settings()
    end.api.delete_setting("team.name/ä")
    for verb in (end.api.setting, end.api.delete_setting):
        with pytest.raises(errors.SettingNotFound, match=r"team\.name/ä"):
            verb("team.name/ä")


def test_a_setting_is_created_once(end: End) -> None:
    assert end.api.create_setting("team.once", None).value is None
    with pytest.raises(errors.SettingExists):
        end.api.create_setting("team.once", 2)
    assert end.api.setting("team.once").value is None
    end.api.delete_setting("team.once")


def test_the_history_of_a_setting_tells_who_made_what_of_what(end: End) -> None:
    for value in (1, {"b": 2}):
        end.api.save_setting("team.story", value)
    end.api.delete_setting("team.story")
    events = end.api.events(after=0, subject_id="team.story").items
    assert [(event.type, event.user_name) for event in events] == [
        *[("SettingSaved", "ada")] * 2,
        ("SettingDeleted", "ada"),
    ]
    assert [event.data for event in events] == [{"after": 1}, {"before": 1, "after": {"b": 2}}, {"before": {"b": 2}}]


def test_a_documented_setting_has_a_default_and_takes_only_what_fits(end: End) -> None:
    name = "client.execution.retention_time.minutes"
    assert (end.api.setting(name).value, end.api.setting(name).modified_at) == (10080, None)
    for refused in (name, "user.ada@example.com.execution.retention_time.minutes"):
        with pytest.raises(errors.SettingInvalid, match="a number of minutes from 0 to") as caught:
            end.api.save_setting(refused, "long")
        assert caught.value.field == refused
    assert end.api.setting(name).value == 10080


def test_a_users_own_setting_that_was_not_saved_has_the_value_that_holds(end: End) -> None:
    own, shared = "user.ada@example.com.dashboard.filters", "client.dashboard.filters"
    assert (end.api.setting(own).value, end.api.setting(own).modified_at) == ({}, None)
    end.api.save_setting(shared, {"Failures": "status=ENDED_ERROR"})
    assert end.api.setting(own).value == {"Failures": "status=ENDED_ERROR"}
    end.api.save_setting(own, {"Mine": "user=ada"})
    assert end.api.setting(own).value == {"Mine": "user=ada"}
    end.api.delete_setting(shared)
    for missing in ("user.ada.execution.max_running", "user.ada.other"):
        with pytest.raises(errors.SettingNotFound):
            end.api.setting(missing)


def test_a_setting_of_the_whole_store_is_the_same_for_every_user(end: End) -> None:
    with pytest.raises(errors.SettingInvalid, match="applies to the whole store"):
        end.api.save_setting("user.ada.execution.max_running", 3)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("", 1, errors.CloudoError),
        ("x" * 201, 1, errors.SettingInvalid),
        ("a\nb", 1, errors.SettingInvalid),
        ("a", float("nan"), errors.MalformedRequest),
        ("a", {"when": object()}, errors.MalformedRequest),
        ("a", "x" * 1_100_000, errors.CloudoError),
    ],
)
def test_what_cannot_be_a_setting_is_refused(end: End, name: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        end.api.save_setting(name, value)


def test_a_users_own_setting_takes_the_place_of_everybodys(end: End) -> None:
    flow = end.flow()

    def minutes_kept() -> float:
        execution = end.later(flow)
        end.api.cancel_execution(execution.id)
        ended = end.api.execution(execution.id)
        assert ended.expires_at is not None
        assert ended.ended_at is not None
        return (ended.expires_at - ended.ended_at) / timedelta(minutes=1)

    assert minutes_kept() == 10080
    end.api.save_setting("client.execution.retention_time.minutes", 30)
    end.api.save_setting("user.grace.execution.retention_time.minutes", 10)
    assert minutes_kept() == 30
    end.api.save_setting("user.ada.execution.retention_time.minutes", 20)
    assert minutes_kept() == 20
    for name in ("client", "user.grace", "user.ada"):
        end.api.delete_setting(f"{name}.execution.retention_time.minutes")
    assert end.api.flow("examples/greeting").name == "examples/greeting"
    end.api.save_setting("user.ada.flow.library.fallback", False)
    with pytest.raises(errors.FlowNotFound):
        end.api.flow("examples/greeting")
    end.api.delete_setting("user.ada.flow.library.fallback")


def test_everyone_learns_who_they_are_and_how_the_service_does(end: End) -> None:
    assert end.api.user().name == "ada"
    health = end.api.health()
    assert health.status == "ok"
    assert health.version
    assert health.workers == 1
