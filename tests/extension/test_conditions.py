"""Edits of what somebody else has changed meanwhile, and replies that need not be sent again."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.extension.conftest import client, error_of
from tests.server import RunningServer


def flow(http: httpx.Client) -> tuple[str, Any, Any]:
    name = f"edited/{uuid.uuid4().hex}"
    made = http.post("/flow", json={"name": name, "copy_of": "quick"})
    assert made.status_code == 201, made.text
    source = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    return f"/flow/{name}", {"source": source}, {"source": source.replace("{}", '{"x": 1}')}


def schedule(http: httpx.Client) -> tuple[str, Any, Any]:
    made = http.post("/schedule", json={"flow_name": "quick", "trigger": {"daily_at": "08:30"}})
    assert made.status_code == 201, made.text
    return f"/schedule/{made.json()['id']}", {"name": "one"}, {"overlap": "queue"}


def webhook(http: httpx.Client) -> tuple[str, Any, Any]:
    name = uuid.uuid4().hex
    assert http.post("/webhook", json={"name": name, "flow_name": "quick"}).status_code == 201
    return f"/webhook/{name}", {"rate_limit": 60}, {"inputs": {"n": 5}}


def setting(http: httpx.Client) -> tuple[str, Any, Any]:
    name = f"some.{uuid.uuid4().hex}"
    assert http.post("/setting", json={"name": name, "value": 1}).status_code == 201
    return f"/setting/{name}", {"value": 2}, {"value": 3}


def webhook_setting(http: httpx.Client) -> tuple[str, Any, Any]:
    name = f"client.webhook.{uuid.uuid4().hex}"
    made = http.post("/setting", json={"name": name, "value": {"flow_name": "quick"}})
    assert made.status_code == 201, made.text
    return f"/setting/{name}", {"value": {"flow_name": "typed"}}, {"value": {"flow_name": "failing"}}


KINDS = pytest.mark.parametrize("make", [flow, schedule, webhook, setting, webhook_setting])


@KINDS
def test_an_edit_of_what_was_changed_meanwhile_does_nothing(make: Callable[..., Any], http: httpx.Client) -> None:
    path, one, other = make(http)
    seen = http.get(path).headers["ETag"]
    changed = http.patch(path, json=one, headers={"If-Match": seen})
    assert changed.status_code == 200, changed.text
    newer = changed.headers["ETag"]
    assert newer != seen
    for method, body in (("PATCH", other), ("DELETE", None)):
        late = http.request(method, path, json=body, headers={"If-Match": seen})
        assert late.status_code == 412, late.text
        assert error_of(late)["code"] == "outdated"
    assert http.get(path).headers["ETag"] == newer
    for fitting in (f'"0.0", W/{newer}', "*"):
        again = http.patch(path, json=other, headers={"If-Match": fitting})
        assert again.status_code == 200, again.text
    assert http.delete(path, headers={"If-Match": again.headers["ETag"]}).status_code == 204
    for header in (again.headers["ETag"], "*"):
        assert http.delete(path, headers={"If-Match": header}).status_code == 412


@KINDS
def test_what_is_as_it_was_is_not_sent_again(make: Callable[..., Any], http: httpx.Client) -> None:
    path, one, _ = make(http)
    seen = http.get(path).headers["ETag"]
    same = http.get(path, headers={"If-None-Match": seen})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", seen)
    assert http.patch(path, json=one).status_code == 200
    assert http.get(path, headers={"If-None-Match": seen}).status_code == 200


def test_a_list_of_flows_is_sent_again_only_after_a_change_of_a_flow(http: httpx.Client) -> None:
    def again(seen: str, query: str = "") -> httpx.Response:
        return http.get(f"/flow?brief=true&runs=false&limit=1{query}", headers={"If-None-Match": seen})

    path, source, _ = flow(http)
    first = again("")
    assert (first.status_code, len(first.json()["items"])) == (200, 1)
    seen = first.headers["ETag"]
    assert (again(seen).status_code, again(seen).content) == (304, b"")
    assert http.post("/execution", json={"flow_name": "quick"}).status_code == 201
    assert again(seen).status_code == 304
    for change in (lambda: http.patch(path, json=source), lambda: http.delete(path)):
        assert change().status_code < 300
        changed = again(seen)
        assert changed.status_code == 200
        seen = changed.headers["ETag"]
    assert "ETag" not in http.get("/flow?limit=1").headers


def test_a_list_of_flows_without_runs_has_none_of_them(http: httpx.Client) -> None:
    http.post("/execution", json={"flow_name": "quick"})
    with_runs, without = http.get("/flow?q=quick").json(), http.get("/flow?q=quick&runs=false").json()
    assert with_runs["items"][0]["last_executions"]
    assert all((one["last_executions"], one["next_run"]) == ([], None) for one in without["items"])
    assert [one["name"] for one in without["items"]] == [one["name"] for one in with_runs["items"]]


def test_a_run_of_a_schedule_is_no_change_of_it_but_is_sent(http: httpx.Client) -> None:
    path, one, _ = schedule(http)
    seen = http.get(path).headers["ETag"]
    assert http.post(f"{path}/trigger").status_code == 201
    assert http.get(path, headers={"If-None-Match": seen}).status_code == 200
    assert http.patch(path, json=one, headers={"If-Match": seen}).status_code == 200


def test_a_condition_that_is_none_is_malformed(http: httpx.Client) -> None:
    path, one, _ = setting(http)
    for header in ("abc", '"open', "", '"a" "b"', '"\t"'):
        reply = http.patch(path, json=one, headers={"If-Match": header})
        assert reply.status_code == 400, header
        error_of(reply)


@pytest.mark.parametrize("make", [flow, setting, webhook, schedule])
def test_of_many_who_edit_the_same_at_once_one_wins(
    make: Callable[..., Any], http: httpx.Client, server: RunningServer
) -> None:
    path, one, other = make(http)
    seen = http.get(path).headers["ETag"]
    statuses: list[int] = []
    ready = threading.Barrier(6)

    def edit(body: Any) -> None:
        with client(server) as mine:
            ready.wait()
            statuses.append(mine.patch(path, json=body, headers={"If-Match": seen}).status_code)

    threads = [threading.Thread(target=edit, args=(body,)) for body in (one, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[412] * 5]


def test_a_file_that_was_changed_meanwhile_is_neither_replaced_nor_deleted(http: httpx.Client) -> None:
    path = f"/file/notes/{uuid.uuid4().hex}.txt"
    assert http.put(path, json={"content": "zero"}, headers={"If-Match": "*"}).status_code == 412
    made = http.put(path, json={"content": "one"})
    seen = {"If-Match": made.headers["ETag"]}
    assert http.get(path, headers={"If-None-Match": http.get(path).headers["ETag"]}).status_code == 304
    brief = {"If-Match": http.get(path, params={"content": 0}).headers["ETag"]}
    assert http.put(path, json={"content": "two, longer"}, headers=brief).status_code == 200
    for refused in (http.put(path, json={"content": "three"}, headers=seen), http.delete(path, headers=seen)):
        assert (refused.status_code, error_of(refused)["code"]) == (412, "outdated")
    assert http.get(path).json()["content"] == "two, longer"
    assert http.delete(path, headers={"If-Match": http.get(path).headers["ETag"]}).status_code == 204
