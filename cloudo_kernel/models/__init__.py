"""The records of Cloudo, defined once for the store, REST and flow authors.

All are frozen pydantic models. Times are aware, in UTC, and written as RFC 3339 with `Z`.
"""

from __future__ import annotations

from cloudo_kernel.models.base import (
    Fault,
    FieldError,
    JsonObject,
    Page,
    Record,
    Request,
    Strict,
    UtcTime,
    malformed,
)
from cloudo_kernel.models.cells import (
    Cell,
    CellOutput,
    CellStatus,
    CellType,
    ExecutionCells,
    LogKind,
    LogPage,
    OutputType,
    SourceDiff,
)
from cloudo_kernel.models.executions import (
    ActivityBucket,
    BulkAction,
    BulkError,
    BulkItem,
    BulkOutcome,
    BulkRequest,
    ErrorDetail,
    Execution,
    ExecutionActivity,
    ExecutionBrief,
    ExecutionCount,
    ExecutionFilter,
    ExecutionOrder,
    ExecutionType,
    FlowActivity,
    LogLine,
    LogSource,
    Origin,
    Progress,
    RecentExecution,
    StartExecution,
    Status,
)
from cloudo_kernel.models.flows import EngineTier, Flow, FlowMetadata, FlowSource, Kernel, ReadInputs, RunOptions
from cloudo_kernel.models.follow_ups import FollowingFlow, FollowUp, FollowUps, Notification, Occasion
from cloudo_kernel.models.messages import CreateMessage, Message, MessageLevel, MessagePreview, MessageState
from cloudo_kernel.models.records import (
    Alive,
    Event,
    File,
    Health,
    LoopHealth,
    OwnClient,
    OwnDashboard,
    QueueState,
    Setting,
    SettingDescription,
    User,
    Worker,
)
from cloudo_kernel.models.results import Result, ResultSummary
from cloudo_kernel.models.schedules import (
    Backfill,
    CatchUp,
    ChangeSchedule,
    CreateSchedule,
    Occurrence,
    OccurrenceOutcome,
    Overlap,
    PreviewSchedule,
    PreviewTime,
    Schedule,
    ScheduleOptions,
    ScheduleOrder,
    SchedulePreview,
    ScheduleState,
    ScheduleTrigger,
)
from cloudo_kernel.models.tokens import Action, CreatedToken, CreateToken, Token
from cloudo_kernel.models.webhooks import (
    ChangeWebhook,
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    LastDelivery,
    SignatureScheme,
    Webhook,
    WebhookPreset,
    WebhookReply,
    WebhookResponse,
)
from cloudo_kernel.scheduling.times import rfc3339, to_utc
