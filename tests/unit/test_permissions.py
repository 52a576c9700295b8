"""What tokens may: each verb asks for its action, and flows are kept apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cloudo_kernel.api import VERBS
from cloudo_kernel.errors import (
    CloudoError,
    ExecutionNotFound,
    MalformedRequest,
    MessageNotFound,
    PathInvalid,
    PermissionDenied,
    ScheduleNotFound,
    TokenNotFound,
    WebhookNotFound,
)
from cloudo_kernel.models import (
    Action,
    Backfill,
    BulkAction,
    BulkRequest,
    ChangeSchedule,
    ChangeWebhook,
    CreateMessage,
    CreateSchedule,
    CreateToken,
    CreateWebhook,
    PreviewSchedule,
    ScheduleTrigger,
    StartExecution,
    Token,
)
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.security.permissions import EVERYTHING, OF_FLOWS, Rights
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.unit.conftest import Clock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAILY = ScheduleTrigger(daily_at="08:30")
ETL, OTHER = "etl/load", "reports/daily"
#: What each verb takes; with these it comes as far as to what is not there.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "flow": (ETL,),
    "create_flow": ("x",),
    "change_flow": ("x",),
    "delete_flow": ("x",),
    "read_inputs": ("a: 1",),
    "start_execution": (StartExecution(flow_name="x"),),
    "bulk_executions": (BulkRequest(action=BulkAction.CANCEL, ids=("x",)),),
    "create_message": (CreateMessage(subject="x", body={"no": "form"}),),
    "answer_message": ("x", {}),
    "preview_message": ("x", {}),
    "create_schedule": (CreateSchedule(flow_name="x", trigger=DAILY),),
    "preview_schedule": (PreviewSchedule(trigger=DAILY),),
    "change_schedule": ("x", ChangeSchedule(name="y")),
    "backfill_schedule": ("x", Backfill(start=NOON, end=NOON)),
    "create_webhook": (CreateWebhook(name="x", flow_name="x"),),
    "change_webhook": ("x", ChangeWebhook(enabled=False)),
    "replay_delivery": ("x", "x"),
    "source_diff": ("x", "x"),
    "execution_result": ("x", "x"),
    "save_setting": ("", 1),
    "create_setting": ("", 1),
    "delete_setting": ("no.such",),
    "save_file": ("..", b""),
    "create_token": (CreateToken(name="x", actions=(Action.TOKEN_WRITE,), expires_at=NOON),),
}
WITHOUT_ARGUMENTS = {
    "flows", "executions", "messages", "events", "schedules", "webhooks", "webhook_presets",
    "execution_count", "flow_activity", "documented_settings", "workers", "queue", "pause_queue", "resume_queue",
     "execution_activity",
    "settings", "files", "tokens", "user", "health", "kernels", "dashboards",
}  # fmt: skip


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Callable[..., Service]:
    """Return the verbs for a caller with a token that may do this, to these flows."""
    write_flow(tmp_path, ETL, "1")
    write_flow(tmp_path, OTHER, "1")
    catalog = Catalog(Workspace(tmp_path), library=[])

    def service(*actions: str, flows: tuple[str, ...] | None = None, expires_at: datetime | None = None) -> Service:
        about: dict[str, Any] = {"user_name": "ada", "created_at": NOON, "expires_at": expires_at}
        token = Token(id=new_id(), name="ci", prefix="cloudo_12345678", actions=actions, flows=flows, **about)
        return Service(store, catalog, user_name="ada", rights=Rights.of(token))

    return service


@pytest.fixture
def ids(store: Store, service: Callable[..., Service]) -> dict[str, tuple[str, str, str]]:
    """Return for each of two flows an execution, a schedule and a message of that execution."""
    found = {}
    for flow_name in (ETL, OTHER):
        owner = service("*")
        execution = owner.start_execution(StartExecution(flow_name=flow_name)).id
        schedule = owner.create_schedule(CreateSchedule(flow_name=flow_name, trigger=DAILY)).id
        asking = Service(store, owner._catalog, user_name="ada", parent_id=execution)
        found[flow_name] = execution, schedule, asking.create_message(CreateMessage(subject="?", request="how many")).id
    return found


def call(service: Service, verb: str) -> None:
    arguments = () if verb in WITHOUT_ARGUMENTS else ARGUMENTS.get(verb, ("x",))
    try:
        getattr(service, verb)(*arguments)
    except PermissionDenied:
        raise
    except CloudoError:
        pass  # it was let through, and found nothing


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_asks_for_its_action_and_no_other(verb: str, service: Callable[..., Service]) -> None:
    action = VERBS[verb].action
    if action is None:
        call(service(), verb)
        return
    others = [other.value for other in Action if other not in (action, Action.EVERYTHING)]
    with pytest.raises(PermissionDenied, match=f"takes the right to {action}"):
        call(service(*others), verb)
    call(service(action.value), verb)
    call(service("*"), verb)


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.action and verb.action not in OF_FLOWS])
def test_a_token_limited_to_flows_has_nothing_that_is_about_more(verb: str, service: Callable[..., Service]) -> None:
    with pytest.raises(PermissionDenied, match=r"only with the flows etl/\*"):
        call(service("*", flows=("etl/*",)), verb)


@pytest.mark.parametrize("verb", ["settings", "setting", "files", "file", "create_message", "events"])
def test_what_belongs_to_no_flow_is_not_for_a_token_limited_to_flows(
    verb: str, service: Callable[..., Service]
) -> None:
    with pytest.raises(PermissionDenied, match=r"only with the flows etl/\*"):
        call(service("*", flows=("etl/*",)), verb)


def test_of_many_only_those_are_touched_that_a_token_may_touch(
    service: Callable[..., Service], ids: dict[str, tuple[str, str, str]]
) -> None:
    executions = tuple(found[0] for found in ids.values())
    limited = service("execution:start", "execution:write", flows=("etl/*",))

    def codes(who: Service, **request: Any) -> list[str | None]:
        items = who.bulk_executions(BulkRequest.model_validate(request)).items
        return [item.error.code if item.error else None for item in items]

    assert codes(limited, action="cancel", ids=executions) == [None, "execution_not_found"]
    assert codes(limited, action="start", flow_names=(ETL, OTHER)) == [None, "permission_denied"]
    assert codes(service("read"), action="delete", ids=executions) == ["permission_denied"] * 2
    assert codes(service("execution:write"), action="start", flow_names=(ETL,)) == ["permission_denied"]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("etl/*", "etl/load", True),
        ("etl/*", "etl/a/b", True),
        ("etl/*", "etl", False),
        ("etl/*", "ETL/load", False),
        ("etl/*", "other/etl/load", False),
        ("etl/loa?", "etl/load", True),
        ("etl/t\u00e4glich", "etl/ta\u0308glich", True),
        ("*", "anything/at all", True),
    ],
)
def test_a_pattern_fits_whole_names(
    store: Store, service: Callable[..., Service], add: Callable[..., str], pattern: str, name: str, fits: bool
) -> None:
    limited = service("read", flows=(pattern,))
    assert limited._rights.fits(name) is fits
    if "\u0308" not in name:  # no flow has such a name: the catalog gives it its other form
        execution_id = add(flow_name=name)
        assert [one.id for one in limited.executions().items] == [execution_id] * fits


@pytest.mark.parametrize("pattern", ["", "etl/[a]", "etl\\x", "x" * 201, "a\nb"])
def test_a_pattern_that_could_be_misread_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        CreateToken(name="x", actions=(Action.READ,), flows=(pattern,))


def test_other_flows_are_as_if_they_were_not_there(
    service: Callable[..., Service], ids: dict[str, tuple[str, str, str]], add: Callable[..., str]
) -> None:
    limited = service("*", flows=("etl/*", "none"))
    mine, others = ids[ETL], ids[OTHER]
    script = add(flow_name=None, type="SCRIPT")
    assert [flow.name for flow in limited.flows()] == [ETL]
    lists = limited.executions(), limited.schedules(), limited.messages()
    assert tuple(one.id for page in lists for one in page.items) == mine
    assert limited.execution(mine[0]).flow_name == ETL
    assert limited.events(after=0, subject_id=mine[0]).items
    assert limited.pause_execution(mine[0]).id == mine[0]
    assert limited.answer_message(mine[2], {"response": "3"}).answered_by == "ada"
    for verb in ("execution", "execution_log", "execution_source", "wait", "pause_execution", "cancel_execution"):
        for execution_id in (others[0], script, "unknown"):
            with pytest.raises(ExecutionNotFound):
                getattr(limited, verb)(execution_id)
    for verb in ("schedule", "pause_schedule", "trigger_schedule", "occurrences", "delete_schedule"):
        with pytest.raises(ScheduleNotFound):
            getattr(limited, verb)(others[1])
    for verb, more in (("message", ()), ("wait_message", ()), ("answer_message", ({},)), ("delete_message", ())):
        with pytest.raises(MessageNotFound):
            getattr(limited, verb)(others[2], *more)
    for subject_id in (None, *others, "client.execution.max_running", ETL):
        with pytest.raises(PermissionDenied):
            limited.events(after=0, subject_id=subject_id)


def test_flows_are_refused_by_name_whether_they_are_there_or_not(service: Callable[..., Service]) -> None:
    limited = service("*", flows=("etl/*",))
    assert limited.start_execution(StartExecution(flow_name=ETL)).user_name == "ada"
    for name in (OTHER, "no/such"):
        for refused in (
            lambda name=name: limited.start_execution(StartExecution(flow_name=name)),
            lambda name=name: limited.create_schedule(CreateSchedule(flow_name=name, trigger=DAILY)),
            lambda name=name: limited.flow(name),
        ):
            with pytest.raises(PermissionDenied, match=f"the flow '{name}'.*only with the flows etl/"):
                refused()
    with pytest.raises(PermissionDenied, match="script:run"):
        limited.start_execution(StartExecution(script="1"))


def test_a_script_takes_a_right_of_its_own(service: Callable[..., Service]) -> None:
    with pytest.raises(PermissionDenied, match="script:run"):
        service("execution:start", "execution:write").start_execution(StartExecution(script="1"))
    script = service("script:run").start_execution(StartExecution(script="1")).id
    service("execution:write").cancel_execution(script)
    with pytest.raises(PermissionDenied, match="script:run"):
        service("execution:write").retry_execution(script)
    assert service("execution:write", "script:run").retry_execution(script).retry_of == script


def test_files_and_settings_are_no_way_around(service: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(tmp_path / "flows")
    (tmp_path / "flows" / "out.txt").symlink_to(tmp_path / "notes.txt")
    writer = service("file:write", "setting:write")
    writer.save_file("notes.txt", b"1")
    for path in ("flows/x.py", "./flows/x.py", "Flows/x.py", "door/x.py", "flows/out.txt", f"flows/{ETL}.ipynb"):
        with pytest.raises(PermissionDenied, match="flow:write"):
            writer.save_file(path, b"1")
        with pytest.raises(PermissionDenied, match="flow:write"):
            writer.delete_file(path)
    for path in ("", "a\0b", "/etc/passwd", "flows/../.cloudo/x"):
        with pytest.raises(PathInvalid):
            writer.save_file(path, b"1")
    service("file:write", "flow:write").save_file("flows/x.py", b"1")
    writer.save_setting("team.x", 1)
    with pytest.raises(PermissionDenied, match="webhook:write"):
        writer.save_setting("client.webhook.x", {})


def test_webhooks_are_kept_apart_by_their_flows_too(service: Callable[..., Service]) -> None:
    owner, limited = service("*"), service("read", "webhook:write", flows=("etl/*",))
    for name, flow_name in ("mine", ETL), ("other", OTHER):
        owner.create_webhook(CreateWebhook(name=name, flow_name=flow_name))
    assert [one.name for one in limited.webhooks().items] == ["mine"]
    for verb in ("webhook", "delete_webhook", "deliveries"):
        with pytest.raises(WebhookNotFound):
            getattr(limited, verb)("other")
    with pytest.raises(WebhookNotFound):
        limited.change_webhook("other", ChangeWebhook(enabled=False))
    for refused in (
        lambda: limited.change_webhook("mine", ChangeWebhook(flow_name=OTHER)),
        lambda: limited.create_webhook(CreateWebhook(name="new", flow_name=OTHER)),
    ):
        with pytest.raises(PermissionDenied, match=f"the flow '{OTHER}'"):
            refused()
    assert not limited.change_webhook("mine", ChangeWebhook(enabled=False)).enabled
    limited.delete_webhook("mine")


def test_a_token_makes_none_with_more_rights_than_its_own(service: Callable[..., Service], clock: Clock) -> None:
    hour = NOON + timedelta(hours=1)
    maker = service("token:write", "read", expires_at=hour)
    for wanted, field in (
        ({"actions": ["read", "flow:write"], "expires_at": hour}, "actions"),
        ({"actions": ["*"], "flows": ["etl/*"], "expires_at": hour}, "actions"),
        ({"actions": ["read"]}, "expires_at"),
        ({"actions": ["read"], "expires_in_seconds": 3601}, "expires_at"),
    ):
        with pytest.raises(PermissionDenied) as denied:
            maker.create_token(CreateToken.model_validate({"name": "x", **wanted}))
        assert denied.value.field == field
    made = maker.create_token(CreateToken(name="x", actions=(Action.READ,), expires_at=hour))
    assert Rights.of(made).may(Action.READ)
    clock.now = hour
    assert maker._store.tokens.find(made.secret) is None


def test_a_token_goes_with_the_one_it_was_made_with(store: Store, service: Callable[..., Service]) -> None:
    owner = Service(store, service("*")._catalog, user_name="ada", rights=EVERYTHING)
    request = CreateToken(name="x", actions=(Action.READ, Action.TOKEN_WRITE))
    first = owner.create_token(request)
    second = Service(store, owner._catalog, user_name="ada", rights=Rights.of(first)).create_token(request)
    third = Service(store, owner._catalog, user_name="ada", rights=Rights.of(second)).create_token(request)
    assert store.tokens.find(third.secret) == Token.model_validate(third.model_dump(exclude={"secret"}))
    with pytest.raises(TokenNotFound):
        Service(store, owner._catalog, user_name="grace").revoke_token(first.id)
    owner.revoke_token(first.id)
    assert owner.tokens() == ()
    assert (store.tokens.known(third.secret), store.tokens.find(third.secret)) == (None, None)


def test_the_use_of_a_token_is_noted_once_a_minute(store: Store, service: Callable[..., Service], clock: Clock) -> None:
    owner = Service(store, service("*")._catalog, user_name="ada")
    token = owner.create_token(CreateToken(name="x", actions=(Action.READ,)))
    assert store.tokens.is_use_worth_noting(token)
    store.tokens.note_use(token.id)
    assert not store.tokens.is_use_worth_noting(token)
    clock.now += timedelta(seconds=59)
    store.tokens.note_use(token.id)
    assert owner.tokens()[0].last_used_at == NOON
    clock.now += timedelta(seconds=1)
    store.tokens.note_use(token.id)
    assert owner.tokens()[0].last_used_at == clock.now


def test_an_old_token_is_forgotten_a_while_after_its_end(store: Store, service: Callable[..., Service]) -> None:
    owner = Service(store, service("*")._catalog, user_name="ada")
    token = owner.create_token(CreateToken(name="x", actions=(Action.READ,), expires_in_seconds=1))
    with pytest.raises(MalformedRequest):
        owner.create_token(CreateToken(name="x", actions=(Action.READ,), expires_at=NOON))
    clock: Any = store._database.clock
    clock.now += timedelta(days=29)
    assert store.tokens.find(token.secret) is None
    owner.delete_expired()
    assert [one.id for one in owner.tokens()] == [token.id]
    clock.now += timedelta(days=2)
    owner.delete_expired()
    assert owner.tokens() == ()
