"""The types of events, and the types of their subjects."""

from __future__ import annotations

from typing import Final

from cloudo_kernel.models import OccurrenceOutcome, Status

#: The network address of an unknown caller.
ADDRESS: Final = "address"
EXECUTION: Final = "execution"
FILE: Final = "file"
FLOW: Final = "flow"
MESSAGE: Final = "message"
SCHEDULE: Final = "schedule"
SETTING: Final = "setting"
TOKEN: Final = "token"  # noqa: S105 -- a word, no password
USER: Final = "user"
WEBHOOK: Final = "webhook"
WORKER: Final = "worker"

EXECUTION_CREATED: Final = "ExecutionCreated"
EXECUTION_RELEASED: Final = "ExecutionReleased"
EXECUTION_STARTED: Final = "ExecutionStarted"
EXECUTION_PROGRESSED: Final = "ExecutionProgressed"
EXECUTION_LOGGED: Final = "ExecutionLogged"
EXECUTION_CHANGED: Final = "ExecutionChanged"
EXECUTION_WAITED: Final = "ExecutionWaited"
EXECUTION_RESUMED: Final = "ExecutionResumed"
EXECUTION_PAUSED: Final = "ExecutionPaused"
EXECUTION_PAUSE_REQUESTED: Final = "ExecutionPauseRequested"
EXECUTION_REQUEUED: Final = "ExecutionRequeued"
EXECUTION_CANCEL_REQUESTED: Final = "ExecutionCancelRequested"
EXECUTION_ENDED: Final = "ExecutionEnded"
EXECUTION_DELETED: Final = "ExecutionDeleted"
FILE_SAVED: Final = "FileSaved"
FILE_DELETED: Final = "FileDeleted"
FLOW_CREATED: Final = "FlowCreated"
FLOW_CHANGED: Final = "FlowChanged"
FLOW_DELETED: Final = "FlowDeleted"
MESSAGE_CREATED: Final = "MessageCreated"
MESSAGE_ANSWERED: Final = "MessageAnswered"
MESSAGE_EXPIRED: Final = "MessageExpired"
MESSAGE_WITHDRAWN: Final = "MessageWithdrawn"
MESSAGE_DELETED: Final = "MessageDeleted"
#: An address outside was called because an execution had ended; or could not be, this time or for good.
NOTIFICATION_SENT: Final = "NotificationSent"
NOTIFICATION_FAILED: Final = "NotificationFailed"
SCHEDULE_CREATED: Final = "ScheduleCreated"
SCHEDULE_CHANGED: Final = "ScheduleChanged"
SCHEDULE_PAUSED: Final = "SchedulePaused"
SCHEDULE_RESUMED: Final = "ScheduleResumed"
SCHEDULE_DELETED: Final = "ScheduleDeleted"
#: Somebody started an execution of it out of turn, or the past ones.
SCHEDULE_TRIGGERED: Final = "ScheduleTriggered"
SCHEDULE_BACKFILLED: Final = "ScheduleBackfilled"
#: Times came for which nothing was started; that something was, the event of the execution tells.
SCHEDULE_SKIPPED: Final = "ScheduleSkipped"
SCHEDULE_MISSED: Final = "ScheduleMissed"
SCHEDULE_COALESCED: Final = "ScheduleCoalesced"
SETTING_SAVED: Final = "SettingSaved"
SETTING_DELETED: Final = "SettingDeleted"
SETTING_LOCKED: Final = "SettingLocked"
SETTING_UNLOCKED: Final = "SettingUnlocked"
TOKEN_CREATED: Final = "TokenCreated"  # noqa: S105 -- a word, no password
TOKEN_REVOKED: Final = "TokenRevoked"  # noqa: S105 -- a word, no password
#: A known caller was not allowed to do something. The subject is a token or a user.
PERMISSION_DENIED: Final = "PermissionDenied"
#: An unknown caller was refused.
ACCESS_REFUSED: Final = "AccessRefused"
WEBHOOK_CREATED: Final = "WebhookCreated"
WEBHOOK_CHANGED: Final = "WebhookChanged"
WEBHOOK_DELETED: Final = "WebhookDeleted"
WORKER_STARTED: Final = "WorkerStarted"
WORKER_STOPPED: Final = "WorkerStopped"
WORKER_LOST: Final = "WorkerLost"

#: Sent while an execution runs, and deleted when it has ended.
PASSING: Final = (EXECUTION_PROGRESSED, EXECUTION_LOGGED)

#: The event of an execution's transition into each state.
OF_STATUS: Final = {
    Status.PENDING: EXECUTION_REQUEUED,
    Status.RUNNING: EXECUTION_STARTED,
    Status.WAITING: EXECUTION_WAITED,
    Status.PAUSED: EXECUTION_PAUSED,
    Status.ENDED_SUCCESS: EXECUTION_ENDED,
    Status.ENDED_ERROR: EXECUTION_ENDED,
    Status.ENDED_CANCELLED: EXECUTION_ENDED,
}

#: The event of each outcome for which nothing was started.
OF_OUTCOME: Final = {
    OccurrenceOutcome.SKIPPED: SCHEDULE_SKIPPED,
    OccurrenceOutcome.MISSED: SCHEDULE_MISSED,
    OccurrenceOutcome.COALESCED: SCHEDULE_COALESCED,
}
