"""Settings over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.extension.conftest import error_of


def test_settings_are_saved_read_and_forgotten(http: httpx.Client) -> None:
    unknown = http.get("/setting/team.name")
    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "setting_not_found")
    saved = http.put("/setting/team.name", json={"value": {"a": [1, None]}})
    assert saved.status_code == 200
    assert saved.json()["value"] == {"a": [1, None]}
    assert http.get("/setting/team.name").json() == saved.json()
    assert "team.name" in [setting["name"] for setting in http.get("/setting").json()["items"]]
    assert http.delete("/setting/team.name").status_code == 204
    assert http.delete("/setting/team.name").status_code == 404


def test_a_number_comes_back_as_it_was_saved_or_is_refused(http: httpx.Client) -> None:
    for number in (2**63 - 1, 1 - 2**63, 0.1 + 0.2, 1e308, [2**70]):
        assert http.put("/setting/number", json={"value": number}).json()["value"] == number
        assert http.get("/setting/number").json()["value"] == number
    for number in (2**63, 10**400):
        refused = http.put("/setting/number", json={"value": number})
        assert (refused.status_code, error_of(refused)["code"]) == (422, "setting_invalid")


def test_a_documented_setting_answers_its_default(http: httpx.Client) -> None:
    told = http.get("/setting/client.input.timeout.minutes").json()
    assert told == {
        "name": "client.input.timeout.minutes",
        "value": 10,
        "secret": False,
        "modified_at": None,
        "modified_by": None,
        "locked_by": None,
    }


def test_a_setting_is_created_once_and_then_changed(http: httpx.Client) -> None:
    new = {"name": "team/ä b", "value": 1}
    created = http.post("/setting", json=new)
    assert created.status_code == 201
    assert created.headers["Location"] == "/cloudo/api/1/setting/team/%C3%A4%20b"
    assert http.get("/setting/team/ä b").json() == created.json()
    again = http.post("/setting", json=new)
    assert (again.status_code, error_of(again)["code"]) == (409, "setting_exists")
    assert http.patch("/setting/team/ä b", json={"value": 2}).json()["value"] == 2
    http.delete("/setting/team/ä b")
    gone = http.patch("/setting/team/ä b", json={"value": 3})
    assert gone.status_code == 404
    error_of(gone)
    assert http.patch("/setting/client.input.timeout.minutes", json={"value": 20}).json()["value"] == 20
    assert http.delete("/setting/client.input.timeout.minutes").status_code == 204


def test_a_secret_is_never_answered(http: httpx.Client) -> None:
    body = {"value": {"password": "s3cret-value"}, "secret": True}
    replies = [http.post("/setting", json={"name": "bank", **body}), http.put("/setting/bank", json=body)]
    replies += [http.patch("/setting/bank", json={"value": "s3cret-value"}), http.get("/setting/bank")]
    replies += [http.get("/setting"), http.get("/event", params={"subject_id": "bank", "after": 0})]
    for reply in replies:
        assert reply.status_code in (200, 201)
        assert "•••" in reply.text
        assert "s3cret" not in reply.text
    assert replies[3].json()["secret"] is True
    shown = http.put("/setting/bank", json={"value": "•••", "secret": False})
    assert (shown.status_code, error_of(shown)["field"]) == (422, "bank")
    http.delete("/setting/bank")


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("client.execution.max_running", "many", "a whole number"),
        ("client.input.timeout.minutes", 1e300, "a number of minutes"),
        ("user.ada.message.error.retention_time.minutes", -1, "a number of minutes"),
        ("user.ada.execution.max_running", 2, "applies to the whole store"),
        ("client.flow.library.fallback", 1, "true or false"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_told_what_does(
    http: httpx.Client, name: str, value: object, fits: str
) -> None:
    for refused in (
        http.put(f"/setting/{name}", json={"value": value}),
        http.post("/setting", json={"name": name, "value": value}),
    ):
        assert refused.status_code == 422
        assert error_of(refused)["field"] == name
        assert fits in error_of(refused)["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/setting/a", {}),
        ("PUT", "/setting/a", {"value": 1, "secret": "perhaps"}),
        ("PATCH", "/setting/a", {}),
        ("POST", "/setting", {"name": "a"}),
        ("POST", "/setting", {"name": 1, "value": 1}),
        ("POST", "/setting", []),
    ],
)
def test_a_body_that_makes_no_sense_is_malformed(http: httpx.Client, method: str, path: str, body: object) -> None:
    reply = http.request(method, path, json=body)
    assert reply.status_code == 400
    error_of(reply)
