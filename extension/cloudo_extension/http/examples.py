"""One record of each kind, as an example of what is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel

from cloudo_extension.http.errors import ErrorBody, ErrorReply
from cloudo_kernel.models import (
    BulkError,
    BulkItem,
    BulkOutcome,
    CreatedToken,
    Delivery,
    Event,
    Execution,
    ExecutionBrief,
    File,
    Flow,
    FlowSource,
    Health,
    Kernel,
    LogLine,
    Message,
    MessageLevel,
    MessageState,
    Occurrence,
    OccurrenceOutcome,
    PreviewTime,
    Progress,
    Schedule,
    SchedulePreview,
    ScheduleTrigger,
    Setting,
    Status,
    Token,
    Trigger,
    User,
    Webhook,
)
from cloudo_kernel.models.webhooks import CallReply

_THEN = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
_LATER = _THEN + timedelta(seconds=1)
_FLOW = "examples/greeting"
_EXECUTION_ID = "019ab4c1-7c40-7d2e-9f0a-3b5d1e6f8a90"
_LINE = LogLine(time=_LATER, text="Hello, Ada!")
_OCCURRENCE = Occurrence(
    due=_THEN, outcome=OccurrenceOutcome.STARTED, execution_id=_EXECUTION_ID, iteration=1, lateness_seconds=0.01
)
_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "description": "whom to greet", "x-order": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
_TOKEN = {
    "id": "019ab4c1-7c40-7d2e-9f0a-3b5d1e6f8a91",
    "name": "ci",
    "prefix": "cloudo_5Yk2",
    "actions": ("execution:start", "read"),
    "flows": ("etl/*",),
    "user_name": "ada",
    "created_at": _THEN,
    "expires_at": _THEN + timedelta(days=30),
}

EXAMPLES: Final[tuple[BaseModel, ...]] = (
    Kernel(name="cloudo", title="Cloudo", language="python"),
    ErrorReply(
        error=ErrorBody(code="flow_not_found", message="There is no flow 'examples/greting'.", field="flow_name")
    ),
    CallReply(id=_EXECUTION_ID, name=_FLOW, status=Status.ENDED_SUCCESS, output_value={"greeting": "Hello, Ada!"}),
    Flow(
        name=_FLOW,
        title="Greeting",
        source=FlowSource.LIBRARY,
        path="/opt/share/cloudo/flows/examples/greeting.ipynb",
        input_schema=_SCHEMA,
        modified_at=_THEN,
    ),
    Execution(
        id=_EXECUTION_ID,
        name=_FLOW,
        flow_name=_FLOW,
        status=Status.ENDED_SUCCESS,
        input_value={"name": "Ada"},
        output_value={"greeting": "Hello, Ada!"},
        log=(_LINE,),
        trigger=Trigger.API,
        user_name="ada",
        created_at=_THEN,
        started_at=_THEN,
        ended_at=_LATER,
        attempt=1,
        progress=Progress(done=3, total=3),
        notebook=f"executions/{_FLOW}/{_EXECUTION_ID}.ipynb",
        source_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    BulkOutcome(
        items=(
            BulkItem(
                flow_name=_FLOW,
                ok=True,
                execution=ExecutionBrief(id=_EXECUTION_ID, status=Status.PENDING, created_at=_THEN),
            ),
            BulkItem(
                flow_name="examples/greting",
                ok=False,
                error=BulkError(
                    code="flow_not_found", message="There is no flow 'examples/greting'.", field="flow_name"
                ),
            ),
        )
    ),
    _LINE,
    Message(
        id="019ab4c1-7c40-7d2e-9f0a-3b5d1e6f8a92",
        subject="How many?",
        body={"type": "object", "properties": {"top": {"element": "integer", "type": "integer", "label": "top"}}},
        level=MessageLevel.INFO,
        created_at=_THEN,
        state=MessageState.OPEN,
    ),
    Schedule(
        id="019ab4c1-7c40-7d2e-9f0a-3b5d1e6f8a93",
        name=_FLOW,
        flow_name=_FLOW,
        trigger=ScheduleTrigger(daily_at="08:30"),
        timezone="Europe/Vienna",
        inputs={"name": "Ada"},
        iterations=1,
        start=_THEN,
        next_run=_THEN + timedelta(days=1),
        next_runs=(_THEN + timedelta(days=1),),
        last_occurrence=_OCCURRENCE,
        user_name="ada",
        created_at=_THEN - timedelta(hours=1),
    ),
    _OCCURRENCE,
    SchedulePreview(
        timezone="Europe/Vienna",
        description="daily at 08:30",
        times=(PreviewTime(utc=_THEN, local="2026-11-24T08:30:00+01:00", text="Tue 24 Nov 08:30"),),
    ),
    Webhook(name="deploy", flow_name=_FLOW, user_name="ada", has_key=True, created_at=_THEN, modified_at=_THEN),
    Delivery(
        id="019ab4c1-7c40-7d2e-9f0a-3b5d1e6f8a94",
        webhook_name="deploy",
        received_at=_THEN,
        source_ip="192.0.2.7",
        status_code=200,
        execution_id=_EXECUTION_ID,
    ),
    Event(
        id=42,
        time=_THEN,
        type="ExecutionCreated",
        subject_type="execution",
        subject_id=_EXECUTION_ID,
        user_name="ada",
        data={"trigger": "api"},
    ),
    Setting(name="team.regions", value=["north", "south"], modified_at=_THEN, modified_by="ada"),
    File(path="notes/plan.txt", size=23, modified_at=_THEN, content="first north, then south"),
    Token.model_validate(_TOKEN),
    CreatedToken.model_validate({**_TOKEN, "secret": "cloudo_5Yk2…"}),
    User(name="ada"),
    Health(status="ok", version="0.1.0", workers=1, running=0, pending=0),
)
