"""The settings that the system reads, and who reads which."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudo_kernel import settings
from cloudo_kernel.errors import SettingInvalid
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.store import Store


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (settings.MAX_RUNNING, 0),
        (settings.MAX_RUNNING, True),
        (settings.MAX_RUNNING, 1.5),
        (settings.RETENTION, "7"),
        (settings.RETENTION, -1),
        (settings.RETENTION, float("nan")),
        (settings.RETENTION, 1e300),
        (settings.INPUT_TIMEOUT, None),
        (settings.LIBRARY_FALLBACK, 1),
        ("client.smtp.host", ""),
        ("client.smtp.from", "a@example.com\nBcc: b@example.com"),
        ("client.smtp.port", 0),
        ("client.smtp.port", True),
        ("client.smtp.security", "ssl"),
        ("client.smtp.to", ["a@example.com", "b"]),
        ("client.dashboard.filters", {"": "q=a"}),
        ("client.dashboard.filters", ["q=a"]),
        ("user.ada.dashboard.filters", {"long": "q=" + "a" * 2_000}),
        ("user.ada.dashboard.last_visit", {"seen": "2026-12-02T09:00:00Z"}),
        ("user.ada.execution.retention_time.minutes", "7"),
        ("user.ada@example.com.execution.retention_time.minutes", -1),
    ],
)
def test_a_documented_setting_takes_only_what_fits(name: str, value: object) -> None:
    with pytest.raises(SettingInvalid, match=f"'{name}' takes"):
        settings.checked(name, value)
    assert not settings.fits(name, value)


@pytest.mark.parametrize(
    "name", ["team.name", "client.other", "user.ada", "user..execution", "user.execution.retention_time.minutes"]
)
def test_any_other_setting_takes_anything(name: str) -> None:
    assert settings.checked(name, "anything") == "anything"


def test_defaults_of_settings_fit_themselves() -> None:
    for name, documented in settings.DOCUMENTED.items():
        assert settings.checked(name, documented.default) == documented.default


def test_a_documented_setting_is_kept_in_canonical_form() -> None:
    for name in (settings.MAX_RUNNING, settings.MAX_DEPTH, "client.smtp.port", "user.ada.execution.max_depth"):
        found = settings.checked(name, 5.0)
        assert (found, type(found)) == (5, int)
    assert settings.checked("client.smtp.port", None) is None


def test_only_what_is_not_of_the_whole_store_is_looked_up_for_a_user() -> None:
    assert settings.names_for(settings.RETENTION, "a.b") == (
        "user.a.b.execution.retention_time.minutes",
        settings.RETENTION,
    )
    assert settings.names_for(settings.MAX_RUNNING, "ada") == (settings.MAX_RUNNING,)
    assert settings.names_for(settings.RETENTION, None) == (settings.RETENTION,)
    assert settings.names_for("team.name", "ada") == ("team.name",)


def test_a_saved_value_that_no_longer_fits_counts_as_not_saved(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without_check:
        without_check.setattr(settings, "checked", lambda _name, value, **_more: value)
        store.settings.save(settings.RETENTION, "as an older version took it", user_name="ada")
    assert store.settings.value(settings.RETENTION, user_name="ada") == 10080


def test_a_secret_is_told_to_flows_alone_and_stays_one_until_it_is_not_wanted(store: Store) -> None:
    store.settings.save("team.secret", ["s3cret"], user_name="ada", secret=True)
    for _ in range(2):
        assert store.settings.get("team.secret").model_dump(include={"value", "secret"}) == {
            "value": PROTECTED,
            "secret": True,
        }
        assert PROTECTED in [setting.value for setting in store.settings.all()]
        assert store.settings.get("team.secret", reveal=True).value == ["s3cret"]
        store.settings.save("team.secret", PROTECTED, user_name="grace")  # as a form shows it: it stays
    with pytest.raises(SettingInvalid, match="the value itself"):
        store.settings.save("team.secret", PROTECTED, user_name="grace", secret=False)
    with pytest.raises(SettingInvalid, match="no secret"):
        store.settings.save(settings.MAX_RUNNING, 2, user_name="ada", secret=True)
    store.settings.save("team.secret", "known", user_name="ada", secret=False)
    assert store.settings.get("team.secret").value == "known"


def test_the_value_of_a_secret_is_neither_in_its_history_nor_in_the_database(store: Store, tmp_path: Path) -> None:
    store.settings.save("team.secret", "open", user_name="ada")
    store.settings.save("team.secret", "s3cret-canary", user_name="ada", secret=True)
    store.settings.save("team.secret", "n3w-canary", user_name="ada")
    store.settings.delete("team.secret", user_name="ada")
    history = [event.data for event in store.events.after(0, limit=9, subject_id="team.secret")]
    hidden = {"before": PROTECTED, "after": PROTECTED}
    assert history == [{"after": PROTECTED}, hidden, hidden, {"before": PROTECTED}]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"canary" not in kept
