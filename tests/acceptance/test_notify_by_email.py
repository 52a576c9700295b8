"""The library's flow that writes e-mails, with a real mail server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel.models import Execution, ExecutionFilter, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog, library_folders
from cloudo_kernel.workspace.layout import Workspace
from tests.certificate import certificate
from tests.flows import write_flow
from tests.mailbox import Mailbox, mailbox
from tests.server import until
from tests.workers import end_worker, start_worker

FLOW = "Notify by email"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with pytest.MonkeyPatch.context() as environment:
        file, context = certificate(tmp_path_factory.mktemp("certificate"))
        environment.setenv("SSL_CERT_FILE", str(file))
        with mailbox(context, password="correct horse") as box:
            yield box


@pytest.fixture(scope="module")
def api(box: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    workspace.create()
    store, catalog = Store.open(workspace.database_url), Catalog(workspace, library=library_folders())
    worker = start_worker(workspace.root)  # a process of its own: it has the environment of now
    yield Service(store, catalog, user_name="ada")
    end_worker(worker)
    store.close()


@pytest.fixture
def settings(api: Service, box: Mailbox) -> Iterator[None]:
    box.mails.clear()
    box.receivers.clear()
    values: dict[str, Any] = {
        "client.smtp.host": box.host,
        "client.smtp.port": box.port,
        "client.smtp.user": "robot",
        "client.smtp.password": "correct horse",
        "client.smtp.from": "Cloudo <robot@example.com>",
        "client.smtp.to": "team@example.com",
    }
    for name, value in values.items():
        api.save_setting(name, value)
    yield
    for name in values:
        api.delete_setting(name)


def run(api: Service, **inputs: Any) -> Execution:
    started = api.start_execution(StartExecution(flow_name=FLOW, inputs=inputs))
    return api.wait(started.id, timeout=timedelta(seconds=60))


@pytest.mark.usefixtures("settings")
def test_an_end_in_error_is_written_about(api: Service, box: Mailbox) -> None:
    root = api._catalog.workspace.root
    following = {"on_error": FLOW, "on_success": {"flow": FLOW, "inputs": {"to": ["Grace <grace@example.com>"]}}}
    write_flow(root, "watched", "assert n", parameters="n = 1", metadata=following)
    failed = api.start_execution(StartExecution(flow_name="watched", inputs={"n": 0}))
    until(lambda: len(box.mails) == 1, seconds=60)
    [mail] = box.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "team@example.com",
        "Cloudo <robot@example.com>",
        "watched failed",
    )
    assert f"Execution: {failed.id}" in mail.get_content()
    assert "AssertionError" in mail.get_content()
    assert box.logins[-1] == "robot"
    api.start_execution(StartExecution(flow_name="watched"))
    until(lambda: len(box.mails) == 2, seconds=60)
    assert (box.mails[1]["To"], box.mails[1]["Subject"]) == ("Grace <grace@example.com>", "watched succeeded")
    assert box.receivers == ["team@example.com", "grace@example.com"]


@pytest.mark.usefixtures("settings")
def test_results_are_named_and_pictures_attached(api: Service, box: Mailbox) -> None:
    root = api._catalog.workspace.root
    shows = f"this.show('table', 'a b')\nthis.show('chart', {{'image/png': {PNG!r}}})"
    write_flow(root, "shows", shows, metadata={"on_success": FLOW})
    api.start_execution(StartExecution(flow_name="shows"))
    until(lambda: len(box.mails) == 1, seconds=60)
    [mail] = box.mails
    [chart] = mail.iter_attachments()
    assert (chart.get_filename(), chart.get_content_type()) == ("chart.png", "image/png")
    assert chart.get_content() == PNG
    body = mail.get_body()
    assert body is not None
    assert "Results: table, chart" in body.get_content()


@pytest.mark.usefixtures("settings")
def test_a_busy_server_is_tried_again_and_what_it_refuses_is_told(api: Service, box: Mailbox) -> None:
    box.busy = 1
    ended = run(api, to=["ada@example.com", "nobody@example.com"], subject="Grüße", text="Line one\n.\nLine three\n")
    assert (ended.status, ended.message) == (Status.ENDED_SUCCESS, "wrote to ada@example.com")
    [busy, refused] = ended.log or ()
    assert "451" in busy.text
    assert refused.text == "nobody@example.com was refused: 550 there is no nobody"
    assert box.mails[0]["Subject"] == "Grüße"
    assert box.mails[0].get_content().splitlines() == ["Line one", ".", "Line three"]


@pytest.mark.usefixtures("settings")
def test_nothing_can_be_smuggled_into_the_head(api: Service, box: Mailbox) -> None:
    for inputs in (
        {"subject": "x\nBcc: eve@example.com"},
        {"to": "ada@example.com\r\nBcc: eve@example.com"},
        {"to": "ada"},
    ):
        ended = run(api, **inputs)
        assert ended.status is Status.ENDED_ERROR
        assert ended.error is None
        assert any(words in (ended.message or "") for words in ("the head of a mail", "is no e-mail address"))
    assert box.mails == []


def test_what_is_missing_is_said(api: Service, box: Mailbox) -> None:
    def says(words: str) -> bool:
        ended = run(api)
        return ended.status is Status.ENDED_ERROR and words in (ended.message or "")

    assert says("save the setting client.smtp.host, such as mail.example.com")
    api.save_setting("client.smtp.host", box.host)
    assert says("save the setting client.smtp.from")
    api.save_setting("user.ada.smtp.from", "ada@example.com")
    assert says("give `to`, or save the setting client.smtp.to")
    api.save_setting("client.smtp.to", ["team@example.com"])
    api.save_setting("client.smtp.password", "correct horse")
    api.save_setting("client.smtp.security", "none")
    assert says("set client.smtp.security to starttls or tls")
    api.save_setting("client.smtp.security", "starttls")
    api.save_setting("client.smtp.port", box.port)
    api.save_setting("client.smtp.user", "robot")
    api.save_setting("client.smtp.password", "mistyped")
    ended = run(api)
    assert ended.error is not None
    assert ended.error.name == "SMTPAuthenticationError"
    assert "mistyped" not in str(ended)
    for setting in api.settings():
        api.delete_setting(setting.name)
    assert not api.executions(ExecutionFilter(status=[Status.RUNNING])).items
