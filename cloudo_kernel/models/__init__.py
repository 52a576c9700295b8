"""The records of Cloudo: what the store keeps, REST sends and flow authors see, defined once.

All are frozen pydantic models. Times are aware, in UTC, and written as RFC 3339 with `Z`.
"""

from __future__ import annotations

from cloudo_kernel.models.base import JsonObject, Page, Record, Request, Strict, UtcTime
from cloudo_kernel.models.bulk import BulkAction, BulkError, BulkItem, BulkOutcome, BulkRequest
from cloudo_kernel.models.executions import (
    ErrorDetail,
    Execution,
    ExecutionBrief,
    ExecutionFilter,
    ExecutionType,
    LogLine,
    Progress,
    StartExecution,
    Status,
    Trigger,
)
from cloudo_kernel.models.fault import Fault, FieldError, malformed
from cloudo_kernel.models.flows import EngineTier, Flow, FlowMetadata, FlowSource, Kernel, RunOptions
from cloudo_kernel.models.follow_ups import FollowingFlow, FollowUp, FollowUps, Occasion, OutgoingCall
from cloudo_kernel.models.messages import CreateMessage, Message, MessageLevel, MessageState
from cloudo_kernel.models.records import Event, File, Health, OwnClient, Setting, User
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
    SchedulePreview,
    ScheduleTrigger,
)
from cloudo_kernel.models.tokens import Action, CreatedToken, CreateToken, Token
from cloudo_kernel.models.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    Delivery,
    SignatureScheme,
    Webhook,
    WebhookReply,
    WebhookResponse,
)
from cloudo_kernel.scheduling.times import rfc3339, to_utc

__all__ = [
    "Action",
    "Backfill",
    "BulkAction",
    "BulkError",
    "BulkItem",
    "BulkOutcome",
    "BulkRequest",
    "CatchUp",
    "ChangeSchedule",
    "ChangeWebhook",
    "CreateMessage",
    "CreateSchedule",
    "CreateToken",
    "CreateWebhook",
    "CreatedToken",
    "Delivery",
    "EngineTier",
    "ErrorDetail",
    "Event",
    "Execution",
    "ExecutionBrief",
    "ExecutionFilter",
    "ExecutionType",
    "Fault",
    "FieldError",
    "File",
    "Flow",
    "FlowMetadata",
    "FlowSource",
    "FollowUp",
    "FollowUps",
    "FollowingFlow",
    "Health",
    "JsonObject",
    "Kernel",
    "LogLine",
    "Message",
    "MessageLevel",
    "MessageState",
    "Occasion",
    "Occurrence",
    "OccurrenceOutcome",
    "OutgoingCall",
    "Overlap",
    "OwnClient",
    "Page",
    "PreviewSchedule",
    "PreviewTime",
    "Progress",
    "Record",
    "Request",
    "RunOptions",
    "Schedule",
    "ScheduleOptions",
    "SchedulePreview",
    "ScheduleTrigger",
    "Setting",
    "SignatureScheme",
    "StartExecution",
    "Status",
    "Strict",
    "Token",
    "Trigger",
    "User",
    "UtcTime",
    "Webhook",
    "WebhookReply",
    "WebhookResponse",
    "malformed",
    "rfc3339",
    "to_utc",
]
