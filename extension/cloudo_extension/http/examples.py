"""One record of each kind, as an example of what is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel

from cloudo_extension.http.errors import ErrorBody, ErrorReply
from cloudo_kernel import models
from cloudo_kernel.models.senders import presets
from cloudo_kernel.models.webhooks import DeliveryReply

_TIME = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
_DAY = timedelta(days=1)
_FLOW = "examples/greeting"
_ID = "019ab4c1-7c40-7d2e-9f0a-3b5d1e6f8a9"
_EXECUTION_ID = f"{_ID}0"
_OUTPUTS = {"greeting": "Hello, Ada!"}
_UNKNOWN = {"code": "flow_not_found", "message": "There is no flow 'examples/greting'.", "field": "flow_name"}
_NAME = {"type": "string", "description": "whom to greet", "x-order": 0}
_SCHEMA = {"type": "object", "properties": {"name": _NAME}, "required": ["name"], "additionalProperties": False}
_FORM = {"type": "object", "properties": {"top": {"element": "integer", "type": "integer", "label": "top"}}}
_LINE = models.LogLine(time=_TIME + timedelta(seconds=1), text="Hello, Ada!")
_TOKEN = models.Token(
    id=f"{_ID}1",
    name="ci",
    prefix="cloudo_5Yk2",
    actions=(models.Action.EXECUTION_START, models.Action.READ),
    flows=("etl/*",),
    user_name="ada",
    created_at=_TIME,
    expires_at=_TIME + 30 * _DAY,
)
_OCCURRENCE = models.Occurrence(
    due=_TIME,
    outcome=models.OccurrenceOutcome.STARTED,
    execution_id=_EXECUTION_ID,
    iteration=1,
    lateness_seconds=0.01,
)
_STARTED = models.ExecutionBrief(id=_EXECUTION_ID, status=models.Status.PENDING, created_at=_TIME)

_PREVIEW = models.SchedulePreview(
    timezone="Europe/Vienna",
    description="daily at 08:30",
    summary="daily at 08:30, next: Tue 24 Nov 08:30 (Europe/Vienna)",
    times=(models.PreviewTime(utc=_TIME, local="2026-11-24T08:30:00+01:00", text="Tue 24 Nov 08:30"),),
)
_WEBHOOK = models.Webhook(
    name="deploy", flow_name=_FLOW, user_name="ada", has_key=True, created_at=_TIME, modified_at=_TIME
)

EXAMPLES: Final[tuple[BaseModel, ...]] = (
    models.Kernel(name="cloudo", title="Cloudo", language="python"),
    ErrorReply(error=ErrorBody(**_UNKNOWN)),
    DeliveryReply(id=_EXECUTION_ID, name=_FLOW, status=models.Status.ENDED_SUCCESS, output_value=_OUTPUTS),
    models.Flow(
        name=_FLOW,
        title="Greeting",
        source=models.FlowSource.LIBRARY,
        path=f"/opt/share/cloudo/flows/{_FLOW}.ipynb",
        input_schema=_SCHEMA,
        modified_at=_TIME,
    ),
    models.Execution(
        id=_EXECUTION_ID,
        name=_FLOW,
        flow_name=_FLOW,
        status=models.Status.ENDED_SUCCESS,
        input_value={"name": "Ada"},
        output_value=_OUTPUTS,
        log=(_LINE,),
        trigger=models.Origin.API,
        user_name="ada",
        created_at=_TIME,
        started_at=_TIME,
        ended_at=_LINE.time,
        attempt=1,
        progress=models.Progress(done=3, total=3),
        notebook=f"executions/{_FLOW}/{_EXECUTION_ID}.ipynb",
        source_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    models.FlowActivity(
        flow_name=_FLOW,
        recent=(
            models.RecentExecution(
                id=_EXECUTION_ID,
                status=models.Status.ENDED_SUCCESS,
                created_at=_TIME,
                started_at=_TIME,
                ended_at=_LINE.time,
            ),
        ),
        median_seconds=1.0,
        next_run=_TIME + _DAY,
    ),
    models.ExecutionActivity(
        buckets=(models.ActivityBucket(start=_TIME.replace(minute=0), ended_success=2, ended_error=1),)
    ),
    models.ExecutionCount(
        total=3,
        by_status=dict.fromkeys(models.Status, 0) | {models.Status.ENDED_SUCCESS: 2, models.Status.ENDED_ERROR: 1},
        as_of=_TIME,
    ),
    models.BulkOutcome(
        matched=2,
        done=1,
        failed=1,
        items=(
            models.BulkItem(flow_name=_FLOW, ok=True, execution=_STARTED),
            models.BulkItem(flow_name="examples/greting", ok=False, error=models.BulkError(**_UNKNOWN)),
        ),
    ),
    _LINE,
    models.LogPage(items=(_LINE,), end="1"),
    models.ResultSummary(name="total", types=("text/plain",), size=27, created_at=_LINE.time),
    models.Result(name="total", types=("text/plain",), size=27, created_at=_LINE.time, data={"text/plain": "€38.50"}),
    models.SourceDiff(diff="--- a\n+++ b\n@@ -1,2 +1,2 @@\n # %%\n-print(1)\n+print(2)\n"),
    models.ExecutionCells(
        version="1795505401000000000-2048",
        cells=(
            models.Cell(
                index=0,
                id="a1b2c3d4",
                type=models.CellType.CODE,
                source="print('Hello')",
                status=models.CellStatus.DONE,
                execution_count=1,
                started_at=_TIME,
                ended_at=_LINE.time,
                outputs=(models.CellOutput(type=models.OutputType.STREAM, name="stdout", text="Hello\n"),),
            ),
        ),
    ),
    models.Message(id=f"{_ID}2", subject="How many?", body=_FORM, created_at=_TIME, state=models.MessageState.OPEN),
    models.Schedule(
        id=f"{_ID}3",
        name=_FLOW,
        flow_name=_FLOW,
        trigger=models.ScheduleTrigger(daily_at="08:30"),
        timezone="Europe/Vienna",
        inputs={"name": "Ada"},
        iterations=1,
        start=_TIME,
        next_run=_TIME + _DAY,
        next_runs=(_TIME + _DAY,),
        last_occurrence=_OCCURRENCE,
        user_name="ada",
        created_at=_TIME - timedelta(hours=1),
    ),
    _OCCURRENCE,
    _PREVIEW,
    models.MessagePreview(preview=_PREVIEW),
    models.ReadInputs(inputs={"region": "north", "top": 3}),
    _WEBHOOK,
    models.CreatedWebhook(**dict(_WEBHOOK), key="m1vPMXNU…"),
    presets()[1],
    models.Delivery(
        id=f"{_ID}4",
        webhook_name="deploy",
        received_at=_TIME,
        source_ip="192.0.2.7",
        status_code=200,
        execution_id=_EXECUTION_ID,
    ),
    models.Event(
        id=42,
        time=_TIME,
        type="ExecutionCreated",
        subject_type="execution",
        subject_id=_EXECUTION_ID,
        user_name="ada",
        data={"trigger": "api"},
    ),
    models.Setting(name="team.regions", value=["north", "south"], modified_at=_TIME, modified_by="ada"),
    models.SettingDescription(
        name="client.execution.max_depth",
        pattern="user.*.execution.max_depth",
        meaning="Maximum number of ancestors of an execution.",
        fits="a whole number, 0 or more",
        value_schema={"type": "integer", "minimum": 0},
        default=50,
        value=50,
    ),
    models.Worker(
        id=f"{_ID}5",
        name="host-a:4711",
        host="host-a",
        pid=4711,
        private=False,
        slots=4,
        running=(_EXECUTION_ID,),
        started_at=_TIME,
        lease_age_seconds=0.7,
        labels=("gpu",),
    ),
    models.QueueState(pending=3, paused=False),
    models.OwnDashboard(
        name="sales", title="Sales", path="dashboards/sales.ipynb", url="voila/render/dashboards/sales.ipynb"
    ),
    models.File(path="notes/plan.txt", size=23, modified_at=_TIME, content="first north, then south"),
    _TOKEN,
    models.CreatedToken(**dict(_TOKEN), secret="cloudo_5Yk2…"),  # noqa: S106 -- an example  # nosec B106
    models.User(name="ada"),
    models.Alive(alive=True),
    models.Health(
        status="ok", version="0.1.0", workers=1, running=0, pending=0, queue_paused=False, overdue_schedules=0
    ),
)
